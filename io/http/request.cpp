#include <rota/http/request.hpp>

#include "connection.hpp"

#include <algorithm>

namespace rota::http {
namespace {

char lower(char character) noexcept {
  return character >= 'A' && character <= 'Z' ? static_cast<char>(character + ('a' - 'A'))
                                              : character;
}

int hex_value(char digit) noexcept {
  if (digit >= '0' && digit <= '9') return digit - '0';
  const char small = lower(digit);
  return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

/// Cuts off what comes up to `separator`, or everything.
std::string_view take_until(std::string_view& text, char separator) noexcept {
  const std::size_t at = text.find(separator);
  const std::string_view taken = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return taken;
}

}  // namespace

std::string percent_decode(std::string_view text, bool form) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
      if (high < 0 || low < 0) throw HttpError(400, "% is not followed by two hexadecimal digits");
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      decoded += form && text[i] == '+' ? ' ' : text[i];
    }
  }
  return decoded;
}

std::string_view Request::path() const noexcept { return target_.substr(0, target_.find('?')); }

std::string_view Request::query() const noexcept {
  const std::size_t at = target_.find('?');
  return at == std::string_view::npos ? std::string_view() : target_.substr(at + 1);
}

std::string Request::query_value(std::string_view name, std::string fallback) const {
  for (std::string_view left = query(); !left.empty();) {
    std::string_view pair = take_until(left, '&');
    const std::string_view key = take_until(pair, '=');
    if (percent_decode(key, true) == name) return percent_decode(pair, true);
  }
  return fallback;
}

std::string_view Request::header(std::string_view name) const noexcept {
  const auto same = [name](const Header& header) {
    return std::ranges::equal(header.name, name, {}, lower, lower);
  };
  const auto found = std::ranges::find_if(headers_, same);
  return found == headers_.end() ? std::string_view() : found->value;
}

std::string_view Request::parameter(std::string_view name) const noexcept {
  for (std::size_t i = 0; i < parameter_count_; ++i) {
    if (parameters_[i].name == name) return parameters_[i].value;
  }
  return {};
}

Address Request::peername() const { return connection_.writer().peername(); }

Coro<std::string_view> Request::read_some() { return connection_.read_body(); }

Coro<std::string> Request::read() {
  std::string whole;
  for (;;) {
    const std::string_view piece = co_await connection_.read_body();
    if (piece.empty()) co_return whole;
    whole += piece;
  }
}

}  // namespace rota::http
