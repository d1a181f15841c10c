/// lock.hpp: Lock, mutual exclusion between the tasks of one loop, across their awaits.
#pragma once

#include <rota/detail/bound.hpp>
#include <rota/detail/immovable.hpp>
#include <rota/detail/wait_queue.hpp>
#include <rota/error.hpp>

#include <cstddef>
#include <exception>
#include <utility>

namespace rota {

class Condition;
class Lock;

/// How a lock is now.
struct LockStatistics {
  bool locked = false;
  std::size_t tasks_waiting = 0;
};

namespace detail {

class ConditionAwaiter;

class [[nodiscard("an acquire does nothing until it is awaited")]] LockAwaiter
    : public ParkedAwaiter<LockAwaiter> {
 public:
  explicit LockAwaiter(Lock& lock) noexcept;
  bool attempt() noexcept;
  void await_resume();

 protected:
  Lock& lock_;
};

/// The loop closes and destroys the frames of a task that has given up `lock` in a wait.
inline bool given_up(const void* lock) noexcept {
  return running_loop != nullptr && running_loop->given_up == lock;
}

}  // namespace detail

/// What `co_await x.scoped()` gives: calls x.release() when it goes.
template <typename T>
class [[nodiscard("it releases at once if nobody keeps it")]] Scoped {
 public:
  explicit Scoped(T& held) noexcept : held_(&held) {}
  Scoped(Scoped&& other) noexcept : held_(std::exchange(other.held_, nullptr)) {}
  Scoped& operator=(Scoped&&) = delete;
  ~Scoped() {
    if (held_ != nullptr && !detail::given_up(held_)) held_->release();
  }

 private:
  T* held_;
};

namespace detail {

/// acquire() that gives a Scoped.
template <typename T, typename Acquire>
class [[nodiscard("it does nothing until it is awaited")]] ScopedAwaiter final : public Acquire {
 public:
  explicit ScopedAwaiter(T& target) noexcept : Acquire(target), target_(target) {}
  Scoped<T> await_resume() {
    Acquire::await_resume();
    return Scoped<T>(target_);
  }

 private:
  T& target_;
};

}  // namespace detail

/// asyncio.Lock. Loop-local: bound to the loop of its first use. Between loops: threadsafe::Lock.
/// Fair: FIFO, and nobody passes one that was woken. Not re-entrant; any task may release it.
class Lock : detail::Immovable {
 public:
  bool locked() const noexcept { return locked_; }
  /// Completes once the lock is held. Suspends: only while it is held or promised to somebody.
  /// Errors: CancelledError, without the lock; RuntimeError on another loop, at the call.
  detail::LockAwaiter acquire() {
    bound_.use("Lock.acquire");
    return detail::LockAwaiter(*this);
  }
  /// Errors: RuntimeError when it is not locked, and on another loop. Suspends: never.
  void release();
  /// `auto held = co_await lock.scoped();` releases when `held` goes.
  detail::ScopedAwaiter<Lock, detail::LockAwaiter> scoped() {
    bound_.use("Lock.scoped");
    return detail::ScopedAwaiter<Lock, detail::LockAwaiter>(*this);
  }
  LockStatistics statistics() const noexcept { return {locked_, waiters_.waiting()}; }

  // As a scope: `co_await with(lock, body)`.
  detail::LockAwaiter aenter() { return acquire(); }
  void aexit(const std::exception_ptr&) { release(); }

 private:
  friend class Condition;
  friend class detail::LockAwaiter;
  friend class detail::ConditionAwaiter;
  /// asyncio's: only if nobody was woken already.
  void wake_first() noexcept {
    if (!waiters_.promised()) waiters_.wake(1);
  }

  detail::LoopBound bound_;
  detail::WaitQueue waiters_;
  bool locked_ = false;
};

namespace detail {

inline LockAwaiter::LockAwaiter(Lock& lock) noexcept
    : ParkedAwaiter<LockAwaiter>(lock.waiters_), lock_(lock) {}

inline bool LockAwaiter::attempt() noexcept {
  if (lock_.locked_ || !lock_.waiters_.empty()) return false;
  lock_.locked_ = true;
  return true;
}

inline void LockAwaiter::await_resume() {
  if (!waited()) return;
  if (leave()) [[unlikely]] {
    if (!lock_.locked_) lock_.wake_first();  // what was promised to us is somebody else's now
    task().throw_cancelled();
  }
  lock_.locked_ = true;
}

}  // namespace detail

inline void Lock::release() {
  bound_.use("Lock.release");
  if (!locked_) throw RuntimeError("Lock is not acquired.");
  locked_ = false;
  wake_first();
}

}  // namespace rota
