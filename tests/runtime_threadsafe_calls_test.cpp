/// Calls from other threads into a loop: conformance TH06-TH10, XT08.
#include <rota/loop.hpp>
#include <rota/run_threadsafe.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>

#include "support/loop_thread.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <optional>
#include <thread>
#include <tuple>
#include <vector>

namespace rota {
namespace {

using namespace std::chrono_literals;
using testing_support::Blocked;
using testing_support::LoopThread;

TEST(ThreadsafeCalls, TH06FromTheSameThreadItIsCallSoon) {
  EventLoop loop;
  std::vector<int> order;
  loop.call_soon([&] {
    loop.call_soon([&] { order.push_back(1); });
    loop.call_soon_threadsafe([&] { order.push_back(2); });
    loop.call_soon([&] {
      order.push_back(3);
      loop.stop();
    });
  });
  loop.run_forever();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
}

TEST(ThreadsafeCalls, TH06FromAnotherThreadItWakesALoopThatSleeps) {
  LoopThread thread;
  for (int i = 0; i < 100; ++i) EXPECT_EQ(thread.call([i] { return i; }), i);
}

// "A cancel that returns before start guarantees it never runs." D20: while it runs, cancel() does
// not block but returns false.
TEST(ThreadsafeCalls, TH07ACancelFromAnotherThreadEitherPreventsTheCallOrIsRefused) {
  LoopThread thread;
  std::atomic<int> ran = 0;
  {
    Blocked blocked(thread);
    const Handle never = thread.handle().call_soon_threadsafe([&] { ++ran; });
    EXPECT_TRUE(never.cancel());
    EXPECT_TRUE(never.cancelled());
    EXPECT_FALSE(never.cancel());
  }
  thread.settle();
  EXPECT_EQ(ran, 0);
  std::latch running(1);
  std::latch go_on(1);
  const Handle now = thread.handle().call_soon_threadsafe([&] {
    running.count_down();
    go_on.wait();
    ++ran;
  });
  running.wait();
  EXPECT_FALSE(now.cancel());
  EXPECT_FALSE(now.cancelled());
  go_on.count_down();
  thread.settle();
  EXPECT_EQ(ran, 1);
  EXPECT_FALSE(now.cancel());
}

TEST(ThreadsafeCalls, TH08CancellingItselfFromInsideHasNoEffect) {
  LoopThread thread;
  std::optional<Handle> self;
  std::atomic<int> ran = 0;
  {
    Blocked blocked(thread);
    self = thread.handle().call_soon_threadsafe([&] {
      EXPECT_FALSE(self->cancel());
      EXPECT_FALSE(self->cancelled());
      ++ran;
    });
  }
  thread.settle();
  EXPECT_EQ(ran, 1);
}

TEST(ThreadsafeCalls, TH09ManyCallsMixedWithTimersLoseNothing) {
  static constexpr int rounds = 4096;
  LoopThread thread;
  std::atomic<int> calls = 0;
  std::atomic<int> timers = 0;
  std::latch all(2 * rounds);
  for (int i = 0; i < rounds; ++i) {
    thread.handle().call_soon_threadsafe([&] {
      ++calls;
      thread.loop().call_later(10us, [&] {
        ++timers;
        all.count_down();
      });
      all.count_down();
    });
  }
  all.wait();
  EXPECT_EQ(calls, rounds);
  EXPECT_EQ(timers, rounds);
}

TEST(ThreadsafeCalls, TH10InDebugModeCallsFromAForeignThreadAreErrors) {
  LoopThread thread;
  thread.call([&] { thread.loop().set_debug(true); });
  EXPECT_THROW(std::ignore = thread.loop().call_soon([] {}), RuntimeError);
  EXPECT_THROW(std::ignore = thread.loop().call_later(1s, [] {}), RuntimeError);
  EXPECT_THROW(std::ignore = thread.loop().call_at(TimePoint(), [] {}), RuntimeError);
  EXPECT_EQ(thread.call([] { return 1; }), 1);
}

Coro<int> doubled(int value) {
  co_await sleep(0s);
  co_return 2 * value;
}

// "call, start_task(soon), stop -> error, usable from many threads."
TEST(ThreadsafeCalls, XT08ThreadsStartCoroutinesAndWaitUntilTheLoopHasEnded) {
  LoopThread thread;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&thread, i] {
      for (int round = 0; round < 50; ++round) {
        EXPECT_EQ(run_coroutine_threadsafe(doubled(i), thread.handle()).result(), 2 * i);
      }
    });
  }
  for (std::thread& each : threads) each.join();
  auto soon = run_coroutine_threadsafe(doubled(4), thread.handle());
  EXPECT_EQ(soon.result(), 8);
  thread.close();
  EXPECT_THROW(std::ignore = run_coroutine_threadsafe(doubled(1), thread.handle()), RuntimeError);
}

}  // namespace
}  // namespace rota
