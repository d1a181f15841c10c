/// line_syntax.hpp: what a single line of an HTTP/1 request may look like.
///
/// Stricter than RFC 9112 where leniency lets two parsers read one message differently: a line ends
/// with CR LF and holds no other control character than tab; nothing is folded, trimmed or mended.
/// Knows nothing about what lines mean together: see head_rules.hpp.
#pragma once

#include "request_head.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace rota::http::detail {

/// Finds the end of a line in bytes that grow from call to call, and does not begin anew each time.
class LineFinder {
 public:
  enum class Found : std::uint8_t { nothing_yet, line, too_long, control_character };

  /// `text` begins where the line does: it is what it was in the last call, and more. A line is at
  /// most `size_max` bytes without its CRLF.
  Found find(std::string_view text, std::size_t size_max) noexcept;
  std::size_t size() const noexcept { return scanned_; }  ///< Of the line that was found.
  void restart() noexcept { scanned_ = 0; }               ///< For the line after it.

 private:
  std::size_t scanned_ = 0;  ///< So many bytes are known to be of the line.
};

struct RequestLine {
  std::string_view method;
  std::string_view target;
  int minor_version = 1;
  Refusal refusal;
};
/// "GET / HTTP/1.1". Refused with 505 if only the version is not ours, else with 400.
RequestLine parse_request_line(std::string_view line) noexcept;

/// "Name: value". Trusts LineFinder that there are no control characters.
Refusal check_field_line(std::string_view line) noexcept;

struct ChunkLine {
  std::string_view digits;  ///< Of the size, where the line begins; empty if it is malformed.
  std::uint64_t size = 0;   ///< Less than 2^63.
};
/// "1f;name=value;name=\"value\"". Extensions are checked and forgotten.
ChunkLine parse_chunk_line(std::string_view line) noexcept;

enum class Port : std::uint8_t { optional, required };
/// "host", "host:80", "[::1]:80": a name, never empty, without user and without percent signs.
bool is_authority(std::string_view text, Port port) noexcept;

/// Neither may hold control characters; `lower` holds letters in lower case, digits, and -:/ only.
inline bool equals_ignoring_case(std::string_view text, std::string_view lower) noexcept {
  if (text.size() != lower.size()) return false;
  // The bit makes a letter lower case, and only control characters something of the others.
  constexpr int case_bit = 0x20;
  int difference = 0;
  for (std::size_t i = 0; i < lower.size(); ++i) difference |= (text[i] | case_bit) ^ lower[i];
  return difference == 0;
}

/// Without spaces and tabs at both ends.
inline std::string_view without_blanks(std::string_view text) noexcept {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

}  // namespace rota::http::detail
