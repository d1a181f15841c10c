/// condition.hpp: threadsafe::Condition, a lock with the wait for something to change under it, for
/// tasks of any loop and plain threads.
///
/// Those who wait for a notification stand in the condition's list, those who wait for the lock in
/// the lock's; both are guarded by the lock's guard. A notification moves a waiter from the one to
/// the other, and there it gets the lock in its turn. So nobody is woken only to find that the lock
/// is held, and a release followed by a wait is one step.
#pragma once

#include <rota/clock.hpp>
#include <rota/condition.hpp>
#include <rota/coro.hpp>
#include <rota/detail/immovable.hpp>
#include <rota/detail/shared_wait.hpp>
#include <rota/error.hpp>
#include <rota/threadsafe/lock.hpp>

#include <chrono>
#include <concepts>
#include <coroutine>
#include <cstddef>
#include <exception>
#include <limits>
#include <optional>
#include <type_traits>

namespace rota::threadsafe {

class Condition;

namespace detail {

/// Waits twice, for the notification and then for the lock; no cancel ends the second wait.
class [[nodiscard("a wait does nothing until it is awaited")]] ConditionAwaiter final
    : public rota::detail::SharedTaskWait {
 public:
  explicit ConditionAwaiter(Condition& condition) noexcept;
  ConditionAwaiter(ConditionAwaiter&&) noexcept = default;
  ~ConditionAwaiter();
  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  void await_suspend(std::coroutine_handle<Promise> handle) noexcept {
    wait(*handle.promise().task, handle);
  }
  bool await_resume();
  /// Instead of co_await, for plain threads. False: the time is over. The lock is held again.
  bool block(std::optional<Duration> timeout);

 private:
  friend class rota::threadsafe::Condition;
  void wait(rota::detail::TaskBase& task, std::coroutine_handle<> leaf) noexcept;
  /// It is in no list: it waits for the lock now, or has it at once.
  void lock_again(rota::detail::Turn& turn) noexcept;
  static void cancel(rota::detail::Waiting& waiting, rota::detail::TaskBase& task) noexcept;
  void withdraw(rota::detail::Turn& turn) noexcept;

  Condition& condition_;
  Lock& lock_;
  bool notified_ = false;
  bool cancelled_ = false;  ///< Before it had the lock again.
  bool gave_up_ = false;    ///< Its frame is destroyed, and the scopes around it hold no lock.
};

}  // namespace detail

/// rota::Condition for tasks of any loop, and for plain threads. "Held" means that the lock is
/// locked, by whomever. Thread: any.
class Condition : rota::detail::Immovable {
 public:
  Condition() noexcept : lock_(own_) {}
  explicit Condition(Lock& lock) noexcept : lock_(lock) {}  ///< Several may share one lock.

  bool locked() const noexcept { return lock_.locked(); }
  detail::LockAwaiter acquire() noexcept { return lock_.acquire(); }
  void acquire_blocking() { lock_.acquire_blocking(); }
  [[nodiscard]] bool acquire_blocking(Duration timeout) { return lock_.acquire_blocking(timeout); }
  void release() { lock_.release(); }
  /// `auto held = co_await condition.scoped();` releases the lock when `held` goes.
  rota::detail::ScopedAwaiter<Lock, detail::LockAwaiter> scoped() noexcept {
    return lock_.scoped();
  }

  /// Releases the lock, waits until it is notified, and takes the lock again; gives true. Somebody
  /// may have held the lock in between: look again at what you wait for.
  ///
  /// Errors:   RuntimeError, at the call, when the lock is not held;
  ///           CancelledError, with the lock held, and the notification passed on.
  /// Thread:   a loop's.
  /// Suspends: always.
  detail::ConditionAwaiter wait() {
    if (!locked()) throw RuntimeError("cannot wait on un-acquired lock");
    return detail::ConditionAwaiter(*this);
  }
  /// Blocks likewise. Thread: any but a loop's. Errors: RuntimeError on a loop's, and when the lock
  /// is not held.
  void wait_blocking() { (void)wait().block(std::nullopt); }
  /// The same, for at most `timeout` and the time until the lock is had again. Returns whether it
  /// was notified.
  bool wait_blocking(Duration timeout) { return wait().block(timeout); }
  /// Waits until `predicate()` is true; gives what it gave. Errors: as wait(), but none when it is
  /// true at once.
  template <std::invocable Predicate>
  Coro<std::decay_t<std::invoke_result_t<Predicate&>>> wait_for(Predicate predicate) {
    for (;;) {
      auto result = predicate();
      if (result) co_return result;
      co_await wait();
    }
  }
  /// Blocks until `predicate()` is true, or for `timeout`; gives what it gave last.
  template <std::invocable Predicate>
  auto wait_for_blocking(Predicate predicate, Duration timeout = forever)
      -> std::decay_t<std::invoke_result_t<Predicate&>> {
    using Time = std::chrono::steady_clock;
    const auto begin = Time::now();
    for (;;) {
      auto result = predicate();
      const Duration left = timeout - (Time::now() - begin);
      if (result || left <= Duration::zero()) return result;
      wait_blocking(left);
    }
  }
  /// Lets up to `count`, the longest waiting first, go on once they get the lock. With none
  /// waiting nothing is kept for later. Errors: RuntimeError when the lock is not held.
  void notify(std::size_t count = 1);
  void notify_all() { notify(std::numeric_limits<std::size_t>::max()); }
  ConditionStatistics statistics() const noexcept;

  // As a scope: `co_await with(condition, body)`.
  detail::LockAwaiter aenter() noexcept { return acquire(); }
  void aexit(const std::exception_ptr&) { release(); }

 private:
  friend class detail::ConditionAwaiter;
  void notify(std::size_t count, rota::detail::Turn& turn) noexcept;

  Lock own_;
  Lock& lock_;
  rota::detail::SharedWaitList waiters_;  ///< Of lock_.guard_: who has not been notified.
};

namespace detail {

inline ConditionAwaiter::ConditionAwaiter(Condition& condition) noexcept
    : SharedTaskWait(condition.lock_.guard_, condition.waiters_, &ConditionAwaiter::cancel),
      condition_(condition),
      lock_(condition.lock_) {}

inline ConditionAwaiter::~ConditionAwaiter() {
  if (gave_up_) [[unlikely]]
    rota::detail::running_loop->given_up = &lock_;
}

inline void ConditionAwaiter::wait(rota::detail::TaskBase& task,
                                   std::coroutine_handle<> leaf) noexcept {
  rota::detail::Turn turn(lock());
  begin(task, leaf);
  lock_.pass_on(turn);
  cancelled_ = task.cancel_due();
  if (cancelled_) {
    lock_again(turn);
  } else {
    list().link(*this);
  }
}

inline void ConditionAwaiter::lock_again(rota::detail::Turn& turn) noexcept {
  wait_in(lock_.waiters_);
  lock_.waiters_.link(*this);
  if (turn.guard.state == Lock::free) {
    lock_.pass_on(turn);  // nobody waits for a free lock: we get it
  } else {
    turn.guard.state = Lock::contended;
  }
}

inline void ConditionAwaiter::cancel(rota::detail::Waiting& waiting,
                                     rota::detail::TaskBase& /*task*/) noexcept {
  auto& self = static_cast<ConditionAwaiter&>(waiting);
  rota::detail::Turn turn(self.lock());
  if (rota::detail::running_loop->closing) {
    if (self.is_lost()) self.withdraw(turn);
  } else if (self.linked()) {
    self.cancelled_ = true;
    if (&self.list() != &self.condition_.waiters_) return;  // it goes on when it has the lock
    self.list().unlink(self);
    self.lock_again(turn);
  }  // else it has the lock: the cancel comes too late
}

/// Its loop closes.
inline void ConditionAwaiter::withdraw(rota::detail::Turn& turn) noexcept {
  gave_up_ = true;
  if (linked()) {
    list().unlink(*this);
    go_on();
  }
  if (notified_) condition_.notify(1, turn);
  if (granted()) lock_.pass_on(turn);
}

inline bool ConditionAwaiter::await_resume() {
  arrive();
  if (!cancelled_) [[likely]] {
    task().overtake_cancel();
    return true;
  }
  if (notified_) {
    rota::detail::Turn turn(lock());
    condition_.notify(1, turn);
  }
  task().throw_cancelled();
}

inline bool ConditionAwaiter::block(std::optional<Duration> timeout) {
  be_thread(rota::detail::permit_to_block("Condition.wait_blocking", "condition.wait()"));
  rota::detail::Turn turn(lock());
  list().link(*this);
  lock_.pass_on(turn);
  if (wait_as_thread(turn, timeout)) return true;
  if (!notified_) {
    list().unlink(*this);
    lock_again(turn);
  }
  const bool notified = notified_;
  wait_as_thread(turn, std::nullopt);
  return notified;
}

}  // namespace detail

inline void Condition::notify(std::size_t count) {
  rota::detail::Turn turn(lock_.guard_);
  if (turn.guard.state == Lock::free) throw RuntimeError("cannot notify on un-acquired lock");
  notify(count, turn);
}

inline void Condition::notify(std::size_t count, rota::detail::Turn& turn) noexcept {
  for (; count > 0 && !waiters_.empty(); --count) {
    auto& waiter = static_cast<detail::ConditionAwaiter&>(*waiters_.first());
    waiters_.unlink(waiter);
    waiter.notified_ = true;
    waiter.lock_again(turn);
  }
}

inline ConditionStatistics Condition::statistics() const noexcept {
  const rota::detail::SpinLock::Guard guard(lock_.guard_);
  return {waiters_.size(), {guard.state != Lock::free, lock_.waiters_.size()}};
}

}  // namespace rota::threadsafe
