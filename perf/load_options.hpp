/// load_options.hpp: what rota_load was asked to do.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace load {

enum class Mode : std::uint8_t { tcp, http };

using Seconds = std::chrono::duration<double>;

struct Options {
  Mode mode = Mode::tcp;
  std::string host;
  std::uint16_t port = 0;
  std::string authority;           ///< HTTP: the Host header.
  std::vector<std::string> paths;  ///< HTTP: what is asked for, in turn.

  unsigned connections = 64;
  unsigned pipeline = 1;  ///< Requests in flight on a connection, at most.
  unsigned loops = 1;
  std::size_t size = 64;  ///< TCP: of a message, in bytes.
  double rate = 0;        ///< Requests per second of all connections; 0: closed loop.
  Seconds duration{10};
  Seconds warmup{1};
  Seconds timeout{10};
  std::chrono::microseconds spin{0};  ///< Of a loop, before it sleeps.

  std::string json;  ///< A file's name, "-" for stdout, or nothing.
  bool quiet = false;
  bool help = false;
};

/// Reads the command line. The error is for the user: what, why, what to do.
std::expected<Options, std::string> parse_options(int count, char** values);

std::string_view usage() noexcept;

}  // namespace load
