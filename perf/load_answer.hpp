/// load_answer.hpp: what a parser of answers finds in what a connection receives, and the parser
/// for echo servers. The one for HTTP: load_response.hpp.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace load {

struct Answer {
  enum class Kind : std::uint8_t { incomplete, complete, malformed };

  Kind kind = Kind::incomplete;
  bool ok = true;     ///< The server did what it was asked for. HTTP: the status is 2xx.
  bool last = false;  ///< The server answers nothing more on this connection, as it should say.
};

/// An answer is as many bytes as were sent.
class EchoParser {
 public:
  explicit EchoParser(std::size_t size) noexcept : size_(size), missing_(size) {}

  /// Takes from the front of `data` up to the end of one answer, or all of it.
  Answer next(std::string_view& data) noexcept {
    const std::size_t taken = std::min(missing_, data.size());
    data.remove_prefix(taken);
    missing_ -= taken;
    if (missing_ != 0) return {};
    missing_ = size_;
    return {.kind = Answer::Kind::complete};
  }
  /// What the end of the stream means for the answer that has begun.
  static Answer end() noexcept { return {}; }

 private:
  std::size_t size_;
  std::size_t missing_;  ///< Of the answer that has begun; never 0.
};

}  // namespace load
