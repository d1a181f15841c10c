#include "line_syntax.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <limits>

namespace rota::http::detail {
namespace {

/// What a byte may be part of.
struct ByteClass {
  static constexpr std::uint8_t token = 1U << 0;   ///< Methods, names. RFC 9110, 5.6.2.
  static constexpr std::uint8_t target = 1U << 1;  ///< Visible ASCII but '#': no client sends it.
  static constexpr std::uint8_t host = 1U << 2;    ///< RFC 3986's reg-name without '%' and ','.
  static constexpr std::uint8_t hex = 1U << 3;
  static constexpr std::uint8_t digit = 1U << 4;
  static constexpr std::uint8_t quoted = 1U << 5;   ///< Between quotes. RFC 9110, 5.6.4; ASCII.
  static constexpr std::uint8_t escaped = 1U << 6;  ///< After a backslash there.
  static constexpr std::uint8_t ip = 1U << 7;       ///< Between the brackets of an IPv6 address.
};

constexpr std::array<std::uint8_t, 256> byte_classes() {
  std::array<std::uint8_t, 256> classes{};
  const auto add = [&](std::string_view bytes, unsigned what) {
    for (const char byte : bytes) {
      std::uint8_t& entry = classes.at(static_cast<unsigned char>(byte));
      entry = static_cast<std::uint8_t>(entry | what);
    }
  };
  constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  constexpr std::string_view digits = "0123456789";
  add(letters, ByteClass::token | ByteClass::host);
  add(digits, ByteClass::token | ByteClass::host | ByteClass::digit);
  add("0123456789abcdefABCDEF", ByteClass::hex | ByteClass::ip);
  add("!#$%&'*+-.^_`|~", ByteClass::token);
  // The sub-delims but the comma: "a,b" is what a proxy makes of two Host headers.
  add("-._~!$&'()*+;=", ByteClass::host);
  add(":.", ByteClass::ip);
  for (unsigned byte = 0x21; byte < 0x7f; ++byte) {
    unsigned what = classes.at(byte) | ByteClass::escaped;
    if (byte != '#') what |= ByteClass::target;
    if (byte != '"' && byte != '\\') what |= ByteClass::quoted;
    classes.at(byte) = static_cast<std::uint8_t>(what);
  }
  add(" \t", ByteClass::quoted | ByteClass::escaped);
  return classes;
}
constexpr std::array<std::uint8_t, 256> classes = byte_classes();

bool is(char byte, std::uint8_t what) noexcept {
  return (classes[static_cast<unsigned char>(byte)] & what) != 0;
}

/// How many bytes at the beginning are of the class.
std::size_t count_of(std::string_view text, std::uint8_t what) noexcept {
  std::size_t count = 0;
  while (count < text.size() && is(text[count], what)) ++count;
  return count;
}

bool all_of(std::string_view text, std::uint8_t what) noexcept {
  return count_of(text, what) == text.size();
}

bool is_control(char byte) noexcept {
  const auto value = static_cast<unsigned char>(byte);
  return (value < 0x20 && value != '\t') || value == 0x7f;
}

/// Sixteen bytes at once: how many at the beginning are no control characters.
std::size_t count_of_plain(const char* bytes) noexcept {
  using Block = unsigned char __attribute__((vector_size(16)));  // clang and g++, any machine
  Block block;
  std::memcpy(&block, bytes, sizeof block);
  const auto controls = ((block < 0x20) & (block != '\t')) | (block == 0x7f);
  auto marks = std::bit_cast<std::array<std::uint64_t, 2>>(controls);
  if constexpr (std::endian::native == std::endian::big) {
    for (std::uint64_t& half : marks) half = std::byteswap(half);
  }
  const auto bits = marks[0] != 0 ? std::countr_zero(marks[0]) : 64 + std::countr_zero(marks[1]);
  return static_cast<std::size_t>(bits) / 8;
}

/// The position of the first control character but tab; the size if there is none. The bytes before
/// `at` are known to be none.
std::size_t find_control(std::string_view text, std::size_t at) noexcept {
  constexpr std::size_t block_bytes = 16;
  if (text.size() < block_bytes) {
    while (at < text.size() && !is_control(text[at])) ++at;
    return at;
  }
  while (at < text.size()) {
    const std::size_t begin = std::min(at, text.size() - block_bytes);  // the last one overlaps
    const std::size_t count = count_of_plain(text.data() + begin);
    at = begin + count;
    if (count < block_bytes) break;
  }
  return at;
}

bool is_absolute_form(std::string_view target) noexcept {
  constexpr std::array<std::string_view, 2> schemes = {"http://", "https://"};
  for (const std::string_view scheme : schemes) {
    if (!equals_ignoring_case(target.substr(0, scheme.size()), scheme)) continue;
    const std::string_view rest = target.substr(scheme.size());
    return is_authority(rest.substr(0, rest.find_first_of("/?")), Port::optional);
  }
  return false;
}

/// The bytes of `target` are already known to be of its class.
bool is_target(std::string_view method, std::string_view target) noexcept {
  if (target.empty()) return false;
  if (method == "CONNECT") return is_authority(target, Port::required);
  if (target.front() == '/') return true;
  if (target == "*") return method == "OPTIONS";
  return is_absolute_form(target);
}

/// What the version may be refused with; sets `minor` if it is ours.
Refusal check_version(std::string_view version, int& minor) noexcept {
  const bool well_formed = version.size() == 8 && version.starts_with("HTTP/") &&
                           is(version[5], ByteClass::digit) && version[6] == '.' &&
                           is(version[7], ByteClass::digit);
  if (!well_formed) return {400, "malformed HTTP version"};
  if (version[5] != '1' || version[7] > '1') return {505, "HTTP version not supported"};
  minor = version[7] - '0';
  return {};
}

/// The size of the `"quoted string"` at the beginning; 0 if there is none, or no end of it.
std::size_t quoted_string_size(std::string_view text) noexcept {
  if (!text.starts_with('"')) return 0;
  std::size_t at = 1;
  while (at < text.size() && text[at] != '"') {
    const bool is_escape = text[at] == '\\';
    if (is_escape) ++at;  // what comes next stands for itself
    if (at == text.size() || !is(text[at], is_escape ? ByteClass::escaped : ByteClass::quoted))
      return 0;
    ++at;
  }
  return at < text.size() ? at + 1 : 0;
}

/// Whether the rest of a chunk's line is extensions, or nothing. No blanks: RFC 9112 calls them
/// bad, and a space before the ';' has been the beginning of too many attacks.
bool are_extensions(std::string_view text) noexcept {
  while (!text.empty()) {
    if (text.front() != ';') return false;
    text.remove_prefix(1);
    const std::size_t name = count_of(text, ByteClass::token);
    if (name == 0) return false;
    text.remove_prefix(name);
    if (!text.starts_with('=')) continue;
    text.remove_prefix(1);
    const std::size_t value = std::max(count_of(text, ByteClass::token), quoted_string_size(text));
    if (value == 0) return false;
    text.remove_prefix(value);
  }
  return true;
}

}  // namespace

LineFinder::Found LineFinder::find(std::string_view text, std::size_t size_max) noexcept {
  // The CR of the longest line is seen, and nothing beyond: so the answer does not depend on how
  // much has come.
  const std::string_view window = text.substr(0, size_max + 1);
  scanned_ = find_control(window, scanned_);
  if (scanned_ == window.size()) {
    return window.size() > size_max ? Found::too_long : Found::nothing_yet;
  }
  if (text[scanned_] != '\r') return Found::control_character;
  if (scanned_ + 1 == text.size()) return Found::nothing_yet;
  return text[scanned_ + 1] == '\n' ? Found::line : Found::control_character;
}

RequestLine parse_request_line(std::string_view line) noexcept {
  RequestLine result;
  result.method = line.substr(0, count_of(line, ByteClass::token));
  line.remove_prefix(result.method.size());
  if (result.method.empty() || !line.starts_with(' ')) {
    result.refusal = {400, "malformed method"};
    return result;
  }
  line.remove_prefix(1);
  result.target = line.substr(0, count_of(line, ByteClass::target));
  line.remove_prefix(result.target.size());
  if (line.starts_with(' ')) {
    result.refusal = check_version(line.substr(1), result.minor_version);
    if (result.refusal || is_target(result.method, result.target)) return result;
  }
  result.refusal = {400, "malformed request target"};
  return result;
}

Refusal check_field_line(std::string_view line) noexcept {
  const std::size_t name = count_of(line, ByteClass::token);
  if (name < line.size() && name > 0 && line[name] == ':') return {};
  if (line.starts_with(' ') || line.starts_with('\t')) return {400, "folded header line"};
  return {400, "malformed header name"};
}

ChunkLine parse_chunk_line(std::string_view line) noexcept {
  constexpr std::uint64_t size_max = std::numeric_limits<std::int64_t>::max();
  constexpr std::size_t digits_max = 16;  // leading zeros count too: nobody needs more
  const std::string_view digits = line.substr(0, count_of(line, ByteClass::hex));
  if (digits.empty() || digits.size() > digits_max) return {};
  std::uint64_t size = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), size, 16);
  if (size > size_max || !are_extensions(line.substr(digits.size()))) return {};
  return {digits, size};
}

bool is_authority(std::string_view text, Port port) noexcept {
  std::size_t host = 0;
  if (text.starts_with('[')) {
    const std::size_t inner = count_of(text.substr(1), ByteClass::ip);
    host = inner + 2;
    if (inner == 0 || text.size() < host || text[host - 1] != ']') return false;
  } else {
    host = count_of(text, ByteClass::host);
  }
  if (host == 0) return false;
  if (host == text.size()) return port == Port::optional;
  const std::string_view digits = text.substr(host + 1);
  if (text[host] != ':' || digits.size() > 5 || !all_of(digits, ByteClass::digit)) return false;
  return !digits.empty() || port == Port::optional;
}

}  // namespace rota::http::detail
