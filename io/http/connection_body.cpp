/// connection_body.cpp: what comes after the head.
#include "connection.hpp"

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

namespace rota::http::detail {
namespace {

constexpr std::size_t read_bytes = std::size_t{64} * 1024;

[[noreturn]] void throw_too_large(std::size_t limit) {
  throw HttpError(413, "the body has more than " + std::to_string(limit) + " bytes");
}

}  // namespace

/// Received and not consumed.
std::string_view Connection::unread() const noexcept {
  return begin_ < buffer_.size() ? std::string_view(buffer_).substr(begin_)
                                 : std::string_view(body_).substr(body_begin_);
}

void Connection::consume(std::size_t count) noexcept {
  (begin_ < buffer_.size() ? begin_ : body_begin_) += count;
}

/// A client may take its time, but not for nothing.
void Connection::extend_body_deadline() noexcept {
  if (body_began_ == 0) body_began_ = share_.now();
  const std::size_t rate = std::max<std::size_t>(app_.options.body_rate, 1);
  const auto earned = std::chrono::seconds(body_bytes_ / rate);
  enter(Phase::body,
        app_.options.body_timeout + earned + std::chrono::nanoseconds(body_began_ - share_.now()));
}

Coro<std::string_view> Connection::read_body() {
  if (parser_.head().content_length > app_.options.body_limit) {
    throw_too_large(app_.options.body_limit);
  }
  while (!body_done_) {
    const BodyResult result = parser_.parse_body(unread());
    consume(result.consumed);
    if (result.refusal) {
      keep_alive_ = false;
      body_done_ = true;
      throw HttpError(result.refusal.status, result.refusal.reason);
    }
    body_done_ = result.done;
    body_bytes_ += result.data.size();
    if (body_bytes_ > app_.options.body_limit) throw_too_large(app_.options.body_limit);
    if (!result.data.empty()) co_return result.data;
    if (result.consumed == 0 && !body_done_) co_await receive_body();
  }
  co_return {};
}

/// What is unread becomes longer.
Coro<> Connection::receive_body() {
  if (std::exchange(continue_due_, false) && unread().empty()) {
    writer_.write("HTTP/1.1 100 Continue\r\n\r\n");
    writer_.flush();
  }
  body_.erase(0, body_begin_);
  body_begin_ = 0;
  if (begin_ < buffer_.size()) {  // it cannot grow: the head's views are into it
    body_.assign(buffer_, begin_);
    begin_ = buffer_.size();
  }
  extend_body_deadline();
  const Bytes more = co_await reader_.read(read_bytes);
  leave_phase();
  if (more.empty()) {
    peer_ended_ = true;
    throw ConnectionResetError(ECONNRESET, "the connection ended within a request's body");
  }
  body_.append(more.view());
}

/// The handler did not want all of it. True: it is read to its end, and a next request can come.
Coro<bool> Connection::discard_body() {
  static constexpr std::size_t discard_limit = std::size_t{256} * 1024;
  std::size_t discarded = 0;
  try {
    while (!body_done_ && discarded < discard_limit) discarded += (co_await read_body()).size();
  } catch (const HttpError&) {
    co_return false;  // it was answered already; now it is too large, or malformed
  }
  co_return body_done_;
}

}  // namespace rota::http::detail
