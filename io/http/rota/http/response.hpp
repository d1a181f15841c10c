/// response.hpp: http::Response, what a handler answers.
#pragma once

#include <rota/coro.hpp>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace rota::http {

namespace detail {
class Connection;
}  // namespace detail

/// A string literal: a view that stays valid.
class Literal {
 public:
  consteval Literal(const char* text) : view_(text) {}
  constexpr std::string_view view() const noexcept { return view_; }

 private:
  std::string_view view_;
};

/// Where a streamed body goes: each write is a chunk. Thread: the connection's loop.
class BodyWriter {
 public:
  explicit BodyWriter(detail::Connection& connection) noexcept : connection_(connection) {}

  /// Sends `data` (nothing, when empty), which need not outlive the call.
  /// Errors: ConnectionResetError; CancelledError. Suspends: while the peer is slow to read.
  Coro<> write(std::string_view data);

 private:
  detail::Connection& connection_;
};

/// An answer. Content-Length, Date, Connection and Transfer-Encoding are the server's business.
// The analyzer does not see that co_await gives what the handler returned.
// NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Assign)
class Response {
 public:
  using Producer = std::function<Coro<>(BodyWriter&)>;

  Response() = default;  ///< 200, without a body.
  explicit Response(std::string body, Literal content_type = "text/plain; charset=utf-8",
                    int status = 200)
      : status_(status), content_type_(content_type.view()), body_(std::move(body)) {}
  /// `text` as plain text: Response::error(404, "no such tile").
  static Response error(int status, std::string text) {
    return Response(std::move(text) + '\n', "text/plain; charset=utf-8", status);
  }
  /// A body that `producer(BodyWriter&)` writes, of no length known before: chunked for HTTP/1.1;
  /// for HTTP/1.0 the end of the connection is its end. What it throws ends the connection.
  static Response stream(Producer producer, Literal content_type = "text/plain; charset=utf-8") {
    Response response({}, content_type);
    response.producer_ = std::make_unique<Producer>(std::move(producer));
    return response;
  }

  int status() const noexcept { return status_; }
  std::string_view content_type() const noexcept { return content_type_; }
  const std::string& body() const noexcept { return body_; }
  bool streamed() const noexcept { return producer_ != nullptr; }

  /// Adds a header line. Errors: ValueError (not a header name; CR, LF or NUL in the value; a
  /// header that is the server's business).
  Response&& add_header(std::string name, std::string value) &&;
  void add_header(std::string name, std::string value) &;
  const std::vector<std::pair<std::string, std::string>>& headers() const noexcept {
    return headers_;
  }

 private:
  friend class detail::Connection;

  int status_ = 200;
  std::string_view content_type_;  ///< Of a literal. Empty: no such line.
  std::string body_;
  std::vector<std::pair<std::string, std::string>> headers_;
  std::unique_ptr<Producer> producer_;
};

/// "Not Found" for 404; empty for what is unknown.
std::string_view reason_phrase(int status) noexcept;

}  // namespace rota::http
