/// lock.hpp: threadsafe::Lock, mutual exclusion between tasks of any loop, and plain threads.
#pragma once

#include <rota/clock.hpp>
#include <rota/detail/immovable.hpp>
#include <rota/detail/shared_wait.hpp>
#include <rota/detail/spin_lock.hpp>
#include <rota/error.hpp>
#include <rota/lock.hpp>

#include <cstddef>
#include <exception>
#include <optional>

namespace rota::threadsafe {

class Condition;
class Lock;

namespace detail {

class ConditionAwaiter;

class [[nodiscard("an acquire does nothing until it is awaited")]] LockAwaiter
    : public rota::detail::SharedAwaiter<LockAwaiter> {
 public:
  explicit LockAwaiter(Lock& lock) noexcept;
  bool attempt() noexcept;
  bool attempt_locked(rota::detail::Turn& turn) noexcept;
  void withdraw() noexcept;
  void await_resume() { leave(); }

 private:
  Lock& lock_;
};

}  // namespace detail

/// rota::Lock for tasks of any loop, and for plain threads. Fair: FIFO by arrival; release() hands
/// the lock to the one that has waited longest, and nobody passes it. Not re-entrant; any task or
/// thread may release it. It may be destroyed as soon as nobody else has an acquire or release of
/// it under way. Thread: any.
class Lock : rota::detail::Immovable {
 public:
  bool locked() const noexcept { return guard_.glance() != free; }
  /// Completes once the lock is held. Suspends: only while it is held. Thread: a loop's.
  /// Errors: CancelledError, without the lock.
  detail::LockAwaiter acquire() noexcept { return detail::LockAwaiter(*this); }
  /// Blocks until the lock is held. Thread: any but a loop's. Errors: RuntimeError on a loop's.
  void acquire_blocking() { block(std::nullopt); }
  /// The same, for at most `timeout`. Returns whether the lock is held.
  [[nodiscard]] bool acquire_blocking(Duration timeout) { return block(timeout); }
  /// Errors: RuntimeError when it is not locked. Suspends: never.
  void release() {
    if (!guard_.change([](State state) { return state == held ? Change(free) : std::nullopt; }))
      release_contended();
  }
  /// `auto held = co_await lock.scoped();` releases when `held` goes.
  rota::detail::ScopedAwaiter<Lock, detail::LockAwaiter> scoped() noexcept {
    return rota::detail::ScopedAwaiter<Lock, detail::LockAwaiter>(*this);
  }
  LockStatistics statistics() const noexcept;

  // As a scope: `co_await with(lock, body)`.
  detail::LockAwaiter aenter() noexcept { return acquire(); }
  void aexit(const std::exception_ptr&) { release(); }

 private:
  using State = rota::detail::SpinLock::State;
  using Change = std::optional<State>;
  friend class Condition;
  friend class detail::LockAwaiter;
  friend class detail::ConditionAwaiter;

  // The state of guard_.
  static constexpr State free = 0;
  static constexpr State held = 1;       ///< And nobody waits.
  static constexpr State contended = 2;  ///< Held, and somebody may wait.

  bool acquire_free() noexcept {
    return guard_.change([](State state) { return state == free ? Change(held) : std::nullopt; });
  }
  bool acquire_or_contend(rota::detail::Turn& turn) noexcept;
  bool block(std::optional<Duration> timeout) {
    return acquire().block("Lock.acquire_blocking", "lock.acquire()", timeout);
  }
  void release_contended();
  void pass_on(rota::detail::Turn& turn) noexcept;

  mutable rota::detail::SpinLock guard_;
  rota::detail::SharedWaitList waiters_;  ///< Not empty: the state is contended.
};

namespace detail {

inline LockAwaiter::LockAwaiter(Lock& lock) noexcept
    : SharedAwaiter<LockAwaiter>(lock.guard_, lock.waiters_), lock_(lock) {}

inline bool LockAwaiter::attempt() noexcept { return lock_.acquire_free(); }
inline bool LockAwaiter::attempt_locked(rota::detail::Turn& turn) noexcept {
  return lock_.acquire_or_contend(turn);
}
inline void LockAwaiter::withdraw() noexcept { lock_.release(); }

}  // namespace detail

inline bool Lock::acquire_or_contend(rota::detail::Turn& turn) noexcept {
  const bool was_free = turn.guard.state == free;
  turn.guard.state = was_free ? held : contended;
  return was_free;
}

inline void Lock::release_contended() {
  rota::detail::Turn turn(guard_);
  if (turn.guard.state == free) throw RuntimeError("Lock is not acquired.");
  pass_on(turn);
}

/// What was done under the lock reaches the next holder through its inbox.
inline void Lock::pass_on(rota::detail::Turn& turn) noexcept {
  const bool handed_over = waiters_.grant_first(turn.wakes);
  turn.guard.state = !handed_over ? free : waiters_.empty() ? held : contended;
}

inline LockStatistics Lock::statistics() const noexcept {
  const rota::detail::SpinLock::Guard guard(guard_);
  return {guard.state != free, waiters_.size()};
}

}  // namespace rota::threadsafe
