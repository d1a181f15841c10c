/// timeout.hpp: a limit on the time that a part of a task may take.
///
/// When the deadline passes, a callback is queued as asyncio does; it cancels the task, and the
/// leaving scope turns that cancellation into TimeoutError. It does so only if no other cancel() of
/// the task is left: that one goes on.
#pragma once

#include <rota/clock.hpp>
#include <rota/detail/held.hpp>
#include <rota/detail/timer_heap.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace rota {

namespace detail {
class TaskBase;
class TimeoutExpiry;
}  // namespace detail

/// asyncio.Timeout, the scope. Entered by with() or by the functions below; movable until then.
/// Task-affine: it is entered and left by one task; other tasks of that loop may call reschedule(),
/// when() and expired().
class Timeout : private detail::TimerNode {
 public:
  Timeout() noexcept : TimerNode(&Timeout::due) {}  ///< Never expires.
  /// Expires `delay` from now. Errors: RuntimeError "no running event loop"; ValueError (NaN).
  template <typename Rep, typename Period>
  explicit Timeout(std::chrono::duration<Rep, Period> delay) : Timeout() {
    expire_after(detail::to_nanoseconds(delay));
  }
  /// Expires at `when` on the loop's clock.
  static Timeout at(TimePoint when) noexcept {
    Timeout timeout;
    timeout.set_deadline(when);
    return timeout;
  }
  Timeout(Timeout&& other) noexcept;
  Timeout& operator=(Timeout&&) = delete;
  ~Timeout();

  /// The deadline, if there is one.
  std::optional<TimePoint> when() const noexcept {
    if (!has_deadline_) return std::nullopt;
    return TimePoint(Duration(TimerNode::when));
  }
  /// Moves the deadline, or with nullopt takes it away. A deadline in the past expires in the next
  /// step. Thread: owner loop. Errors: RuntimeError when not entered, expired or left; on another
  /// loop. As: Timeout.reschedule.
  void reschedule(std::optional<TimePoint> when);
  /// The deadline passed while the scope was entered.
  bool expired() const noexcept { return state_ == State::expiring || state_ == State::expired; }

  /// What with() calls. Errors: RuntimeError when entered before; outside a task.
  void aenter();
  /// Never swallows. Errors: TimeoutError in place of a CancelledError that comes from this scope
  /// alone; that one is nested in it (std::rethrow_if_nested).
  bool aexit(const std::exception_ptr& exception);

 private:
  friend class detail::TimeoutExpiry;
  enum class State : std::uint8_t { created, active, expiring, expired, finished };

  static void due(detail::TimerNode& node) noexcept;
  void expire_after(Duration delay);
  void set_deadline(TimePoint when) noexcept {
    TimerNode::when = when.time_since_epoch().count();
    has_deadline_ = true;
  }
  void arm();
  void disarm() noexcept;
  void queue_expiry();
  void expire() noexcept;

  State state_ = State::created;
  bool has_deadline_ = false;
  detail::TaskBase* task_ = nullptr;         ///< That entered it.
  detail::TimeoutExpiry* expiry_ = nullptr;  ///< The callback, while it is queued.
  std::uint64_t cancelling_ = 0;             ///< Of the task, on entry.
  std::uint64_t epoch_ = 0;                  ///< Of the scope's own cancel, once expiring.
};

/// Scopes for with(): `co_await with(timeout(1s), [](Timeout& scope) -> Coro<> {...})`.
/// As: asyncio.timeout. Errors: RuntimeError "no running event loop"; ValueError (NaN).
template <typename Rep, typename Period>
[[nodiscard]] Timeout timeout(std::chrono::duration<Rep, Period> delay) {
  return Timeout(delay);
}
/// As: asyncio.timeout(None).
[[nodiscard]] inline Timeout timeout(std::nullopt_t) noexcept { return {}; }
/// As: asyncio.timeout_at.
[[nodiscard]] inline Timeout timeout_at(std::optional<TimePoint> when) noexcept {
  return when ? Timeout::at(*when) : Timeout();
}

namespace detail {

/// What is awaited: a handle that the caller keeps too, or all that there is.
template <bool Keep, typename A>
decltype(auto) given(A& awaitable) noexcept {
  if constexpr (Keep) {
    return std::as_const(awaitable);
  } else {
    return std::move(awaitable);
  }
}

/// Awaits in the task that runs it, under a Timeout of its own.
template <bool Keep, typename A>
Coro<ValueOf<A>> await_within(std::optional<Duration> delay, A awaitable) {
  Timeout scope = delay ? Timeout(*delay) : Timeout();
  Result<ValueOf<A>> result;
  scope.aenter();
  try {
    if constexpr (std::is_void_v<ValueOf<A>>) {
      co_await given<Keep>(awaitable);
      result.emplace();
    } else {
      result.emplace(co_await given<Keep>(awaitable));
    }
  } catch (...) {
    scope.aexit(std::current_exception());
    throw;
  }
  scope.aexit(nullptr);
  co_return result.take();
}

/// A Task or Future that was given as an lvalue.
template <typename Given>
inline constexpr bool is_kept =
    std::is_lvalue_reference_v<Given> && HeldTraits<std::remove_cvref_t<Given>>::shared;

}  // namespace detail

/// Awaits `awaitable` for at most `delay`: `co_await timeout(1s, reader.read(100))`. The time
/// begins with the await. When it is over, the awaitable is cancelled, and this waits until it has
/// ended; what it gives in spite of that is given. Errors:   TimeoutError; those of the awaitable;
/// CancelledError. Suspends: when the awaitable does. As:       `async with asyncio.timeout(delay):
/// return await awaitable`.
template <typename Rep, typename Period, Awaitable A>
[[nodiscard]] auto timeout(std::chrono::duration<Rep, Period> delay, A&& awaitable) {
  return detail::await_within<detail::is_kept<A>, std::remove_cvref_t<A>>(
      detail::to_nanoseconds(delay), std::forward<A>(awaitable));
}
}  // namespace rota
