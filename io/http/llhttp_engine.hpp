/// llhttp_engine.hpp: llhttp, and the one way in which it is used here.
///
/// It is given only what our own checks have let through, one syntactic unit per call, and each
/// call says what llhttp must make of the unit. Everything else is a disagreement about the
/// message, and the message is refused: so neither its leniencies nor its bugs can move the end of
/// a message.
#pragma once

#include "request_head.hpp"

#include <cstddef>
#include <cstdint>
#include <llhttp.h>
#include <string_view>

namespace rota::http::detail {

/// All functions return whether llhttp agrees. After a disagreement only parse_head() may be
/// called.
class LlhttpEngine {
 public:
  /// Fills head.headers out of `fields`, which is `lines` header lines and the empty line, and
  /// follows a line end. Needs head.minor_version.
  ///
  /// The request line is not shown to llhttp. It knows a fixed list of methods, is lenient about
  /// the rest, and what matters to it for the framing is only the version.
  ///
  /// Errors: std::bad_alloc.
  bool parse_head(std::string_view fields, std::size_t lines, RequestHead& head);
  /// How llhttp would find the end of the body.
  Framing framing() const noexcept { return framing_; }
  std::uint64_t content_length() const noexcept { return content_length_; }

  bool begin_chunk(std::string_view digits, std::uint64_t size) noexcept;
  bool take_data(std::string_view piece) noexcept;  ///< A part of the chunk's data, not empty.
  bool end_chunk() noexcept;
  bool take_trailer(std::string_view line) noexcept;  ///< With its CRLF.
  bool end_trailers() noexcept;

 private:
  /// What a unit made happen.
  struct Event {
    static constexpr unsigned none = 0;
    static constexpr unsigned head_done = 1U << 0;
    static constexpr unsigned chunk_begun = 1U << 1;
    static constexpr unsigned data = 1U << 2;
    static constexpr unsigned message_done = 1U << 3;
    static constexpr unsigned disagreement = 1U << 4;  ///< Found by a callback.
  };

  static const llhttp_settings_t settings;
  static llhttp_t after_request_line(std::string_view line) noexcept;
  static LlhttpEngine& of(llhttp_t* parser) noexcept;
  static int on_name(llhttp_t* parser, const char* data, std::size_t size) noexcept;
  static int on_value(llhttp_t* parser, const char* data, std::size_t size) noexcept;
  static int on_head(llhttp_t* parser) noexcept;
  static int on_chunk(llhttp_t* parser) noexcept;
  static int on_data(llhttp_t* parser, const char* data, std::size_t size) noexcept;
  static int on_message(llhttp_t* parser) noexcept;

  /// Whether llhttp takes all of it.
  bool run(std::string_view bytes) noexcept;
  /// And whether exactly these events happen.
  bool feed(std::string_view bytes, unsigned events) noexcept;

  llhttp_t llhttp_{};
  RequestHead* head_ = nullptr;  ///< That is being filled; null while in a body.
  std::size_t lines_ = 0;        ///< Headers that the head must have.
  std::string_view data_;        ///< What on_data() must be told.
  std::uint64_t content_length_ = 0;
  unsigned events_ = 0;
  Framing framing_ = Framing::none;
};

}  // namespace rota::http::detail
