/// connection.cpp: requests in turn, and the end. Bodies and answers: connection_body.cpp,
/// connection_answer.cpp.
#include "connection.hpp"

#include <rota/loop.hpp>

#include <algorithm>
#include <exception>
#include <utility>

namespace rota::http::detail {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t read_bytes = std::size_t{64} * 1024;
/// A buffer that grew beyond this for a large head is given back when the client falls silent.
constexpr std::size_t kept_bytes = std::size_t{4} * 1024;
/// How long and how far we read on after the last answer, so that the client can read it.
constexpr std::chrono::nanoseconds linger_time = 2s;
constexpr std::size_t linger_bytes = std::size_t{1} << 20;
/// A silent connection of a server that ends may send one more request for so long.
constexpr std::chrono::nanoseconds drain_patience = 1s;

}  // namespace

Connection::Connection(const std::shared_ptr<const ServerApp>& app, Share& share,
                       StreamReader reader, StreamWriter writer)
    : app_(*app),
      share_(share),
      reader_(std::move(reader)),
      writer_(std::move(writer)),
      request_(*this) {
  share_.enter(app, *this);
  // relaxed: a limit, not a lock.
  app_.connections.fetch_add(1, std::memory_order_relaxed);
}

Connection::~Connection() {
  app_.connections.fetch_sub(1, std::memory_order_relaxed);  // relaxed: a limit, not a lock
  share_.leave(*this);
}

// --- the life of a connection -----------------------------------------------------------------

Coro<> Connection::serve() {
  try {
    // relaxed: a limit, not a lock.
    if (app_.connections.load(std::memory_order_relaxed) > app_.options.max_connections) {
      refuse(503, "too many connections");
    }
    while (!ended()) {
      if (!parse_head()) {
        if (ended()) break;
        prepare_to_receive();
        take_received(co_await reader_.read(read_bytes));
        continue;
      }
      const Handler* const handler = app_.router.find(request_);
      const bool may_wait = handler != nullptr && handler->may_wait();
      enter(Phase::handling, std::chrono::nanoseconds::max());
      Response response = handler == nullptr ? app_.router.refuse(request_)
                          : may_wait         ? Response()
                                             : call_plain(*handler);
      if (may_wait) {
        send_answers();
        response = co_await call(*handler);
      }
      decide_keep_alive(response);
      write_response(response);
      if (response.streamed()) co_await stream(std::move(response));
      if (!body_done_ && keep_alive_) {
        send_answers();
        keep_alive_ = co_await discard_body();
      }
      if (writer_.get_write_buffer_size() > read_bytes) {
        enter(Phase::writing, app_.options.write_timeout);
        co_await writer_.drain();
      }
      end_request();
    }
  } catch (const OSError&) {
    keep_alive_ = true;  // the peer has gone: nothing to linger for
    peer_ended_ = true;
  }
  co_await finish();
}

/// True: request_ is the next one. False: more must come, or the end has been decided.
bool Connection::parse_head() {
  const std::string_view bytes = std::string_view(buffer_).substr(begin_);
  if (bytes.empty()) return false;
  const HeadResult result = parser_.parse_head(bytes);
  switch (result.kind) {
    case HeadResult::Kind::need_more:
      return false;
    case HeadResult::Kind::refused:
      refuse(result.refusal.status, result.refusal.reason);
      return false;
    case HeadResult::Kind::complete:
      begin_request(result.bytes);
  }
  return true;
}

void Connection::prepare_to_receive() {
  if (phase_ == Phase::head) return;  // more of the same
  send_answers();
  buffer_.erase(0, begin_);
  begin_ = 0;
  if (buffer_.empty() && buffer_.capacity() > kept_bytes) buffer_ = std::string();
  if (body_.capacity() > kept_bytes) body_ = std::string();
  if (out_.capacity() > kept_bytes) out_ = std::string();
  enter(buffer_.empty() ? Phase::idle : Phase::head,
        buffer_.empty() ? app_.options.idle_timeout : app_.options.head_timeout);
}

void Connection::take_received(const Bytes& more) {
  peer_ended_ = more.empty();
  if (phase_ == Phase::idle) enter(Phase::head, app_.options.head_timeout);
  buffer_.append(more.view());
}

void Connection::begin_request(std::size_t head_bytes) {
  const RequestHead& head = parser_.head();
  begin_ += head_bytes;
  ++requests_;
  keep_alive_ = head.keep_alive;
  body_done_ = head.framing == Framing::none;
  continue_due_ = head.expects_continue && !body_done_;
  body_bytes_ = 0;
  body_began_ = 0;
  request_.method_ = head.method;
  request_.target_ = head.target;
  request_.headers_ = head.headers;
  request_.minor_version_ = head.minor_version;
  request_.parameter_count_ = 0;
  share_.answered.add(1);
}

/// What was received after the body is the beginning of the next head.
void Connection::end_request() {
  leave_phase();
  streaming_ = false;
  if (body_.empty()) return;
  buffer_.assign(body_, body_begin_);
  begin_ = 0;
  body_.clear();
  body_begin_ = 0;
}

/// Answers what is not given to a handler; it is the last answer.
void Connection::refuse(int status, std::string_view reason) {
  keep_alive_ = false;
  body_done_ = true;
  share_.refused.add(1);
  request_.method_ = {};
  request_.minor_version_ = 1;
  write_response(Response::error(status, std::string(reason)));
  send_answers();
}

Coro<> Connection::finish() {
  leave_phase();
  send_answers();
  if (!keep_alive_ && !peer_ended_) co_await linger();
  // Closing is sending too: a peer that takes nothing is cut off.
  enter(Phase::writing, app_.options.write_timeout);
  writer_.close();
  try {
    co_await writer_.wait_closed();
  } catch (const OSError&) {
    (void)std::current_exception();  // it had gone already
  }
}

Coro<> Connection::linger() {
  enter(Phase::lingering, linger_time);
  writer_.write_eof();
  try {
    for (std::size_t total = 0; total < linger_bytes;) {
      const Bytes ignored = co_await reader_.read(read_bytes);
      if (ignored.empty()) break;
      total += ignored.size();
    }
  } catch (const OSError&) {
    (void)std::current_exception();  // it has gone
  }
}

// --- time limits ------------------------------------------------------------------------------

void Connection::enter(Phase phase, std::chrono::nanoseconds limit) noexcept {
  phase_ = phase;
  const std::int64_t room = no_deadline - share_.now();
  deadline_ = limit.count() < room ? share_.now() + limit.count() : no_deadline;
  if (phase == Phase::idle && share_.draining()) begin_drain(limit);
}

void Connection::leave_phase() noexcept {
  phase_ = Phase::handling;
  deadline_ = no_deadline;
}

void Connection::begin_drain(std::chrono::nanoseconds patience) noexcept {
  if (phase_ != Phase::idle) return;
  patience = std::min(patience, drain_patience);
  deadline_ = std::min(deadline_, share_.now() + patience.count());
}

void Connection::check_deadline(std::int64_t now) {
  if (now < deadline_) return;
  deadline_ = no_deadline;
  switch (phase_) {
    case Phase::head:
    case Phase::body:
      if (streaming_) {  // no room for another answer
        writer_.abort();
        break;
      }
      refuse(408, phase_ == Phase::head ? "the request head took too long"
                                        : "the request body took too long");
      [[fallthrough]];
    case Phase::idle:
    case Phase::lingering:
    case Phase::handling:
      writer_.close();  // ends what it reads; the coroutine sees the rest to its end
      break;
    case Phase::writing:
      share_.refused.add(1);
      writer_.abort();
  }
}

}  // namespace rota::http::detail
