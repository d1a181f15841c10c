/// event.hpp: threadsafe::Event, a flag that tasks of any loop, and plain threads, wait for.
#pragma once

#include <rota/clock.hpp>
#include <rota/detail/immovable.hpp>
#include <rota/detail/shared_wait.hpp>
#include <rota/detail/spin_lock.hpp>
#include <rota/event.hpp>

#include <optional>

namespace rota::threadsafe {

class Event;

namespace detail {

class [[nodiscard("a wait does nothing until it is awaited")]] EventAwaiter final
    : public rota::detail::SharedAwaiter<EventAwaiter> {
 public:
  explicit EventAwaiter(Event& event) noexcept;
  bool attempt() noexcept;
  bool attempt_locked(rota::detail::Turn& turn) noexcept;
  void await_resume() { leave(); }

 private:
  Event& event_;
};

}  // namespace detail

/// rota::Event for tasks of any loop, and for plain threads. What was done before set() is seen by
/// whoever sees that it is set. It may be destroyed as soon as nobody else has a call of it, or an
/// await, under way: a task whose wait() has returned may destroy it. Thread: any.
class Event : rota::detail::Immovable {
 public:
  bool is_set() const noexcept { return (guard_.read() & set_bit) != 0; }
  /// Makes every waiter ready, in the order they came, also if clear() follows at once. Each loop
  /// is woken once. Suspends: never.
  void set() noexcept {
    const auto to_set = [](State state) {
      return (state & contended) == 0 ? Change(set_bit) : std::nullopt;
    };
    if (!guard_.change(to_set)) set_contended();
  }
  void clear() noexcept {
    const auto to_clear = [](State state) { return Change(state & ~set_bit); };
    if (guard_.change(to_clear)) return;
    rota::detail::SpinLock::Guard guard(guard_);
    guard.state &= ~set_bit;
  }
  /// Completes once the flag is set, whatever it is by then. Suspends: only while unset. Thread: a
  /// loop's. Errors: CancelledError.
  detail::EventAwaiter wait() noexcept { return detail::EventAwaiter(*this); }
  /// Blocks until the flag is set. Thread: any but a loop's. Errors: RuntimeError on a loop's.
  void wait_blocking() { block(std::nullopt); }
  /// The same, for at most `timeout`. Returns whether it was set.
  bool wait_blocking(Duration timeout) { return block(timeout); }
  EventStatistics statistics() const noexcept {
    const rota::detail::SpinLock::Guard guard(guard_);
    return {waiters_.size()};
  }

 private:
  using State = rota::detail::SpinLock::State;
  using Change = std::optional<State>;
  friend class detail::EventAwaiter;

  // The state of guard_: bits.
  static constexpr State set_bit = 1;
  static constexpr State contended = 2;  ///< Somebody may wait.

  bool block(std::optional<Duration> timeout) {
    return wait().block("Event.wait_blocking", "event.wait()", timeout);
  }
  void set_contended() noexcept {
    rota::detail::Turn turn(guard_);
    waiters_.grant_all(turn.wakes);
    turn.guard.state = set_bit;
  }

  mutable rota::detail::SpinLock guard_;
  rota::detail::SharedWaitList waiters_;  ///< Not empty: contended, and not set.
};

namespace detail {

inline EventAwaiter::EventAwaiter(Event& event) noexcept
    : SharedAwaiter<EventAwaiter>(event.guard_, event.waiters_), event_(event) {}

inline bool EventAwaiter::attempt() noexcept {
  return (event_.guard_.settled().value_or(0) & Event::set_bit) != 0;
}
inline bool EventAwaiter::attempt_locked(rota::detail::Turn& turn) noexcept {
  if ((turn.guard.state & Event::set_bit) != 0) return true;
  turn.guard.state |= Event::contended;
  return false;
}

}  // namespace detail
}  // namespace rota::threadsafe
