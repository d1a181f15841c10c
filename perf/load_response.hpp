/// load_response.hpp: ResponseParser, which finds where one HTTP/1.1 response ends and the next
/// begins.
///
/// Framing only (RFC 9112, sections 4, 6 and 7): the status, Content-Length, chunks, bodies that
/// end with the connection, and whether the connection lives on. It knows of no HEAD requests and
/// of no upgrades, since none are sent, and wants lines to end in CR LF.
#pragma once

#include "load_answer.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace load {

/// The responses of one connection, fed in pieces that may end anywhere.
class ResponseParser {
 public:
  /// Takes from the front of `data` up to the end of one response, or all of it. After a malformed
  /// one it gives nothing else.
  Answer next(std::string_view& data);
  /// The stream has ended, which completes a body that has no other end.
  Answer end() noexcept;

 private:
  enum class State : std::uint8_t {
    head,
    body,  ///< missing_ bytes.
    chunk_size,
    chunk,  ///< missing_ bytes.
    chunk_end,
    trailer,
    until_end,  ///< A body that ends with the connection.
    complete,
    malformed,
  };

  std::optional<std::string_view> take_until(std::string_view end, std::string_view& data);
  void skip(std::string_view& data) noexcept;
  void read_head(std::string_view head) noexcept;
  bool read_status(std::string_view line) noexcept;
  bool read_field(std::string_view line) noexcept;
  State after_head() const noexcept;
  void read_line(std::string_view line) noexcept;
  void read_chunk_size(std::string_view line) noexcept;

  State state_ = State::head;
  std::uint64_t missing_ = 0;
  std::string kept_;   ///< The beginning of a head or line whose end has not come.
  std::string whole_;  ///< What take_until() gave, if it had to be put together.

  // Of the present response's head:
  int status_ = 0;
  bool last_ = false;
  bool chunked_ = false;
  bool coded_ = false;  ///< There is a Transfer-Encoding.
  std::optional<std::uint64_t> length_;
};

}  // namespace load
