#include <rota/http/response.hpp>

#include "connection.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

namespace rota::http {
namespace {

bool is_token(std::string_view text) noexcept {
  static constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           marks.find(c) != std::string_view::npos;
  });
}

bool is_servers_business(std::string_view name) {
  static constexpr std::array<std::string_view, 4> reserved = {"content-length", "date",
                                                               "connection", "transfer-encoding"};
  std::string lower(name);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  });
  return std::ranges::find(reserved, lower) != reserved.end();
}

/// Source: the IANA registry of status codes. The commonest first: it is searched in order.
constexpr std::pair<int, std::string_view> phrases[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

}  // namespace

void Response::add_header(std::string name, std::string value) & {
  if (!is_token(name)) throw ValueError("not a header name: '" + name + "'");
  if (is_servers_business(name)) throw ValueError("the server itself writes the header " + name);
  if (value.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
    throw ValueError("the value of the header " + name + " contains a line end or NUL");
  }
  headers_.emplace_back(std::move(name), std::move(value));
}

Response&& Response::add_header(std::string name, std::string value) && {
  add_header(std::move(name), std::move(value));
  return std::move(*this);
}

Coro<> BodyWriter::write(std::string_view data) { return connection_.write_chunk(data); }

std::string_view reason_phrase(int status) noexcept {
  const auto* const found =
      std::ranges::find(phrases, status, &std::pair<int, std::string_view>::first);
  return found == std::end(phrases) ? std::string_view() : found->second;
}

}  // namespace rota::http
