/// condition.hpp: Condition, a lock with the wait for something to change under it.
#pragma once

#include <rota/coro.hpp>
#include <rota/detail/immovable.hpp>
#include <rota/detail/wait_queue.hpp>
#include <rota/error.hpp>
#include <rota/lock.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <type_traits>
#include <utility>

namespace rota {

class Condition;

struct ConditionStatistics {
  std::size_t tasks_waiting = 0;  ///< For a notification.
  LockStatistics lock;
};

namespace detail {

/// Waits twice: for the notification, and then, whatever happened, for the lock.
class [[nodiscard("a wait does nothing until it is awaited")]] ConditionAwaiter final
    : public Parked {
 public:
  explicit ConditionAwaiter(Condition& condition) noexcept;
  ConditionAwaiter(ConditionAwaiter&&) noexcept = default;
  ~ConditionAwaiter() {
    if (waited() && !returned_) [[unlikely]]
      running_loop->given_up = &lock_;
  }
  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  void await_suspend(std::coroutine_handle<Promise> handle) {
    wait(*handle.promise().task, handle);
  }
  bool await_resume();

 private:
  void wait(TaskBase& task, std::coroutine_handle<> leaf);
  static void lock_again(Runnable& node, bool dropped) noexcept;

  Condition& condition_;
  Lock& lock_;
  bool returned_ = false;
};

}  // namespace detail

/// asyncio.Condition. Loop-local: bound to the loop of its lock. Between loops:
/// threadsafe::Condition. "Held" means that the lock is locked, by whomever.
class Condition : detail::Immovable {
 public:
  Condition() noexcept : lock_(own_) {}
  explicit Condition(Lock& lock) noexcept : lock_(lock) {}  ///< Several may share one lock.

  bool locked() const noexcept { return lock_.locked(); }
  detail::LockAwaiter acquire() { return lock_.acquire(); }
  void release() { lock_.release(); }
  /// `auto held = co_await condition.scoped();` releases the lock when `held` goes.
  detail::ScopedAwaiter<Lock, detail::LockAwaiter> scoped() { return lock_.scoped(); }

  /// Releases the lock, waits until it is notified, and takes the lock again; gives true. It may
  /// also be woken without a reason: look again at what you wait for.
  ///
  /// Errors:   RuntimeError, at the call, when the lock is not held or on another loop;
  ///           CancelledError, with the lock held, and what was promised passed on.
  /// Suspends: always.
  detail::ConditionAwaiter wait() {
    require_held("cannot wait on un-acquired lock");
    return detail::ConditionAwaiter(*this);
  }
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
  /// Wakes up to `count`, the longest waiting first; each goes on once it has the lock. With none
  /// waiting nothing is kept for later. Errors: RuntimeError when the lock is not held.
  void notify(std::size_t count = 1) {
    require_held("cannot notify on un-acquired lock");
    waiters_.wake(count);
  }
  void notify_all() { notify(waiters_.waiting()); }
  ConditionStatistics statistics() const noexcept {
    return {waiters_.waiting(), lock_.statistics()};
  }

  // As a scope: `co_await with(condition, body)`.
  detail::LockAwaiter aenter() { return acquire(); }
  void aexit(const std::exception_ptr&) { release(); }

 private:
  friend class detail::ConditionAwaiter;
  /// Whoever holds the lock is on its loop, and so is everybody who waits here.
  void require_held(const char* message) {
    lock_.bound_.use("Condition");
    if (!lock_.locked()) throw RuntimeError(message);
  }

  Lock own_;
  Lock& lock_;
  detail::WaitQueue waiters_;
};

namespace detail {

inline ConditionAwaiter::ConditionAwaiter(Condition& condition) noexcept
    : Parked(condition.waiters_), condition_(condition), lock_(condition.lock_) {}

inline void ConditionAwaiter::wait(TaskBase& task, std::coroutine_handle<> leaf) {
  condition_.lock_.release();
  retry_by(&ConditionAwaiter::lock_again);
  if (task.cancel_due()) {
    retry_soon(task, leaf);
  } else {
    park(task, leaf);
  }
}

inline void ConditionAwaiter::lock_again(Runnable& node, bool dropped) noexcept {
  TaskBase& task = TaskBase::of_attempt(node);
  if (dropped) return;
  auto& self = static_cast<ConditionAwaiter&>(task.attempted());
  self.leave();
  Lock& lock = self.condition_.lock_;
  if (lock.locked_ || !lock.waiters_.empty()) {
    self.park_again(lock.waiters_, task.resume_point());
  } else {
    lock.locked_ = true;
    task.resume_now();
  }
}

inline bool ConditionAwaiter::await_resume() {
  returned_ = true;
  lock_.locked_ = true;  // we are its first waiter, or have it already
  if (leave()) [[unlikely]] {
    // It may have been meant for us; if not, somebody looks once in vain.
    condition_.waiters_.wake(1);
    task().throw_cancelled();
  }
  return true;
}

}  // namespace detail
}  // namespace rota
