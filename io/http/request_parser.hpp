/// request_parser.hpp: HTTP/1 requests out of bytes, one after the other. It does no I/O.
///
/// Two parsers have to agree: our own checks (line_syntax.hpp, head_rules.hpp), which refuse
/// whatever is ambiguous, and llhttp (llhttp_engine.hpp). What is refused is never mended: the
/// caller answers with the refusal's status and closes, because nobody knows where the next request
/// would begin.
///
///     parse_head() until complete; serve head(), and meanwhile
///     parse_body() until done;     then again, with the bytes that follow.
///
/// No answer depends on how the bytes were cut, and every view that is given out points into the
/// caller's bytes. Once headers has grown, a request allocates nothing.
/// Source: RFC 9112; RFC 9110, chapters 5 to 7.
#pragma once

#include "line_syntax.hpp"
#include "llhttp_engine.hpp"
#include "request_head.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace rota::http::detail {

/// What a request may take. Its body is the caller's to limit, by content_length and as it comes.
struct Limits {
  std::size_t head_bytes = std::size_t{32} * 1024;  ///< With the empty lines before it. Else 431.
  std::size_t line_bytes = std::size_t{8} * 1024;   ///< Without CRLF. Else 414 (the first) or 431.
  std::size_t headers = 100;                        ///< Else 431.
  std::size_t chunk_line_bytes = 256;               ///< With extensions, without CRLF. Else 400.
  std::size_t trailer_bytes = std::size_t{8} * 1024;  ///< With CRLFs. Else 431.
  std::size_t trailers = 32;                          ///< Else 431.
};

struct HeadResult {
  enum class Kind : std::uint8_t { need_more, complete, refused };

  Kind kind = Kind::need_more;
  std::size_t bytes = 0;  ///< Of the head, with its empty line. What follows is body or next head.
  Refusal refusal;
};

/// When neither something was consumed, nor done, nor refused, more bytes are needed.
struct BodyResult {
  std::size_t consumed = 0;  ///< Bytes of the input that must not be given again.
  std::string_view data;     ///< The next piece of the body, among those bytes. May be empty.
  bool done = false;         ///< What follows the consumed bytes is the next request.
  Refusal refusal;
};

/// One for each connection. After a refusal it gives the same refusal for ever.
class RequestParser {
 public:
  explicit RequestParser(const Limits& limits = {}) noexcept : limits_(limits) {}

  /// Looks for a whole head. `buffer` begins where the request does, and is what it was in the last
  /// call and more; it may have moved. Not while a body is unread.
  ///
  /// Errors: std::bad_alloc.
  HeadResult parse_head(std::string_view buffer);

  /// The request of the last complete parse_head(). Good until the next one.
  const RequestHead& head() const noexcept { return head_; }

  /// Takes the next piece of the body out of `input`, which begins with the first byte that was not
  /// consumed. At once done if there is no body.
  BodyResult parse_body(std::string_view input) noexcept;

  bool in_body() const noexcept { return state_ != State::head && state_ != State::refused; }

 private:
  enum class State : std::uint8_t {
    head,
    fixed_body,  ///< left_ bytes are to come, at least one.
    chunk_line,
    chunk_data,  ///< left_ bytes of the chunk are to come, at least one.
    chunk_end,   ///< The CRLF after them is.
    trailers,
    refused,
  };

  HeadResult refuse_head(Refusal refusal) noexcept;
  Refusal refusal_of(LineFinder::Found found) const noexcept;
  Refusal take_head_line(std::string_view line) noexcept;
  HeadResult finish_head(std::string_view whole);
  Refusal read_head(std::string_view whole);
  void begin_head() noexcept;

  // Of a body: each returns how many bytes it consumed; 0 if it needs more or has refused.
  std::size_t take_fixed(std::string_view input, BodyResult& result) noexcept;
  std::size_t take_chunk_line(std::string_view input) noexcept;
  std::size_t take_chunk_data(std::string_view input, BodyResult& result) noexcept;
  std::size_t take_chunk_end(std::string_view input) noexcept;
  std::size_t take_trailer(std::string_view input, BodyResult& result) noexcept;
  std::size_t end_body(std::size_t consumed, BodyResult& result) noexcept;
  std::size_t refuse(Refusal refusal) noexcept;

  Limits limits_;
  State state_ = State::head;
  LineFinder line_;                ///< The line that is being looked for.
  std::size_t line_begin_ = 0;     ///< Where it begins, in the head.
  std::size_t request_begin_ = 0;  ///< Where the request line does.
  std::size_t fields_begin_ = 0;   ///< And what follows it.
  std::size_t method_size_ = 0;    ///< 0 until there is a request line.
  std::size_t target_size_ = 0;
  std::size_t empty_lines_ = 0;  ///< Before the request line.
  std::size_t fields_ = 0;       ///< Lines of the head, or of the trailers.
  std::size_t trailer_bytes_ = 0;
  std::uint64_t left_ = 0;  ///< Of the body, or of its chunk.
  Refusal refusal_;
  RequestHead head_;
  LlhttpEngine llhttp_;
};

}  // namespace rota::http::detail
