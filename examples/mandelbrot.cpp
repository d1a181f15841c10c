/// mandelbrot.cpp: counts how soon a point escapes, and makes a colour of it.
#include "mandelbrot.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <png.h>
#include <stdexcept>

namespace mandelbrot {
namespace {

// The part of the plane that the map shows: the set in its middle, and room for wide screens.
constexpr double left = -4.5;
constexpr double top = 4.0;
constexpr double side = 8.0;

/// Steps after which a point counts as inside; the deeper, the more are needed to tell.
unsigned steps_max(unsigned zoom) { return 200 + 60 * zoom; }

/// The two largest parts of the set, which nobody needs to iterate.
bool in_cardioid_or_disc(double re, double im) {
  const double square = im * im;
  const double shifted = re - 0.25;
  const double q = shifted * shifted + square;
  return q * (q + shifted) <= 0.25 * square || (re + 1) * (re + 1) + square <= 0.0625;
}

/// The steps until the point is far away, as a smooth number; negative: it stays.
double escape_time(double re, double im, unsigned limit) {
  constexpr double far_away = 256;  // squared; so far out the fraction is smooth
  if (in_cardioid_or_disc(re, im)) return -1;
  double x = 0, y = 0, x_square = 0, y_square = 0;
  double seen_x = 0, seen_y = 0;  // an orbit that comes back to here goes round for ever
  for (unsigned step = 0, look_again = 16; step < limit; ++step) {
    y = 2 * x * y + im;
    x = x_square - y_square + re;
    x_square = x * x;
    y_square = y * y;
    if (x_square + y_square > far_away) {
      return step + 3 - std::log2(std::log2(x_square + y_square) / 2);
    }
    if (x == seen_x && y == seen_y) return -1;
    if (step == look_again) {
      seen_x = x;
      seen_y = y;
      look_again *= 2;
    }
  }
  return -1;
}

/// Round the colours once each time that the steps grow by a factor of some eight.
std::uint8_t colour_of(double steps) {
  if (steps < 0) return inside;
  const double turns = 0.33 * std::log2(steps + 1) + 0.55;  // far outside it is night
  return static_cast<std::uint8_t>(1 + 255 * (turns - std::floor(turns)));
}

struct ColourStop {
  double at;
  std::array<int, 3> rgb;
};
constexpr std::array<ColourStop, 6> colour_stops = {{{0.0, {4, 10, 46}},
                                                     {0.2, {24, 82, 177}},
                                                     {0.45, {226, 244, 255}},
                                                     {0.65, {255, 178, 36}},
                                                     {0.85, {110, 22, 42}},
                                                     {1.0, {4, 10, 46}}}};

/// Red, green, blue of each colour number; that of the set itself is black.
using Palette = std::array<std::uint8_t, std::size_t{256} * 3>;

constexpr Palette make_palette() {
  Palette palette{};
  std::size_t next = 1;
  for (std::size_t number = 1; number < 256; ++number) {
    const double at = static_cast<double>(number - 1) / 255;
    while (colour_stops[next].at < at) ++next;
    const ColourStop& from = colour_stops[next - 1];
    const ColourStop& to = colour_stops[next];
    const double share = (at - from.at) / (to.at - from.at);
    for (std::size_t part = 0; part < 3; ++part) {
      palette[number * 3 + part] =
          static_cast<std::uint8_t>(from.rgb[part] + share * (to.rgb[part] - from.rgb[part]));
    }
  }
  return palette;
}

constexpr Palette palette = make_palette();

template <typename T>
bool read_number(std::string_view text, T& number) {
  const auto [stop, error] = std::from_chars(text.begin(), text.end(), number);
  return error == std::errc() && stop == text.end();
}

}  // namespace

std::optional<Tile> parse_tile(std::string_view zoom, std::string_view x, std::string_view y) {
  Tile tile;
  const bool numbers =
      read_number(zoom, tile.zoom) && read_number(x, tile.x) && read_number(y, tile.y);
  if (!numbers || tile.zoom > zoom_max) return std::nullopt;
  const std::uint64_t tiles = std::uint64_t{1} << tile.zoom;
  if (tile.x >= tiles || tile.y >= tiles) return std::nullopt;
  return tile;
}

std::vector<std::uint8_t> render(const std::stop_token& stop, const Tile& tile) {
  const double tile_side = side / static_cast<double>(std::uint64_t{1} << tile.zoom);
  const double step = tile_side / tile_pixels;
  const unsigned limit = steps_max(tile.zoom);
  std::vector<std::uint8_t> pixels;
  pixels.reserve(std::size_t{tile_pixels} * tile_pixels);
  for (unsigned row = 0; row < tile_pixels; ++row) {
    if (stop.stop_requested()) return {};
    const double im = top - static_cast<double>(tile.y) * tile_side - (row + 0.5) * step;
    for (unsigned column = 0; column < tile_pixels; ++column) {
      const double re = left + static_cast<double>(tile.x) * tile_side + (column + 0.5) * step;
      pixels.push_back(colour_of(escape_time(re, im, limit)));
    }
  }
  return pixels;
}

std::string encode_png(std::span<const std::uint8_t> pixels) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = tile_pixels;
  image.height = tile_pixels;
  image.format = PNG_FORMAT_RGB_COLORMAP;
  image.flags = PNG_IMAGE_FLAG_FAST;
  image.colormap_entries = 256;
  std::string png(PNG_IMAGE_PNG_SIZE_MAX(image), '\0');
  png_alloc_size_t bytes = png.size();
  if (png_image_write_to_memory(&image, png.data(), &bytes, 0, pixels.data(), 0, palette.data()) ==
      0) {
    throw std::runtime_error(std::string("PNG: ") + image.message);
  }
  png.resize(bytes);
  return png;
}

std::string tile_png(const std::stop_token& stop, const Tile& tile) {
  const std::vector<std::uint8_t> pixels = render(stop, tile);
  return pixels.empty() ? std::string() : encode_png(pixels);
}

}  // namespace mandelbrot
