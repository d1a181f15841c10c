/// semaphore.hpp: threadsafe::Semaphore and BoundedSemaphore, tokens that tasks of any loop, and
/// plain threads, take and give back.
#pragma once

#include <rota/clock.hpp>
#include <rota/detail/immovable.hpp>
#include <rota/detail/shared_wait.hpp>
#include <rota/detail/spin_lock.hpp>
#include <rota/error.hpp>
#include <rota/lock.hpp>
#include <rota/semaphore.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <limits>
#include <optional>
#include <utility>

namespace rota::threadsafe {

class Semaphore;

namespace detail {

class [[nodiscard("an acquire does nothing until it is awaited")]] SemaphoreAwaiter
    : public rota::detail::SharedAwaiter<SemaphoreAwaiter> {
 public:
  explicit SemaphoreAwaiter(Semaphore& semaphore) noexcept;
  bool attempt() noexcept;
  bool attempt_locked(rota::detail::Turn& turn) noexcept;
  void withdraw() noexcept;
  void await_resume() { leave(); }

 private:
  Semaphore& semaphore_;
};

}  // namespace detail

/// rota::Semaphore for tasks of any loop, and for plain threads. FIFO by arrival: a token that is
/// released goes to the one that has waited longest, and nobody passes it. Thread: any.
class Semaphore : rota::detail::Immovable {
 public:
  /// Errors: ValueError (negative).
  explicit Semaphore(std::integral auto value) : Semaphore(checked(value), largest) {}
  Semaphore() noexcept : Semaphore(1, largest) {}

  /// No token can be had at once.
  bool locked() const noexcept { return value_of(guard_.glance()) == 0; }
  /// Completes once a token is ours. Suspends: only while locked(). Thread: a loop's. Errors:
  /// CancelledError, without a token.
  detail::SemaphoreAwaiter acquire() noexcept { return detail::SemaphoreAwaiter(*this); }
  /// Blocks until a token is ours. Thread: any but a loop's. Errors: RuntimeError on a loop's.
  void acquire_blocking() { block(std::nullopt); }
  /// The same, for at most `timeout`. Returns whether we have a token.
  [[nodiscard]] bool acquire_blocking(Duration timeout) { return block(timeout); }
  /// Gives `count` tokens back, or new ones: to as many of those who wait longest, and the rest
  /// to who comes. Errors: ValueError (more than the bound, if it has one). Suspends: never.
  void release(std::size_t count = 1);
  /// `auto held = co_await semaphore.scoped();` releases when `held` goes.
  rota::detail::ScopedAwaiter<Semaphore, detail::SemaphoreAwaiter> scoped() noexcept {
    return rota::detail::ScopedAwaiter<Semaphore, detail::SemaphoreAwaiter>(*this);
  }
  SemaphoreStatistics statistics() const noexcept {
    const rota::detail::SpinLock::Guard guard(guard_);
    return {value_of(guard.state), waiters_.size()};
  }

  // As a scope: `co_await with(semaphore, body)`.
  detail::SemaphoreAwaiter aenter() noexcept { return acquire(); }
  void aexit(const std::exception_ptr&) { release(); }

 protected:
  static constexpr std::size_t largest = std::numeric_limits<std::size_t>::max() >> 2;
  /// `bound`: it never has more tokens.
  Semaphore(std::size_t value, std::size_t bound) noexcept
      : bound_(bound), guard_(state_of(value)) {}
  static std::size_t checked(std::integral auto value) {
    if (std::cmp_less(value, 0)) throw ValueError("Semaphore initial value must be >= 0");
    return static_cast<std::size_t>(value);
  }

 private:
  using State = rota::detail::SpinLock::State;
  using Change = std::optional<State>;
  friend class detail::SemaphoreAwaiter;

  // The state of guard_: contended, and the number of tokens that can be had.
  static constexpr State contended = 1;  ///< Somebody may wait; there is no token then.
  static constexpr std::size_t value_of(State state) noexcept { return state >> 1; }
  static constexpr State state_of(std::size_t value) noexcept { return State{value} << 1; }

  bool acquire_free() noexcept {
    return guard_.change([](State state) {
      return value_of(state) > 0 ? Change(state - state_of(1)) : std::nullopt;
    });
  }
  bool acquire_or_contend(rota::detail::Turn& turn) noexcept;
  bool block(std::optional<Duration> timeout) {
    return acquire().block("Semaphore.acquire_blocking", "semaphore.acquire()", timeout);
  }
  void release_contended(std::size_t count);

  const std::size_t bound_;
  mutable rota::detail::SpinLock guard_;
  rota::detail::SharedWaitList waiters_;  ///< Not empty: contended.
};

/// rota::BoundedSemaphore for tasks of any loop, and for plain threads: never more tokens than at
/// first.
class BoundedSemaphore : public Semaphore {
 public:
  /// Errors: ValueError (negative).
  explicit BoundedSemaphore(std::integral auto value) : Semaphore(checked(value), checked(value)) {}
  BoundedSemaphore() noexcept : Semaphore(1, 1) {}
};

namespace detail {

inline SemaphoreAwaiter::SemaphoreAwaiter(Semaphore& semaphore) noexcept
    : SharedAwaiter<SemaphoreAwaiter>(semaphore.guard_, semaphore.waiters_),
      semaphore_(semaphore) {}

inline bool SemaphoreAwaiter::attempt() noexcept { return semaphore_.acquire_free(); }
inline bool SemaphoreAwaiter::attempt_locked(rota::detail::Turn& turn) noexcept {
  return semaphore_.acquire_or_contend(turn);
}
inline void SemaphoreAwaiter::withdraw() noexcept { semaphore_.release(); }

}  // namespace detail

inline bool Semaphore::acquire_or_contend(rota::detail::Turn& turn) noexcept {
  if (value_of(turn.guard.state) > 0) {
    turn.guard.state -= state_of(1);
    return true;
  }
  turn.guard.state = contended;
  return false;
}

inline void Semaphore::release(std::size_t count) {
  const auto uncontended = [this, count](State state) {
    return (state & contended) == 0 && count <= bound_ - value_of(state)
               ? Change(state + state_of(count))
               : std::nullopt;
  };
  if (!guard_.change(uncontended)) release_contended(count);
}

inline void Semaphore::release_contended(std::size_t count) {
  rota::detail::Turn turn(guard_);
  if (count > bound_ - value_of(turn.guard.state))
    throw ValueError("BoundedSemaphore released too many times");
  while (count > 0 && waiters_.grant_first(turn.wakes)) --count;
  turn.guard.state += state_of(count);
  if (waiters_.empty()) turn.guard.state &= ~contended;
}

}  // namespace rota::threadsafe
