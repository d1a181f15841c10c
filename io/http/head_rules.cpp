#include "head_rules.hpp"

#include "line_syntax.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <system_error>

namespace rota::http::detail {
namespace {

/// The header lines that have a meaning here.
struct KnownHeaders {
  const Header* host = nullptr;
  const Header* content_length = nullptr;
  const Header* transfer_encoding = nullptr;
  bool has_upgrade = false;
  bool lists_close = false;  ///< In Connection, as the next two.
  bool lists_keep_alive = false;
  bool lists_upgrade = false;
  bool wants_continue = false;
};

/// Calls `visit` for each member of a comma-separated list, without the blanks around it.
template <typename Visit>
void for_each_member(std::string_view list, Visit visit) {
  for (;;) {
    const std::size_t end = std::min(list.find(','), list.size());
    visit(without_blanks(list.substr(0, end)));
    if (end == list.size()) return;
    list.remove_prefix(end + 1);
  }
}

void note_connection(std::string_view value, KnownHeaders& known) noexcept {
  for_each_member(value, [&](std::string_view member) {
    if (equals_ignoring_case(member, "close")) known.lists_close = true;
    if (equals_ignoring_case(member, "keep-alive")) known.lists_keep_alive = true;
    if (equals_ignoring_case(member, "upgrade")) known.lists_upgrade = true;
  });
}

/// False if there was one already: two could be read as the first or as the last.
bool note_once(const Header& header, const Header*& place) noexcept {
  if (place != nullptr) return false;
  place = &header;
  return true;
}

/// The size tells most headers apart, so that the names of few are compared.
Refusal note(const Header& header, KnownHeaders& known) noexcept {
  const auto named = [&](std::string_view lower) {
    return equals_ignoring_case(header.name, lower);
  };
  switch (header.name.size()) {
    case 4:
      if (named("host") && !note_once(header, known.host)) return {400, "several Host headers"};
      break;
    case 6:
      if (named("expect"))
        known.wants_continue = equals_ignoring_case(header.value, "100-continue");
      break;
    case 7:
      if (named("upgrade")) known.has_upgrade = true;
      break;
    case 10:
      if (named("connection")) note_connection(header.value, known);
      break;
    case 14:
      if (named("content-length") && !note_once(header, known.content_length))
        return {400, "several Content-Length headers"};
      break;
    case 17:
      if (named("transfer-encoding") && !note_once(header, known.transfer_encoding))
        return {400, "several Transfer-Encoding headers"};
      break;
    default:
      break;
  }
  return {};
}

Refusal check_host(const RequestHead& head, const Header* host) noexcept {
  if (host == nullptr) {
    return head.minor_version == 0 ? Refusal{} : Refusal{400, "no Host header"};
  }
  return is_authority(host->value, Port::optional) ? Refusal{}
                                                   : Refusal{400, "malformed Host header"};
}

/// "chunked" and nothing else is what we can decode.
Refusal check_codings(std::string_view value) noexcept {
  bool is_last_chunked = false;
  bool has_other = false;
  bool is_malformed = false;
  for_each_member(value, [&](std::string_view member) {
    is_malformed |= member.empty() || is_last_chunked;  // chunked came, and something after it
    is_last_chunked = equals_ignoring_case(member, "chunked");
    has_other |= !is_last_chunked;
  });
  // Without chunked at the end nobody knows where the body ends: RFC 9112, 6.3, item 4.
  if (is_malformed || !is_last_chunked) return {400, "chunked is not the last transfer coding"};
  return has_other ? Refusal{501, "transfer coding not implemented"} : Refusal{};
}

/// Digits only, less than 2^63, no leading zero: "010" is eight to some.
bool parse_length(std::string_view value, std::uint64_t& length) noexcept {
  constexpr std::uint64_t length_max = std::numeric_limits<std::int64_t>::max();
  if (value.size() > 1 && value.front() == '0') return false;
  // It takes no sign, no blank and no prefix.
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), length);
  return error == std::errc() && end == value.data() + value.size() && length <= length_max;
}

Refusal set_framing(RequestHead& head, const KnownHeaders& known) noexcept {
  head.framing = Framing::none;
  head.content_length = 0;
  if (known.content_length == nullptr && known.transfer_encoding == nullptr) return {};
  if (head.method == "CONNECT") return {400, "CONNECT with a body"};  // its meaning is not defined
  if (known.transfer_encoding == nullptr) {
    if (!parse_length(known.content_length->value, head.content_length))
      return {400, "malformed Content-Length"};
    if (head.content_length > 0) head.framing = Framing::length;
    return {};
  }
  if (known.content_length != nullptr) return {400, "both Content-Length and Transfer-Encoding"};
  if (head.minor_version == 0) return {400, "Transfer-Encoding with HTTP/1.0"};
  head.framing = Framing::chunked;
  return check_codings(known.transfer_encoding->value);
}

}  // namespace

Refusal apply_head_rules(RequestHead& head) noexcept {
  KnownHeaders known;
  for (const Header& header : head.headers) {
    if (const Refusal refusal = note(header, known)) return refusal;
  }
  if (const Refusal refusal = check_host(head, known.host)) return refusal;
  if (const Refusal refusal = set_framing(head, known)) return refusal;
  const bool is_newest = head.minor_version == 1;
  head.keep_alive = !known.lists_close && (is_newest || known.lists_keep_alive);
  head.expects_continue = is_newest && known.wants_continue && head.framing != Framing::none;
  head.upgrade =
      head.method == "CONNECT" || (is_newest && known.has_upgrade && known.lists_upgrade);
  return {};
}

bool is_forbidden_trailer(std::string_view name) noexcept {
  constexpr std::array<std::string_view, 7> names = {
      "connection", "content-length", "expect", "host", "te", "transfer-encoding", "upgrade"};
  return std::ranges::any_of(
      names, [&](std::string_view lower) { return equals_ignoring_case(name, lower); });
}

}  // namespace rota::http::detail
