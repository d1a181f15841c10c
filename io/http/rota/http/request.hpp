/// request.hpp: http::Request, what a handler is asked.
///
/// The head is views into the connection's buffer: valid until the handler has returned. The body
/// comes when it is asked for, so a handler may refuse it unread.
#pragma once

#include <rota/address.hpp>
#include <rota/coro.hpp>
#include <rota/detail/immovable.hpp>
#include <rota/error.hpp>
#include <rota/http/header.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

namespace rota::http {

namespace detail {
class Connection;
}  // namespace detail

/// Thrown by a handler (or by reading a body): answered with `status` and the text, and the
/// connection goes on if it can.
class HttpError : public std::runtime_error {
 public:
  HttpError(int status, const std::string& text) : std::runtime_error(text), status_(status) {}
  int status() const noexcept { return status_; }

 private:
  int status_;
};

/// One request. Thread: the connection's loop.
class Request : rota::detail::Immovable {
 public:
  std::string_view method() const noexcept { return method_; }  ///< "GET": case matters.
  std::string_view target() const noexcept { return target_; }  ///< As sent: "/a%20b?c=d".
  std::string_view path() const noexcept;   ///< The target up to "?", not decoded.
  std::string_view query() const noexcept;  ///< The target after "?", not decoded.
  /// The decoded value of `name` in the query, or `fallback`. Errors: HttpError 400 (bad escape).
  std::string query_value(std::string_view name, std::string fallback = {}) const;
  int minor_version() const noexcept { return minor_version_; }  ///< Of HTTP/1: 0 or 1.

  std::span<const Header> headers() const noexcept { return headers_; }  ///< In their order.
  /// The first header of that name, in any case; empty when there is none.
  std::string_view header(std::string_view name) const noexcept;
  /// What stands for {name} in the route's pattern, not decoded; empty when it has no such name.
  std::string_view parameter(std::string_view name) const noexcept;
  Address peername() const;  ///< Of the connection.

  /// The next piece of the body, valid until the next call; empty at its end. A client that waits
  /// for "100 Continue" gets it at the first call.
  ///
  /// Errors:   HttpError 413 (above Options::body_limit), 400 (malformed), 408 (too slow);
  ///           ConnectionResetError, when the peer has gone; CancelledError.
  /// Suspends: while nothing has come.
  Coro<std::string_view> read_some();
  /// The whole body, or what is left of it. Errors: as read_some.
  Coro<std::string> read();

 private:
  friend class detail::Connection;
  friend class Router;

  struct Parameter {
    std::string_view name;
    std::string_view value;
  };
  static constexpr std::size_t parameters_max = 8;

  explicit Request(detail::Connection& connection) noexcept : connection_(connection) {}

  detail::Connection& connection_;
  std::string_view method_;
  std::string_view target_;
  std::span<const Header> headers_;
  std::array<Parameter, parameters_max> parameters_;
  std::size_t parameter_count_ = 0;
  int minor_version_ = 1;
};

/// `text` with %XX replaced by the byte, and "+" by a space if `form`. Errors: HttpError 400.
std::string percent_decode(std::string_view text, bool form = false);

}  // namespace rota::http
