/// load_connection.hpp: Connection, one client that sends requests and times the answers.
///
/// Closed loop: a batch of --pipeline requests goes out in one write when all answers to the last
/// one are there. Open loop: a request goes out when its planned start has come and fewer than
/// --pipeline are in flight, else as soon as that is so; a timer stands for the next start. The
/// clock is read once for each piece of data that comes in. A connection that fails is opened
/// again, after a pause that grows while nothing is answered.
#pragma once

#include <rota/clock.hpp>
#include <rota/connection.hpp>
#include <rota/coro.hpp>
#include <rota/loop.hpp>

#include "load_answer.hpp"
#include "load_plan.hpp"
#include "load_response.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <variant>

namespace load {

/// Belongs to one loop. Stays where it is: a timer of it may be running.
class Connection {
 public:
  /// `number`: among all connections of the run, from 0.
  Connection(const Plan& plan, Stats& stats, unsigned number);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Until it is cancelled.
  rota::Coro<> run();
  /// Ends the connection if an answer is overdue. To be called now and then: a timer for each
  /// request would cost more than the request.
  void check_timeout(rota::TimePoint now);
  bool was_answered() const noexcept { return answered_ > 0; }
  /// Open loop: requests that were due by `time` and are not answered.
  std::uint64_t unanswered_by(rota::TimePoint time) const noexcept;

 private:
  /// How the present connection ends.
  enum class End : std::uint8_t { lost, timeout, malformed, orderly };
  struct Session;

  rota::Coro<std::optional<rota::Connection>> open();
  rota::Coro<> converse(rota::Connection& connection);
  void begin(rota::StreamWriter& writer);
  void finish(bool at_end_of_stream);
  bool take(std::string_view data, rota::TimePoint now);
  bool take_answer(const Answer& answer, rota::TimePoint now);

  bool is_paced() const noexcept { return plan_.options.rate > 0; }
  void send_more(rota::TimePoint now);
  void send_due(rota::TimePoint now);
  void send(std::size_t count, rota::TimePoint now);
  void count_errors(Failure failure, std::uint64_t count, rota::TimePoint now);

  const Plan& plan_;
  Stats& stats_;
  const unsigned number_;

  // Of the present connection:
  rota::StreamWriter* writer_ = nullptr;  ///< Null: there is none.
  std::variant<EchoParser, ResponseParser> parser_;
  End end_ = End::lost;
  std::size_t in_flight_ = 0;
  rota::TimePoint sent_at_{};        ///< The last batch.
  rota::TimePoint waiting_since_{};  ///< For the next answer, if one is due.
  std::optional<rota::TimerHandle> timer_;

  std::uint64_t sent_ = 0;      ///< Requests; the next one has this number. The oldest in flight
                                ///< has sent_ - in_flight_.
  std::uint64_t answered_ = 0;  ///< Also while nothing is measured.
};

}  // namespace load
