/// Runner, run and Runtime: conformance section 17, many loops, the end of a runtime.
#include <rota/future.hpp>
#include <rota/runtime.hpp>
#include <rota/sleep.hpp>

#include "cpus.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace rota {
namespace {

using namespace std::chrono_literals;

RuntimeOptions with_loops(unsigned loops) {
  RuntimeOptions options;
  options.loops = loops;
  return options;
}

Coro<int> answer() {
  co_await sleep(0s);
  co_return 42;
}

Coro<> fail() {
  co_await sleep(0s);
  throw std::runtime_error("planned");
}

// "Returns the result; rethrows the exception."
TEST(Run, RU01GivesTheResultAndRethrowsTheException) {
  EXPECT_EQ(run(answer(), with_loops(1)), 42);
  EXPECT_THROW(run(fail(), with_loops(1)), std::runtime_error);
}

// "Calling run inside a running loop -> RuntimeError."
TEST(Run, RU02InsideARunningLoopIsRefused) {
  auto nested = []() -> Coro<> {
    EXPECT_THROW(run(answer(), with_loops(1)), RuntimeError);
    co_return;
  };
  run(nested(), with_loops(1));
}

// "Accepts any awaitable (3.14+), rejects others."
TEST(Run, RU03TakesAnyAwaitable) {
  EXPECT_EQ(run(sleep(0s, std::string("slept")), with_loops(1)), "slept");
  static_assert(!Awaitable<int>);
}

// "debug flag sets the loop's debug."
TEST(Run, RU04TheDebugOptionReachesEveryLoop) {
  RuntimeOptions options = with_loops(1);
  options.debug = true;
  auto asks = []() -> Coro<bool> { co_return get_running_loop().get_debug(); };
  EXPECT_TRUE(run(asks(), options));
  EXPECT_FALSE(run(asks(), with_loops(1)));
}

// "At exit remaining tasks are cancelled and awaited."
TEST(Run, RU05RemainingTasksAreCancelledAndAwaited) {
  static std::vector<std::string> events;
  events.clear();
  auto hanging = []() -> Coro<> {
    bool cancelled = false;
    try {
      co_await sleep(1h);
    } catch (const CancelledError&) {
      cancelled = true;
    }
    if (cancelled) {
      events.emplace_back("cancelled");
      co_await sleep(0s);
      events.emplace_back("cleaned up");
    }
  };
  auto main = [](auto task) -> Coro<> {
    create_task(task());
    co_await sleep(0s);
    events.emplace_back("main ends");
  };
  run(main(hanging), with_loops(1));
  EXPECT_EQ(events, (std::vector<std::string>{"main ends", "cancelled", "cleaned up"}));
}

// "Their exceptions go to the exception handler, not to the caller."
TEST(Run, RU06TheirExceptionsGoToTheExceptionHandler) {
  static std::vector<std::string> reports;
  reports.clear();
  auto failing = []() -> Coro<> {
    bool cancelled = false;
    try {
      co_await sleep(1h);
    } catch (const CancelledError&) {
      cancelled = true;
    }
    if (cancelled) throw std::runtime_error("while ending");
  };
  auto main = [](auto task) -> Coro<> {
    get_running_loop().set_exception_handler([](EventLoop&, const ExceptionContext& context) {
      reports.push_back(context.message + ": " + detail::describe(context.exception));
    });
    create_task(task());
    co_await sleep(0s);
  };
  EXPECT_NO_THROW(run(main(failing), with_loops(1)));
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_EQ(reports[0], "Task exception was never retrieved: std::runtime_error: while ending");
}

// "Runner keeps one loop and one context over several run() calls."
TEST(Runner, RU08KeepsOneLoopAndOneContext) {
  static ContextVar<int> number("number", 0);
  Runner runner(with_loops(1));
  auto sets = []() -> Coro<std::uint64_t> {
    number.set(7);
    co_return get_running_loop().handle().id();
  };
  auto gets = []() -> Coro<std::uint64_t> {
    EXPECT_EQ(number.get(), 7);
    co_return get_running_loop().handle().id();
  };
  const std::uint64_t first = runner.run(sets());
  EXPECT_EQ(runner.run(gets()), first);
  EXPECT_EQ(number.get(), 0);  // nothing leaks to the caller
}

// "close() idempotent; use after close -> RuntimeError."
TEST(Runner, RU09CloseIsIdempotentAndFinal) {
  Runner runner(with_loops(1));
  EXPECT_EQ(runner.run(answer()), 42);
  runner.close();
  runner.close();
  EXPECT_THROW(runner.run(answer()), RuntimeError);
}

// "loop_factory makes the loop."
TEST(Runner, RU10TheLoopFactoryMakesTheLoop) {
  static int steps = 0;
  steps = 0;
  RuntimeOptions options = with_loops(1);
  options.loop_factory = [](const LoopOptions& loop_options) {
    auto loop = std::make_unique<EventLoop>(loop_options);
    LoopHooks hooks;
    hooks.before_step = [](EventLoop&) { ++steps; };
    loop->set_hooks(std::move(hooks));
    return loop;
  };
  EXPECT_EQ(run(answer(), options), 42);
  EXPECT_GE(steps, 2);
}

// "Off the main thread no signal handler is installed, and that is fine."
TEST(Runner, RU14RunsOffTheMainThread) {
  int result = 0;
  std::jthread([&result] { result = run(answer(), with_loops(1)); }).join();
  EXPECT_EQ(result, 42);
}

TEST(Runtime, HasOneLoopForEachUsableCpuByDefault) {
  auto count = []() -> Coro<std::size_t> { co_return all_loops().size(); };
  EXPECT_EQ(run(count()), detail::usable_cpus());
}

/// Calls `function(index)` on every loop, in turn, and waits for each.
template <typename Function>
Coro<> on_every_loop(Function function) {
  const LoopHandle home = get_running_loop().handle();
  const std::vector<LoopHandle> loops = all_loops();
  for (std::size_t index = 0; index < loops.size(); ++index) {
    Future<> called;
    loops[index].call_soon_threadsafe([function, index, called, home] {
      function(index);
      home.call_soon_threadsafe([called] { called.set_result(); });
    });
    co_await called;
  }
}

TEST(Runtime, EveryLoopRunsOnAThreadOfItsOwn) {
  static std::vector<std::thread::id> threads;
  threads.assign(4, {});
  run(on_every_loop([](std::size_t index) { threads[index] = std::this_thread::get_id(); }),
      with_loops(4));
  EXPECT_EQ(threads[0], std::this_thread::get_id());
  for (std::size_t left = 0; left < threads.size(); ++left) {
    for (std::size_t right = left + 1; right < threads.size(); ++right)
      EXPECT_NE(threads[left], threads[right]);
  }
}

TEST(Runtime, SixtyFourLoopsStartWorkAndEnd) {
  static int answers = 0;
  answers = 0;
  run(on_every_loop([](std::size_t) { ++answers; }), with_loops(64));
  EXPECT_EQ(answers, 64);
}

TEST(Runtime, TasksOfAllLoopsAreCancelledAndAwaitedAtTheEnd) {
  static std::atomic<int> ended{0};
  ended = 0;
  auto hanging = []() -> Coro<> {
    struct CountEnd {
      ~CountEnd() { ended.fetch_add(1, std::memory_order_relaxed); }
    } count_end;
    co_await sleep(1h);
  };
  run(on_every_loop([hanging](std::size_t) { create_task(hanging()); }), with_loops(4));
  EXPECT_EQ(ended.load(), 4);
}

TEST(Runtime, ATaskThatIgnoresItsCancelIsNamedAndLeftAfterTheDeadline) {
  auto stubborn = []() -> Coro<> {
    for (;;) {
      try {
        co_await sleep(1h);
      } catch (const CancelledError&) {
        (void)std::current_exception();  // that is what makes it stubborn
      }
    }
  };
  auto main = [](auto task) -> Coro<> {
    create_task(task(), {"upload"});
    co_await sleep(0s);
  };
  RuntimeOptions options = with_loops(1);
  options.shutdown_timeout = 1ms;
  testing::internal::CaptureStderr();
  run(main(stubborn), options);
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("did not end in time after they were cancelled"), std::string::npos) << text;
  EXPECT_NE(text.find("task upload"), std::string::npos) << text;
  EXPECT_NE(text.find("runtime_runtime_test.cpp"), std::string::npos)
      << "the await site is missing: " << text;
}

}  // namespace
}  // namespace rota
