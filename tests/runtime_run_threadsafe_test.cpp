#include <rota/run_threadsafe.hpp>
#include <rota/runtime.hpp>
#include <rota/sleep.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

namespace rota {
namespace {

using namespace std::chrono_literals;

Coro<int> doubled(int value) {
  co_await sleep(0s);
  co_return 2 * value;
}

Coro<int> failing() {
  co_await sleep(0s);
  throw std::logic_error("planned");
}

Coro<int> never() {
  co_await sleep(1h);
  co_return 0;
}

/// A runtime whose second loop takes what the test's thread, which runs none, hands over.
class RunCoroutineThreadsafe : public testing::Test {
 protected:
  static RuntimeOptions two_loops() {
    RuntimeOptions options;
    options.loops = 2;
    return options;
  }
  Runtime runtime_{two_loops()};
  LoopHandle other_ = runtime_.loops()[1];
};

// "run_coroutine_threadsafe returns a thread future with result/exception."
TEST_F(RunCoroutineThreadsafe, TH01GivesTheResultOrTheException) {
  EXPECT_EQ(run_coroutine_threadsafe(doubled(21), other_).result(), 42);
  EXPECT_THROW(run_coroutine_threadsafe(failing(), other_).result(), std::logic_error);
}

// "Timeout on the thread side + cancel cancels the task in the loop."
TEST_F(RunCoroutineThreadsafe, TH02ATimeoutOnTheThreadLeavesItRunningUntilItIsCancelled) {
  auto future = run_coroutine_threadsafe(never(), other_);
  EXPECT_THROW(future.result(1ms), TimeoutError);
  EXPECT_FALSE(future.done());
  EXPECT_TRUE(future.cancel());
  EXPECT_THROW(future.result(), CancelledError);
  EXPECT_FALSE(future.cancel());
}

// "Cancelling the loop task cancels the thread future and vice versa."
TEST_F(RunCoroutineThreadsafe, TH03CancellingTheLoopsTasksCancelsTheFuture) {
  auto future = run_coroutine_threadsafe(never(), other_);
  auto cancel_all = [](LoopHandle) -> Coro<int> {
    int cancelled = 0;
    for (const auto& task : all_tasks()) {
      if (task != current_task() && task.cancel()) ++cancelled;
    }
    co_return cancelled;
  };
  EXPECT_EQ(run_coroutine_threadsafe(cancel_all(other_), other_).result(), 1);
  EXPECT_THROW(future.result(), CancelledError);
}

// "Correct from 10 threads at once."
TEST_F(RunCoroutineThreadsafe, TH05IsCorrectFromTenThreadsAtOnce) {
  std::atomic<int> sum{0};
  std::vector<std::jthread> threads;
  for (int number = 0; number < 10; ++number) {
    threads.emplace_back([this, number, &sum] {
      for (int round = 0; round < 50; ++round) {
        sum.fetch_add(run_coroutine_threadsafe(doubled(number), other_).result(),
                      std::memory_order_relaxed);
      }
    });
  }
  threads.clear();
  EXPECT_EQ(sum.load(std::memory_order_relaxed), 50 * 2 * 45);
}

TEST_F(RunCoroutineThreadsafe, BlockingOnALoopsThreadIsRefused) {
  auto blocking = [](LoopHandle loop) -> Coro<int> {
    auto future = run_coroutine_threadsafe(doubled(1), loop);
    EXPECT_THROW(future.result(), RuntimeError);
    co_return 1;
  };
  EXPECT_EQ(run_coroutine_threadsafe(blocking(other_), other_).result(), 1);
}

TEST_F(RunCoroutineThreadsafe, AClosingLoopEndsTheFutureAndAClosedOneRefuses) {
  auto future = run_coroutine_threadsafe(never(), other_);
  runtime_.close();
  EXPECT_THROW(future.result(), CancelledError);
  EXPECT_THROW(run_coroutine_threadsafe(never(), other_), RuntimeError);
}

// asyncio.wrap_future: a loop awaits what it gave to another one.
TEST_F(RunCoroutineThreadsafe, WrapFutureAwaitsItOnThisLoop) {
  runtime_.main_loop().run_until_complete([](LoopHandle other) -> Coro<> {
    EXPECT_EQ(co_await wrap_future(run_coroutine_threadsafe(doubled(21), other)), 42);
    EXPECT_THROW(co_await wrap_future(run_coroutine_threadsafe(failing(), other)),
                 std::logic_error);
  }(other_));
}

TEST_F(RunCoroutineThreadsafe, CancellingWrapFutureCancelsTheCoroutineThere) {
  runtime_.main_loop().run_until_complete([](LoopHandle other) -> Coro<> {
    auto future = run_coroutine_threadsafe(never(), other);
    Task<int> waiting = create_task(wrap_future(future));
    co_await sleep(0s);
    waiting.cancel();
    EXPECT_THROW(co_await waiting, CancelledError);
    while (!future.done()) co_await sleep(1ms);
  }(other_));
}

}  // namespace
}  // namespace rota
