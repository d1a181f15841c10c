/// load_connection.cpp: opens, sends, takes what comes, and counts how it ends.
#include "load_connection.hpp"

#include <rota/error.hpp>
#include <rota/sleep.hpp>
#include <rota/timeout.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

namespace load {
namespace {

using namespace std::chrono_literals;

constexpr rota::Duration first_pause = 10ms;
constexpr rota::Duration longest_pause = 1s;  // a server that comes back is found this soon
constexpr std::size_t read_bytes = std::size_t{64} * 1024;

std::variant<EchoParser, ResponseParser> parser_for(const Options& options) {
  if (options.mode == Mode::http) return ResponseParser();
  return EchoParser(options.size);
}

}  // namespace

Connection::Connection(const Plan& plan, Stats& stats, unsigned number)
    : plan_(plan), stats_(stats), number_(number), parser_(parser_for(plan.options)) {}

rota::Coro<> Connection::run() {
  rota::Duration pause = first_pause;
  for (;;) {
    const std::uint64_t answered_before = answered_;
    std::optional<rota::Connection> connection = co_await open();
    if (connection) {
      co_await converse(*connection);
      connection.reset();
      if (end_ == End::orderly) continue;
    }
    if (answered_ != answered_before) pause = first_pause;
    co_await rota::sleep(pause);
    pause = std::min(2 * pause, longest_pause);
  }
}

rota::Coro<std::optional<rota::Connection>> Connection::open() {
  const Options& options = plan_.options;
  try {
    co_return co_await rota::timeout(options.timeout,
                                     rota::open_connection(options.host, options.port));
  } catch (const rota::OSError&) {
    count_errors(Failure::connect, 1, rota::get_running_loop().time());
  } catch (const rota::TimeoutError&) {
    count_errors(Failure::connect, 1, rota::get_running_loop().time());
  }
  co_return std::nullopt;
}

/// While it lives, the connection may be written to; so it ends with the coroutine that made it,
/// however that ends.
struct Connection::Session {
  Session(Connection& connection, rota::StreamWriter& writer) : owner(connection) {
    owner.begin(writer);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() {
    if (owner.timer_) owner.timer_->cancel();
    owner.timer_.reset();
    owner.writer_ = nullptr;
  }
  Connection& owner;
};

rota::Coro<> Connection::converse(rota::Connection& connection) {
  const Session session(*this, connection.writer);
  rota::EventLoop& loop = rota::get_running_loop();
  bool at_end = false;
  try {
    for (bool goes_on = true; goes_on;) {
      const rota::Bytes data = co_await connection.reader.read(read_bytes);
      at_end = data.empty();
      goes_on = !at_end && take(data.view(), loop.time());
    }
  } catch (const rota::OSError&) {
    at_end = false;  // it was reset: that ends no body
  }
  finish(at_end);
}

void Connection::begin(rota::StreamWriter& writer) {
  writer_ = &writer;
  parser_ = parser_for(plan_.options);
  end_ = End::lost;
  in_flight_ = 0;
  send_more(rota::get_running_loop().time());
}

void Connection::finish(bool at_end_of_stream) {
  const rota::TimePoint now = rota::get_running_loop().time();
  if (at_end_of_stream && end_ == End::lost) {
    const Answer answer = std::visit([](auto& parser) { return parser.end(); }, parser_);
    if (answer.kind == Answer::Kind::complete) take_answer(answer, now);
  }
  switch (end_) {
    case End::lost:
      count_errors(Failure::lost, in_flight_, now);
      break;
    case End::timeout:
      count_errors(Failure::timeout, in_flight_, now);
      break;
    case End::malformed:
      count_errors(Failure::malformed, std::max<std::size_t>(in_flight_, 1), now);
      break;
    case End::orderly:
      sent_ -= in_flight_;  // those behind the last answer are sent again
      break;
  }
  in_flight_ = 0;
}

/// False: the connection is of no more use.
bool Connection::take(std::string_view data, rota::TimePoint now) {
  if (plan_.measures(now)) stats_.bytes_read += data.size();
  const auto next = [&data](auto& parser) { return parser.next(data); };
  for (;;) {
    const Answer answer = std::visit(next, parser_);
    if (answer.kind == Answer::Kind::incomplete) break;
    if (!take_answer(answer, now)) return false;
  }
  send_more(now);
  return true;
}

bool Connection::take_answer(const Answer& answer, rota::TimePoint now) {
  if (answer.kind == Answer::Kind::malformed || in_flight_ == 0) {  // or nobody asked
    end_ = End::malformed;
    return false;
  }
  const rota::TimePoint start = is_paced() ? plan_.start_of(number_, sent_ - in_flight_) : sent_at_;
  if (plan_.measures(now)) stats_.latency.add(static_cast<std::uint64_t>((now - start).count()));
  if (!answer.ok) count_errors(Failure::status, 1, now);
  --in_flight_;
  ++answered_;
  waiting_since_ = now;
  if (answer.last) end_ = End::orderly;
  return !answer.last;
}

void Connection::send_more(rota::TimePoint now) {
  if (is_paced()) {
    send_due(now);
  } else if (in_flight_ == 0) {
    send(plan_.options.pipeline, now);
  }
}

void Connection::send_due(rota::TimePoint now) {
  const std::size_t room = plan_.options.pipeline - in_flight_;
  std::size_t due = 0;
  while (due < room && plan_.start_of(number_, sent_ + due) <= now) ++due;
  if (due > 0) send(due, now);
  if (due == room || timer_) return;  // an answer comes first; or an old timer, which looks again
  timer_ = rota::get_running_loop().call_at(plan_.start_of(number_, sent_), [this] {
    timer_.reset();
    send_due(rota::get_running_loop().time());
  });
}

void Connection::send(std::size_t count, rota::TimePoint now) {
  if (in_flight_ == 0) waiting_since_ = now;
  writer_->write(plan_.requests.batch(sent_, count));
  sent_at_ = now;
  sent_ += count;
  in_flight_ += count;
}

void Connection::count_errors(Failure failure, std::uint64_t count, rota::TimePoint now) {
  if (plan_.measures(now)) stats_.errors[static_cast<std::size_t>(failure)] += count;
}

void Connection::check_timeout(rota::TimePoint now) {
  if (writer_ == nullptr || in_flight_ == 0 || now - waiting_since_ < plan_.options.timeout) return;
  end_ = End::timeout;
  writer_->abort();  // ends the read
}

std::uint64_t Connection::unanswered_by(rota::TimePoint time) const noexcept {
  if (!is_paced()) return 0;
  const std::uint64_t due = plan_.due_before(number_, time);
  const std::uint64_t dealt_with = sent_ - in_flight_;
  return due > dealt_with ? due - dealt_with : 0;
}

}  // namespace load
