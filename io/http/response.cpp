#include <rota/http/response.hpp>

#include "connection.hpp"

#include <algorithm>
#include <array>

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
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 411:
      return "Length Required";
    case 412:
      return "Precondition Failed";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "";
  }
}

}  // namespace rota::http
