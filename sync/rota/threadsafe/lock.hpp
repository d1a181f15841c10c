/// lock.hpp: threadsafe::Lock, mutual exclusion between tasks of any loop, and plain threads.
#pragma once

#include <rota/detail/shared_wait.hpp>
#include <rota/error.hpp>
#include <rota/lock.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <optional>

namespace rota::threadsafe {

class Lock;

namespace detail {

class [[nodiscard("an acquire does nothing until it is awaited")]] LockAwaiter
    : public rota::detail::SharedAwaiter<LockAwaiter> {
 public:
  explicit LockAwaiter(Lock& lock) noexcept;
  LockAwaiter(LockAwaiter&& other) noexcept = default;
  ~LockAwaiter();
  bool attempt() noexcept;
  bool attempt_locked() noexcept;
  void await_resume() { leave(); }

 protected:
  Lock& lock_;
};

}  // namespace detail

/// rota::Lock for tasks of any loop, and for plain threads. Fair: FIFO by arrival; release() hands
/// the lock to the one that has waited longest, and nobody passes it. Not re-entrant; any task or
/// thread may release it. Thread: any.
class Lock : rota::detail::Immovable {
 public:
  bool locked() const noexcept { return state_.load(std::memory_order_relaxed) != State::free; }
  /// Completes once the lock is held. Suspends: only while it is held. Thread: a loop's.
  /// Errors: CancelledError, without the lock.
  detail::LockAwaiter acquire() noexcept { return detail::LockAwaiter(*this); }
  /// Blocks until the lock is held. Thread: any but a loop's. Errors: RuntimeError on a loop's.
  void acquire_blocking();
  /// The same for at most `timeout`. Returns whether the lock is held.
  bool acquire_blocking(std::chrono::nanoseconds timeout);
  /// Errors: RuntimeError when it is not locked. Suspends: never.
  void release();
  /// `auto held = co_await lock.scoped();` releases when `held` goes.
  rota::detail::ScopedAwaiter<Lock, detail::LockAwaiter> scoped() noexcept {
    return rota::detail::ScopedAwaiter<Lock, detail::LockAwaiter>(*this);
  }
  LockStatistics statistics() const noexcept;

  // As a scope: `co_await with(lock, body)`.
  detail::LockAwaiter aenter() noexcept { return acquire(); }
  void aexit(const std::exception_ptr&) { release(); }

 private:
  friend class detail::LockAwaiter;
  /// free -> held by whoever acquires it; held -> free by release(): one RMW each. Under guard_:
  /// held -> contended by whoever is about to wait; contended -> held or free by release().
  enum class State : std::uint8_t { free, held, contended };

  bool acquire_free() noexcept {
    State free = State::free;
    // acquire: pairs with the release in release(): what was done under the lock is seen.
    return state_.compare_exchange_strong(free, State::held, std::memory_order_acquire,
                                          std::memory_order_relaxed);
  }
  bool acquire_or_contend() noexcept;
  bool acquire_as_thread(std::optional<std::chrono::nanoseconds> timeout);
  void hand_over();

  rota::detail::atomic<State> state_{State::free};
  mutable rota::detail::SpinLock guard_;
  rota::detail::SharedWaitList waiters_;  ///< guard_'s. Not empty: state_ is contended.
};

namespace detail {

inline LockAwaiter::LockAwaiter(Lock& lock) noexcept
    : SharedAwaiter<LockAwaiter>(lock.guard_, lock.waiters_), lock_(lock) {}

inline LockAwaiter::~LockAwaiter() {
  if (lost_grant()) [[unlikely]]
    lock_.release();
}

inline bool LockAwaiter::attempt() noexcept { return lock_.acquire_free(); }
inline bool LockAwaiter::attempt_locked() noexcept { return lock_.acquire_or_contend(); }

}  // namespace detail

inline bool Lock::acquire_or_contend() noexcept {
  // acquire: as in acquire_free().
  if (state_.exchange(State::contended, std::memory_order_acquire) != State::free) return false;
  state_.store(State::held, std::memory_order_relaxed);  // nobody waits for a free one
  return true;
}

inline void Lock::acquire_blocking() { (void)acquire_as_thread(std::nullopt); }
inline bool Lock::acquire_blocking(std::chrono::nanoseconds timeout) {
  return acquire_as_thread(timeout);
}

inline bool Lock::acquire_as_thread(std::optional<std::chrono::nanoseconds> timeout) {
  rota::detail::require_plain_thread("Lock.acquire_blocking", "lock.acquire()");
  if (acquire_free()) return true;
  std::unique_lock guard(guard_);
  if (acquire_or_contend()) return true;
  rota::detail::SharedThreadWait waiter;
  return waiter.wait(guard, waiters_, timeout);
}

inline void Lock::release() {
  State held = State::held;
  // release: pairs with the acquire in acquire_free().
  if (state_.compare_exchange_strong(held, State::free, std::memory_order_release,
                                     std::memory_order_relaxed)) {
    return;
  }
  if (held == State::free) throw RuntimeError("Lock is not acquired.");
  hand_over();
}

inline void Lock::hand_over() {
  rota::detail::Wakes wakes;
  const std::lock_guard guard(guard_);
  if (waiters_.grant_first(wakes)) {
    // relaxed: it stays held; what was done under it reaches the next holder by its inbox.
    if (waiters_.empty()) state_.store(State::held, std::memory_order_relaxed);
  } else {
    state_.store(State::free, std::memory_order_release);  // as in release()
  }
}

inline LockStatistics Lock::statistics() const noexcept {
  const std::lock_guard guard(guard_);
  return {locked(), waiters_.size()};
}

}  // namespace rota::threadsafe
