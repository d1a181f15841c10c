/// cancel_matrix.hpp: one cell of the cancel matrix: what is awaited, when the cancel comes, and
/// from where.
#pragma once

#include <rota/future.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>

#include <functional>
#include <optional>
#include <string>
#include <thread>

namespace rota::testing_support {

enum class Moment { before_start, in_flight, completed_not_resumed, fairness_requeue };
enum class From { own_loop, other_loop };

inline std::string to_string(Moment moment) {
  switch (moment) {
    case Moment::before_start:
      return "BeforeStart";
    case Moment::in_flight:
      return "InFlight";
    case Moment::completed_not_resumed:
      return "CompletedNotResumed";
    case Moment::fairness_requeue:
      return "FairnessRequeue";
  }
  return "?";
}
inline std::string to_string(From from) { return from == From::own_loop ? "OwnLoop" : "OtherLoop"; }

/// Cancels `task` on the thread of its loop, or from a task of another loop while its own loop
/// stands still: so the moment is exact in both cases.
inline void cancel_from(From from, const detail::TaskHandle& task) {
  if (from == From::own_loop) {
    task.cancel();
    return;
  }
  std::jthread([&task] {
    EventLoop other;
    auto canceller = [](detail::TaskHandle target) -> Coro<> {
      target.cancel();
      co_return;
    };
    other.run_until_complete(canceller(task));
  }).join();
}

/// What became of the await, and of the cancel.
struct Seen {
  bool threw = false;             ///< The await threw CancelledError.
  bool thrown_later = false;      ///< The next await that had to wait threw it.
  std::uint64_t cancelling = 99;  ///< cancel() calls counted, at the end.
  bool operator==(const Seen&) const = default;
};

inline std::ostream& operator<<(std::ostream& out, const Seen& seen) {
  return out << "{threw " << seen.threw << ", thrown later " << seen.thrown_later << ", cancelling "
             << seen.cancelling << '}';
}

/// Expected of a wait that a cancel ends; and of one whose completion comes first and is final.
inline constexpr Seen cancelled{.threw = true, .thrown_later = false, .cancelling = 1};
inline constexpr Seen completed{.threw = false, .thrown_later = true, .cancelling = 1};

/// Awaits what `wait` makes, and then one step, to see whether the cancel is still due.
template <typename Wait>
Coro<Seen> observe(Wait wait) {
  Seen seen;
  try {
    co_await wait();
  } catch (const CancelledError&) {
    seen.threw = true;
  }
  try {
    co_await sleep(std::chrono::seconds(0));
  } catch (const CancelledError&) {
    seen.thrown_later = true;
  }
  seen.cancelling = current_task().cancelling();
  co_return seen;
}

/// Spends this resume's budget, so that the next await is queued as an attempt, even if it need not
/// wait.
inline Coro<> spend_the_budget() {
  Future<> ready;
  ready.set_result();
  for (int count = 1; count < detail::await_budget; ++count) co_await ready;
}

}  // namespace rota::testing_support
