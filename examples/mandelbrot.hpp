/// mandelbrot.hpp: the Mandelbrot set as a map of PNG tiles: the CPU work of the other examples.
///
/// Plain functions that know nothing of loops: so they can be given to any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace mandelbrot {

inline constexpr unsigned tile_pixels = 256;  ///< Of a tile's side.
inline constexpr unsigned zoom_max = 40;      ///< Further down a double has no digits left.
inline constexpr std::uint8_t inside = 0;     ///< The colour number of the set itself.

/// One of the 4^zoom squares that the map is cut into; x goes to the right, y downwards.
struct Tile {
  unsigned zoom = 0;
  std::uint64_t x = 0;
  std::uint64_t y = 0;
};

/// Returns: nothing if these are not the numbers of a tile.
std::optional<Tile> parse_tile(std::string_view zoom, std::string_view x, std::string_view y);

/// The tile's colour numbers, row by row. Once somebody wants it to stop it gives nothing: it looks
/// before each row.
std::vector<std::uint8_t> render(const std::stop_token& stop, const Tile& tile);
/// What render() gave, as a PNG file. Errors: std::runtime_error.
std::string encode_png(std::span<const std::uint8_t> pixels);
/// render(), then encode_png(); empty once somebody wants it to stop.
std::string tile_png(const std::stop_token& stop, const Tile& tile);

}  // namespace mandelbrot
