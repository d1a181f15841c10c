/// semaphore.hpp: Semaphore and BoundedSemaphore, tokens that tasks of one loop take and give back.
#pragma once

#include <rota/detail/bound.hpp>
#include <rota/detail/immovable.hpp>
#include <rota/detail/wait_queue.hpp>
#include <rota/error.hpp>
#include <rota/lock.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <utility>

namespace rota {

class Semaphore;

struct SemaphoreStatistics {
  std::size_t value = 0;
  std::size_t tasks_waiting = 0;
};

namespace detail {

class [[nodiscard("an acquire does nothing until it is awaited")]] SemaphoreAwaiter
    : public ParkedAwaiter<SemaphoreAwaiter> {
 public:
  explicit SemaphoreAwaiter(Semaphore& semaphore) noexcept;
  bool attempt() noexcept;
  void await_resume();

 private:
  Semaphore& semaphore_;
};

}  // namespace detail

/// asyncio.Semaphore. Loop-local: bound to the loop of its first use. Between loops:
/// threadsafe::Semaphore. FIFO: a token that is released goes to the longest waiting.
class Semaphore : detail::Immovable {
 public:
  /// Errors: ValueError (negative).
  explicit Semaphore(std::integral auto value) : value_(checked(value)) {}
  Semaphore() noexcept : value_(1) {}

  /// No token can be had at once.
  bool locked() const noexcept { return value_ == 0 || !waiters_.empty(); }
  /// Completes once a token is ours. Suspends: only while locked(). Errors: CancelledError, without
  /// a token; RuntimeError on another loop, at the call.
  detail::SemaphoreAwaiter acquire() {
    use("Semaphore.acquire");
    return detail::SemaphoreAwaiter(*this);
  }
  /// Gives a token back, or a new one. Errors: RuntimeError on another loop. Suspends: never.
  void release() {
    use("Semaphore.release");
    ++value_;
    serve();
  }
  /// `auto held = co_await semaphore.scoped();` releases when `held` goes.
  detail::ScopedAwaiter<Semaphore, detail::SemaphoreAwaiter> scoped() {
    use("Semaphore.scoped");
    return detail::ScopedAwaiter<Semaphore, detail::SemaphoreAwaiter>(*this);
  }
  SemaphoreStatistics statistics() const noexcept { return {value_, waiters_.waiting()}; }

  // As a scope: `co_await with(semaphore, body)`.
  detail::SemaphoreAwaiter aenter() { return acquire(); }
  void aexit(const std::exception_ptr&) { release(); }

 protected:
  void use(const char* operation) { bound_.use(operation); }
  std::size_t value() const noexcept { return value_; }

 private:
  friend class detail::SemaphoreAwaiter;
  /// A token that is promised to a waiter is no longer counted.
  void serve() noexcept { value_ -= waiters_.wake(value_); }
  static std::size_t checked(std::integral auto value) {
    if (std::cmp_less(value, 0)) throw ValueError("Semaphore initial value must be >= 0");
    return static_cast<std::size_t>(value);
  }

  detail::LoopBound bound_;
  detail::WaitQueue waiters_;
  std::size_t value_;
};

/// asyncio.BoundedSemaphore: one that never has more tokens than at first.
class BoundedSemaphore : public Semaphore {
 public:
  /// Errors: ValueError (negative).
  explicit BoundedSemaphore(std::integral auto value)
      : Semaphore(value), bound_value_(this->value()) {}
  BoundedSemaphore() noexcept : bound_value_(1) {}
  /// Errors: ValueError, when nothing was acquired; RuntimeError on another loop.
  void release() {
    use("BoundedSemaphore.release");
    if (value() >= bound_value_) throw ValueError("BoundedSemaphore released too many times");
    Semaphore::release();
  }
  detail::ScopedAwaiter<BoundedSemaphore, detail::SemaphoreAwaiter> scoped() {
    use("BoundedSemaphore.scoped");
    return detail::ScopedAwaiter<BoundedSemaphore, detail::SemaphoreAwaiter>(*this);
  }
  void aexit(const std::exception_ptr&) { release(); }

 private:
  std::size_t bound_value_;
};

namespace detail {

inline SemaphoreAwaiter::SemaphoreAwaiter(Semaphore& semaphore) noexcept
    : ParkedAwaiter<SemaphoreAwaiter>(semaphore.waiters_), semaphore_(semaphore) {}

inline bool SemaphoreAwaiter::attempt() noexcept {
  if (semaphore_.locked()) return false;
  --semaphore_.value_;
  return true;
}

inline void SemaphoreAwaiter::await_resume() {
  if (!waited()) return;
  const bool has_token = woken();
  const bool cancelled = leave();
  if (cancelled && has_token) ++semaphore_.value_;
  semaphore_.serve();  // who came while we were promised ours had to queue, even if there were more
  if (cancelled) [[unlikely]]
    task().throw_cancelled();
}

}  // namespace detail
}  // namespace rota
