/// barrier.hpp: threadsafe::Barrier, where a number of tasks of any loop, and plain threads, wait
/// for each other.
#pragma once

#include <rota/barrier.hpp>
#include <rota/clock.hpp>
#include <rota/detail/immovable.hpp>
#include <rota/detail/shared_wait.hpp>
#include <rota/detail/spin_lock.hpp>
#include <rota/error.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <optional>
#include <utility>

namespace rota::threadsafe {

class Barrier;

namespace detail {

class [[nodiscard("a wait does nothing until it is awaited")]] BarrierAwaiter final
    : public rota::detail::SharedAwaiter<BarrierAwaiter> {
 public:
  explicit BarrierAwaiter(Barrier& barrier) noexcept;
  bool attempt() noexcept;
  bool attempt_locked(rota::detail::Turn& turn) noexcept;
  std::size_t await_resume() {
    leave();
    if (broken_) throw BrokenBarrierError("Barrier aborted or reset");
    return index_;
  }

 private:
  friend class rota::threadsafe::Barrier;
  Barrier& barrier_;
  std::size_t index_ = 0;
  bool broken_ = false;
};

}  // namespace detail

/// rota::Barrier for tasks of any loop, and for plain threads. It can be used again and again; a
/// cancelled waiter, or one whose time is over, does not break it. A round ends when the last one
/// comes: whoever comes then belongs to the next, also while those of the last have not run yet.
/// Thread: any.
class Barrier : rota::detail::Immovable {
 public:
  /// Errors: ValueError (less than 1).
  explicit Barrier(std::integral auto parties) : parties_(checked(parties)) {}

  /// Completes once `parties` tasks and threads wait; gives each another number from 0 on, in the
  /// order they came.
  ///
  /// Errors:   BrokenBarrierError, when it is or becomes broken, or is reset; CancelledError.
  /// Thread:   a loop's.
  /// Suspends: for the last one never.
  detail::BarrierAwaiter wait() noexcept { return detail::BarrierAwaiter(*this); }
  /// Blocks likewise. Thread: any but a loop's. Errors: BrokenBarrierError; RuntimeError on a
  /// loop's.
  // NOLINTNEXTLINE(bugprone-unchecked-optional-access): nothing only when the time is over
  std::size_t wait_blocking() { return *block(std::nullopt); }
  /// The same, for at most `timeout`: nothing then, and it counts no longer.
  std::optional<std::size_t> wait_blocking(Duration timeout) { return block(timeout); }
  /// Sends everybody who waits away with BrokenBarrierError; it is as new then.
  void reset() noexcept { send_away(whole); }
  /// Breaks it: whoever waits, now or later, gets BrokenBarrierError, until reset().
  void abort() noexcept { send_away(is_broken); }

  std::size_t parties() const noexcept { return parties_; }
  std::size_t n_waiting() const noexcept { return statistics().n_waiting; }
  bool broken() const noexcept { return guard_.read() == is_broken; }
  BarrierStatistics statistics() const noexcept {
    const rota::detail::SpinLock::Guard guard(guard_);
    return {parties_, waiters_.size(), guard.state == is_broken};
  }

  /// `const std::size_t index = co_await barrier.scoped();` There is nothing to leave: it is
  /// wait().
  detail::BarrierAwaiter scoped() noexcept { return wait(); }

  // As a scope: `co_await with(barrier, body)`.
  detail::BarrierAwaiter aenter() noexcept { return wait(); }
  void aexit(const std::exception_ptr&) const noexcept {}

 private:
  using State = rota::detail::SpinLock::State;
  friend class detail::BarrierAwaiter;

  // The state of guard_.
  static constexpr State whole = 0;
  static constexpr State is_broken = 1;

  static std::size_t checked(std::integral auto parties) {
    if (std::cmp_less(parties, 1)) throw ValueError("parties must be >= 1");
    return static_cast<std::size_t>(parties);
  }
  std::optional<std::size_t> block(std::optional<Duration> timeout) {
    detail::BarrierAwaiter waiter = wait();
    if (!waiter.block("Barrier.wait_blocking", "barrier.wait()", timeout)) return std::nullopt;
    return waiter.await_resume();
  }
  void let_go(rota::detail::Turn& turn) noexcept;
  void send_away(State state) noexcept;

  const std::size_t parties_;
  mutable rota::detail::SpinLock guard_;
  rota::detail::SharedWaitList waiters_;  ///< Fewer than parties_; none if it is broken.
};

namespace detail {

inline BarrierAwaiter::BarrierAwaiter(Barrier& barrier) noexcept
    : SharedAwaiter<BarrierAwaiter>(barrier.guard_, barrier.waiters_), barrier_(barrier) {}

inline bool BarrierAwaiter::attempt() noexcept {
  rota::detail::Turn turn(lock());
  return attempt_locked(turn);
}

inline bool BarrierAwaiter::attempt_locked(rota::detail::Turn& turn) noexcept {
  broken_ = turn.guard.state == Barrier::is_broken;
  if (broken_) return true;
  index_ = barrier_.parties_ - 1;
  if (barrier_.waiters_.size() < index_) return false;
  barrier_.let_go(turn);
  return true;
}

}  // namespace detail

/// The round is full. Numbers are given only now: somebody who came early may have been cancelled.
inline void Barrier::let_go(rota::detail::Turn& turn) noexcept {
  for (std::size_t index = 0; !waiters_.empty(); ++index) {
    static_cast<detail::BarrierAwaiter*>(waiters_.first())->index_ = index;
    waiters_.grant_first(turn.wakes);
  }
}

inline void Barrier::send_away(State state) noexcept {
  rota::detail::Turn turn(guard_);
  while (!waiters_.empty()) {
    static_cast<detail::BarrierAwaiter*>(waiters_.first())->broken_ = true;
    waiters_.grant_first(turn.wakes);
  }
  turn.guard.state = state;
}

}  // namespace rota::threadsafe
