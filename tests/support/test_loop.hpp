/// test_loop.hpp: an EventLoop for tests: its clock jumps, its steps are counted, what it reports
/// is kept.
///
/// The clock starts at zero and moves only when nothing else can happen, so a test may sleep for an
/// hour and still knows to the nanosecond when what happened. Fairness is off: order is asyncio's.
/// Its kernel ends with it, so what belongs to the loop (handles, tasks, futures) must not outlive
/// it.
#pragma once

#include <rota/clock.hpp>
#include <rota/detail/kernel.hpp>
#include <rota/loop.hpp>
#include <rota/task.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace rota::testing_support {

/// What happened, in order: "a b c". Thread: one.
class Order {
 public:
  void add(const std::string& what) { text_ += text_.empty() ? what : " " + what; }
  /// A callback that adds `what`.
  auto adder(std::string what) {
    return [this, what = std::move(what)] { add(what); };
  }
  const std::string& text() const noexcept { return text_; }

 private:
  std::string text_;
};

class TestLoop {
 public:
  static LoopOptions plain() {
    LoopOptions options;
    options.fairness = false;
    return options;
  }
  /// `options.kernel`: null means the clock that jumps.
  explicit TestLoop(LoopOptions options = plain()) : loop_(with_kernel(options)) {
    loop_.set_exception_handler(
        [this](EventLoop&, const ExceptionContext& context) { reports_.push_back(context); });
    LoopHooks hooks;
    hooks.before_step = [this](EventLoop&) { ++steps_; };
    hooks.on_idle = [this](EventLoop& loop) {
      if (until_idle_) loop.stop();
    };
    loop_.set_hooks(std::move(hooks));
  }

  EventLoop& operator*() noexcept { return loop_; }
  EventLoop* operator->() noexcept { return &loop_; }

  /// Runs until `awaitable` is done; gives its result.
  template <Awaitable A>
  auto run(A&& awaitable) {
    return loop_.run_until_complete(std::forward<A>(awaitable));
  }
  /// Calls `function()` on the loop, in the next step.
  template <typename Function>
  void call(Function function) {
    loop_.call_soon(std::move(function));
    run_steps(1);
  }
  /// Makes `count` steps. Time may jump only while nothing is ready.
  void run_steps(std::size_t count = 1) {
    for (std::size_t i = 0; i < count; ++i) {
      loop_.stop();
      loop_.run_forever();
    }
  }
  /// Runs until nothing is ready; time does not move.
  void run_until_idle() {
    until_idle_ = true;
    loop_.run_forever();
    until_idle_ = false;
  }
  /// Lets `delay` pass, with all that falls due in it.
  void advance(Duration delay) {
    loop_.call_later(delay, [this] { loop_.stop(); });
    loop_.run_forever();
  }
  /// The time since the clock's zero.
  Duration now() noexcept { return loop_.time().time_since_epoch(); }
  std::size_t steps() const noexcept { return steps_; }

  /// What the exception handler was told.
  const std::vector<ExceptionContext>& reports() const noexcept { return reports_; }
  /// The messages of the reports.
  std::vector<std::string> messages() const {
    std::vector<std::string> messages;
    for (const ExceptionContext& report : reports_) messages.push_back(report.message);
    return messages;
  }

 private:
  LoopOptions with_kernel(LoopOptions options) {
    if (options.kernel == nullptr) options.kernel = kernel_.get();
    return options;
  }

  std::unique_ptr<detail::Kernel> kernel_ = detail::make_virtual_clock_kernel();
  std::vector<ExceptionContext> reports_;
  std::size_t steps_ = 0;
  bool until_idle_ = false;
  EventLoop loop_;  // last: it ends first, and may still report
};

}  // namespace rota::testing_support
