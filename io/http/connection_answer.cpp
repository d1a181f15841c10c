/// connection_answer.cpp: calling the handler, and writing what it answers.
#include <rota/loop.hpp>

#include "connection.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <exception>
#include <utility>

namespace rota::http::detail {
namespace {

/// Of a body that the handler did not read, this much is worth reading for the connection's sake.
constexpr std::uint64_t discard_limit = std::uint64_t{256} * 1024;
/// From here on head and body are written apart, so that the body is sent from where it lies.
constexpr std::size_t large_body = std::size_t{16} * 1024;

/// These have no body, and say no length of it (RFC 9110, 6.4.1 and 8.6).
bool is_bodiless(int status) noexcept { return status < 200 || status == 204 || status == 304; }

/// The fixed text of the longest head, with room for its numbers and its reason.
constexpr std::size_t most_of_a_head = 256;

/// Writes into memory that is large enough: a head is a dozen small pieces, and asking for each
/// whether it fits would cost more than copying it.
class HeadWriter {
 public:
  explicit HeadWriter(char* text) noexcept : at_(text) {}
  void put(std::string_view text) noexcept { at_ += text.copy(at_, text.size()); }
  void put(std::size_t number) noexcept { at_ = std::to_chars(at_, at_ + 20, number).ptr; }
  char* end() const noexcept { return at_; }

 private:
  char* at_;
};

}  // namespace

Response Connection::call_plain(const Handler& handler) {
  try {
    return std::get<Handler::Plain>(handler.function_)(request_);
  } catch (...) {
    return answer_to(std::current_exception());
  }
}

Coro<Response> Connection::call(const Handler& handler) {
  std::exception_ptr error;
  try {
    co_return co_await std::get<Handler::Async>(handler.function_)(request_);
  } catch (const CancelledError&) {
    throw;
  } catch (const OSError&) {
    if (peer_ended_) throw;  // nobody to answer
    error = std::current_exception();
  } catch (...) {
    error = std::current_exception();
  }
  co_return answer_to(error);
}

Response Connection::answer_to(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const HttpError& known) {
    return Response::error(known.status(), known.what());
  } catch (...) {
    get_running_loop().call_exception_handler({"Unhandled exception in an HTTP handler (" +
                                                   std::string(request_.method()) + " " +
                                                   std::string(request_.path()) + ")",
                                               error});
    return Response::error(500, "internal server error");
  }
}

void Connection::decide_keep_alive(const Response& response) noexcept {
  const bool last = share_.draining() && unread().empty();
  const bool enough = app_.options.max_requests != 0 && requests_ >= app_.options.max_requests;
  const bool unknown_end = response.streamed() && request_.minor_version() == 0;
  // Whether a body that was not asked for still comes is for the client to know.
  const bool too_much_unread =
      !body_done_ && (continue_due_ || parser_.head().content_length > discard_limit);
  if (last || enough || unknown_end || too_much_unread) keep_alive_ = false;
}

/// Collects it. It leaves with send_answers(): what a client has pipelined is answered in one go.
void Connection::write_response(const Response& response) {
  const bool has_body =
      !response.streamed() && !is_bodiless(response.status()) && request_.method() != "HEAD";
  append_head(response);
  if (has_body && response.body().size() >= large_body) {
    send_answers();
    writer_.write(response.body());
  } else if (has_body) {
    out_ += response.body();
  }
  if (out_.size() >= large_body) send_answers();
}

void Connection::send_answers() {
  if (out_.empty()) return;
  writer_.write(out_);
  out_.clear();
}

void Connection::append_head(const Response& response) {
  const bool bodiless = is_bodiless(response.status());
  chunked_ = response.streamed() && request_.minor_version() == 1;
  std::size_t bytes = most_of_a_head + response.content_type().size() + share_.date_line().size();
  for (const auto& [name, value] : response.headers()) bytes += name.size() + value.size() + 4;
  const std::size_t begin = out_.size();
  out_.resize_and_overwrite(begin + bytes, [&](char* text, std::size_t) {
    HeadWriter head(text + begin);
    if (response.status() == 200) {
      head.put("HTTP/1.1 200 OK\r\n");
    } else {
      head.put("HTTP/1.1 ");
      head.put(static_cast<std::size_t>(response.status()));
      head.put(" ");
      head.put(reason_phrase(response.status()));
      head.put("\r\n");
    }
    if (chunked_) {
      head.put("Transfer-Encoding: chunked\r\n");
    } else if (!response.streamed() && !bodiless) {
      head.put("Content-Length: ");
      head.put(response.body().size());
      head.put("\r\n");
    }
    if (!response.content_type().empty()) {
      head.put("Content-Type: ");
      head.put(response.content_type());
      head.put("\r\n");
    }
    head.put(share_.date_line());
    if (!keep_alive_) {
      head.put("Connection: close\r\n");
    } else if (request_.minor_version() == 0) {
      head.put("Connection: keep-alive\r\n");
    }
    for (const auto& [name, value] : response.headers()) {
      head.put(name);
      head.put(": ");
      head.put(value);
      head.put("\r\n");
    }
    head.put("\r\n");
    return head.end() - text;
  });
}

// --- streamed bodies --------------------------------------------------------------------------

Coro<> Connection::stream(Response response) {
  send_answers();
  if (request_.method() == "HEAD" || is_bodiless(response.status())) co_return;
  streaming_ = true;
  BodyWriter writer(*this);
  std::exception_ptr error;
  try {
    co_await (*response.producer_)(writer);
  } catch (const CancelledError&) {
    throw;
  } catch (const OSError&) {
    throw;
  } catch (...) {
    error = std::current_exception();
  }
  if (error) {
    get_running_loop().call_exception_handler({"Unhandled exception in a streamed body", error});
    keep_alive_ = false;
    writer_.abort();  // so that the client sees that it is not whole
  } else if (chunked_) {
    writer_.write("0\r\n\r\n");
  }
}

Coro<> Connection::write_chunk(std::string_view data) {
  if (data.empty()) co_return;
  if (chunked_) {
    std::array<char, 24> digits;
    const auto end =
        std::to_chars(digits.data(), digits.data() + digits.size(), data.size(), 16).ptr;
    writer_.writelines({std::string_view(digits.data(), end), "\r\n", data, "\r\n"});
  } else {
    writer_.write(data);
  }
  enter(Phase::writing, app_.options.write_timeout);
  co_await writer_.drain();
  leave_phase();
}

}  // namespace rota::http::detail
