/// sleep.hpp: sleep, the wait for time to pass.
#pragma once

#include <rota/clock.hpp>
#include <rota/detail/promise.hpp>

#include <chrono>
#include <coroutine>
#include <type_traits>
#include <utility>

namespace rota {

namespace detail {

/// The timer lives in the awaiter; nothing is allocated.
class SleepAwaiter : public Waiting, public TimerNode {
 public:
  explicit SleepAwaiter(Duration delay) noexcept
      : Waiting(&SleepAwaiter::cancel), TimerNode(&SleepAwaiter::due), delay_(delay) {}
  SleepAwaiter(SleepAwaiter&& other) noexcept
      : Waiting(&SleepAwaiter::cancel), TimerNode(&SleepAwaiter::due), delay_(other.delay_) {}
  ~SleepAwaiter() {
    if (armed()) [[unlikely]]
      running_loop->timers.disarm(*this);
  }

  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  void await_suspend(std::coroutine_handle<Promise> handle) {
    task_ = handle.promise().task;
    if (delay_ <= Duration::zero() || task_->cancel_due()) {
      task_->requeue(handle);  // exactly one step
      return;
    }
    LoopState& loop = *running_loop;
    when = deadline_after(loop.now(), delay_);
    loop.timers.arm(*this);  // throws before the wait has begun, or not at all
    task_->begin_wait_even_if_cancelled(*this, handle);
  }
  void await_resume() { task_->throw_if_cancelled(); }

 private:
  static void due(TimerNode& node) noexcept {
    static_cast<SleepAwaiter&>(node).task_->make_ready();
  }
  static void cancel(Waiting& waiting, TaskBase& task) noexcept {
    running_loop->timers.disarm(static_cast<SleepAwaiter&>(waiting));
    task.make_ready();
  }

  Duration delay_;
  TaskBase* task_ = nullptr;
};

template <typename T>
class SleepResultAwaiter final : public SleepAwaiter {
 public:
  SleepResultAwaiter(Duration delay, T result) : SleepAwaiter(delay), result_(std::move(result)) {}
  T await_resume() {
    SleepAwaiter::await_resume();
    return std::move(result_);
  }

 private:
  T result_;
};

}  // namespace detail

/// Waits until `delay` has passed. Zero or less: gives way for one step of the loop.
/// Suspends: always. Errors: CancelledError; ValueError (NaN). As: asyncio.sleep.
template <typename Rep, typename Period>
[[nodiscard]] detail::SleepAwaiter sleep(std::chrono::duration<Rep, Period> delay) {
  return detail::SleepAwaiter(detail::to_nanoseconds(delay));
}
/// The same; gives `result`.
template <typename Rep, typename Period, typename T>
[[nodiscard]] detail::SleepResultAwaiter<T> sleep(std::chrono::duration<Rep, Period> delay,
                                                  T result) {
  return detail::SleepResultAwaiter<T>(detail::to_nanoseconds(delay), std::move(result));
}

}  // namespace rota
