/// barrier.hpp: Barrier, where a number of tasks of one loop wait for each other.
#pragma once

#include <rota/detail/bound.hpp>
#include <rota/detail/immovable.hpp>
#include <rota/detail/wait_queue.hpp>
#include <rota/error.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <stdexcept>
#include <utility>

namespace rota {

class Barrier;

/// The barrier was broken or reset while a task waited. As: asyncio.BrokenBarrierError.
class BrokenBarrierError : public std::runtime_error {
 public:
  explicit BrokenBarrierError(const char* message) : std::runtime_error(message) {}
};

struct BarrierStatistics {
  std::size_t parties = 0;
  std::size_t n_waiting = 0;
  bool broken = false;
};

namespace detail {

class [[nodiscard("a wait does nothing until it is awaited")]] BarrierAwaiter final
    : public ParkedAwaiter<BarrierAwaiter> {
 public:
  explicit BarrierAwaiter(Barrier& barrier) noexcept;
  bool attempt() noexcept;
  std::size_t await_resume();

 private:
  friend class rota::Barrier;
  Barrier& barrier_;
  std::size_t index_ = 0;
  bool counted_ = false;  ///< It is one of the tasks that the barrier waits for.
  bool broken_ = false;
};

}  // namespace detail

/// asyncio.Barrier. Loop-local: bound to the loop of its first use. Between loops:
/// threadsafe::Barrier. It can be used again and again; a cancelled waiter does not break it.
class Barrier : detail::Immovable {
 public:
  /// Errors: ValueError (less than 1).
  explicit Barrier(std::integral auto parties) : parties_(checked(parties)) {}

  /// Completes once `parties` tasks wait; gives each another number from 0 on, in the order they
  /// came. While those of the last round still leave, the next ones wait before they count.
  ///
  /// Errors:   BrokenBarrierError, when it is or becomes broken, or is reset; CancelledError;
  ///           RuntimeError on another loop, at the call.
  /// Suspends: for the last one never.
  detail::BarrierAwaiter wait() {
    bound_.use("Barrier.wait");
    return detail::BarrierAwaiter(*this);
  }
  /// Sends everybody who waits away with BrokenBarrierError; it is as new then. Errors:
  /// RuntimeError on another loop.
  void reset();
  /// Breaks it: whoever waits, now or later, gets BrokenBarrierError, until reset().
  void abort();

  std::size_t parties() const noexcept { return parties_; }
  std::size_t n_waiting() const noexcept { return state_ == State::filling ? count_ : 0; }
  bool broken() const noexcept { return state_ == State::broken; }
  BarrierStatistics statistics() const noexcept { return {parties_, n_waiting(), broken()}; }

  /// `const std::size_t index = co_await barrier.scoped();` There is nothing to leave: it is
  /// wait().
  detail::BarrierAwaiter scoped() { return wait(); }

  // As a scope: `co_await with(barrier, body)`.
  detail::BarrierAwaiter aenter() { return wait(); }
  void aexit(const std::exception_ptr&) const noexcept {}

 private:
  friend class detail::BarrierAwaiter;
  enum class State : std::uint8_t { filling, draining, resetting, broken };

  static std::size_t checked(std::integral auto parties) {
    if (std::cmp_less(parties, 1)) throw ValueError("parties must be >= 1");
    return static_cast<std::size_t>(parties);
  }
  void release() noexcept;
  void leave() noexcept;

  const std::size_t parties_;
  std::size_t count_ = 0;  ///< Tasks that have come and have not left.
  State state_ = State::filling;
  detail::LoopBound bound_;
  detail::WaitQueue filling_;  ///< Counted: wait for the others.
  detail::WaitQueue blocked_;  ///< Not counted: wait until the last round has left.
};

namespace detail {

inline BarrierAwaiter::BarrierAwaiter(Barrier& barrier) noexcept
    : ParkedAwaiter<BarrierAwaiter>(barrier.filling_), barrier_(barrier) {}

/// True: the wait is over. False: park, in the queue that is chosen here.
inline bool BarrierAwaiter::attempt() noexcept {
  if (waited()) {
    leave_queue();
    if (cancelled()) return true;
  }
  if (barrier_.state_ == Barrier::State::broken) {
    broken_ = true;
    return true;
  }
  if (barrier_.state_ != Barrier::State::filling) {
    wait_in(barrier_.blocked_);
    retry_by(&BarrierAwaiter::run_attempt);
    return false;
  }
  counted_ = true;
  if (++barrier_.count_ == barrier_.parties_) {
    index_ = barrier_.parties_ - 1;
    barrier_.release();
    return true;
  }
  wait_in(barrier_.filling_);
  retry_by(nullptr);
  return false;
}

inline std::size_t BarrierAwaiter::await_resume() {
  const bool cancelled = Parked::leave();
  const bool turned_away = broken_ || (counted_ && barrier_.state_ != Barrier::State::draining);
  if (counted_) barrier_.leave();
  if (cancelled) task().throw_cancelled();
  if (turned_away) throw BrokenBarrierError("Barrier aborted or reset");
  return index_;
}

}  // namespace detail

/// The round is full. Numbers are given only now: somebody who came early may have been cancelled.
inline void Barrier::release() noexcept {
  state_ = State::draining;
  for (std::size_t index = 0; filling_.waiting() != 0; ++index) {
    static_cast<detail::BarrierAwaiter*>(filling_.first_waiting())->index_ = index;
    filling_.wake(1);
  }
}

inline void Barrier::leave() noexcept {
  --count_;
  if (count_ != 0 || (state_ != State::draining && state_ != State::resetting)) return;
  state_ = State::filling;
  blocked_.wake_all();
}

inline void Barrier::reset() {
  bound_.use("Barrier.reset");
  if (count_ > 0) {
    if (state_ != State::resetting) {
      state_ = State::resetting;
      filling_.wake_all();
    }
  } else {
    state_ = State::filling;
    blocked_.wake_all();
  }
}

inline void Barrier::abort() {
  bound_.use("Barrier.abort");
  state_ = State::broken;
  filling_.wake_all();
  blocked_.wake_all();
}

}  // namespace rota
