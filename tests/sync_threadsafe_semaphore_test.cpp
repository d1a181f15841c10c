/// sync_threadsafe_semaphore_test.cpp: threadsafe::Semaphore and BoundedSemaphore, between loops
/// and threads. What they have in common with rota's is tested by sync_semaphore_test.cpp, which is
/// built for both.

#include <rota/error.hpp>
#include <rota/loop.hpp>
#include <rota/task.hpp>
#include <rota/threadsafe/semaphore.hpp>

#include "support/loop_thread.hpp"
#include "support/shared_order.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <thread>

namespace {

using namespace std::chrono_literals;
using namespace rota::testing_support;
using rota::Coro;
using rota::RuntimeError;
using rota::ValueError;
using rota::threadsafe::BoundedSemaphore;
using rota::threadsafe::Semaphore;

Coro<> take(Semaphore& semaphore, SharedOrder& order, std::string name) {
  co_await semaphore.acquire();
  order.add(name);
}

/// A semaphore without a token, and who waits for one, in this order: a on the first loop, b on a
/// thread, c on the second loop, d on the first.
struct Waiters {
  Waiters() {
    add(one, "a");
    thread = std::jthread([this] {
      semaphore.acquire_blocking();
      order.add("b");
    });
    wait_until_waiting(semaphore, 2);
    add(two, "c");
    add(one, "d");
  }
  void add(LoopThread& loop, const char* name) {
    const std::size_t before = semaphore.statistics().tasks_waiting;
    loop.start(take, std::ref(semaphore), std::ref(order), name);
    wait_until_waiting(semaphore, before + 1);
  }
  /// How many tokens there are for whoever comes.
  std::size_t value() const { return semaphore.statistics().value; }
  void wait_for(const std::string& names) {
    wait_until([&] { return order.text().size() >= names.size(); });
  }

  Semaphore semaphore{0};
  SharedOrder order;
  std::jthread thread;
  LoopThread one;
  LoopThread two;
};

// MT03 "multi-release(n) wakes min(n, waiters) FIFO"
TEST(ThreadsafeSemaphore, MT03SoManyTokensGoToThoseWhoWaitLongest) {
  Waiters waiters;
  waiters.semaphore.release(2);
  waiters.wait_for("a b");
  EXPECT_EQ(waiters.semaphore.statistics().tasks_waiting, 2u);
  EXPECT_TRUE(waiters.semaphore.locked());
  waiters.semaphore.release(5);
  waiters.wait_for("a b c d");
  EXPECT_EQ(waiters.value(), 3u);
  EXPECT_FALSE(waiters.semaphore.locked());
  waiters.semaphore.release(0);
  EXPECT_EQ(waiters.value(), 3u);
}

TEST(ThreadsafeSemaphore, MT03OneByOneInTheOrderTheyCame) {
  Waiters waiters;
  for (const std::string names : {"a", "a b", "a b c", "a b c d"}) {
    waiters.semaphore.release();
    waiters.wait_for(names);
    EXPECT_EQ(waiters.order.text(), names);
  }
  EXPECT_EQ(waiters.value(), 0u);
}

// "no token is lost when the woken task's loop is shutting down."
TEST(ThreadsafeSemaphore, MT03ATokenOfATaskWhoseLoopClosesGoesToTheNext) {
  Waiters waiters;
  close_unseen(waiters.one, [&] { waiters.semaphore.release(1); });
  waiters.wait_for("b");
  EXPECT_EQ(waiters.order.text(), "b");
  waiters.semaphore.release();
  waiters.wait_for("b c");
  EXPECT_EQ(waiters.value(), 0u);
  EXPECT_EQ(waiters.semaphore.statistics().tasks_waiting, 0u);
}

TEST(ThreadsafeSemaphore, MT03WithoutANextItIsKept) {
  Waiters waiters;
  close_unseen(waiters.one, [&] { waiters.semaphore.release(4); });
  waiters.two.settle();
  waiters.thread.join();
  EXPECT_EQ(waiters.value(), 2u);
}

// SE08 "Cancel before the wake: token goes to the next waiter."
TEST(ThreadsafeSemaphore, SE08AWaiterCancelledFromElsewhereTakesNoToken) {
  Semaphore semaphore(0);
  LoopThread one;
  const auto task =
      one.start([](Semaphore& none) -> Coro<> { co_await none.acquire(); }, std::ref(semaphore));
  wait_until_waiting(semaphore, 1);
  task.cancel();
  wait_until_waiting(semaphore, 0);
  semaphore.release();
  EXPECT_EQ(semaphore.statistics().value, 1u);
  one.join(task);
  EXPECT_TRUE(task.cancelled());
}

// SE09, with EV08: once it has the token, the cancel comes too late.
TEST(ThreadsafeSemaphore, SE09ACancelAfterTheReleaseLeavesItTheToken) {
  Semaphore semaphore(0);
  LoopThread one;
  const auto task =
      one.start([](Semaphore& none) -> Coro<> { co_await none.acquire(); }, std::ref(semaphore));
  wait_until_waiting(semaphore, 1);
  {
    Blocked blocked(one);
    semaphore.release();
    task.cancel();
  }
  one.join(task);
  EXPECT_FALSE(task.cancelled());
  EXPECT_EQ(semaphore.statistics().value, 0u);
}

// SE10 "BoundedSemaphore.release above the initial value raises ValueError."
TEST(ThreadsafeSemaphore, SE10TheBoundHoldsForSeveralTokensToo) {
  BoundedSemaphore semaphore(2);
  EXPECT_THROW(semaphore.release(), ValueError);
  semaphore.acquire_blocking();
  EXPECT_THROW(semaphore.release(2), ValueError);
  EXPECT_EQ(semaphore.statistics().value, 1u);
  semaphore.acquire_blocking();
  semaphore.release(2);
  EXPECT_EQ(semaphore.statistics().value, 2u);
}

TEST(ThreadsafeSemaphore, SE10TheBoundHoldsWhileSomebodyWaits) {
  BoundedSemaphore semaphore(1);
  semaphore.acquire_blocking();
  std::jthread waiting([&] { semaphore.acquire_blocking(); });
  wait_until_waiting(semaphore, 1);
  EXPECT_THROW(semaphore.release(2), ValueError);
  EXPECT_EQ(semaphore.statistics().tasks_waiting, 1u);
  semaphore.release();
  waiting.join();
  EXPECT_TRUE(semaphore.locked());
}

TEST(ThreadsafeSemaphore, ThreadsWaitNoLongerThanTheyWant) {
  Semaphore semaphore(1);
  EXPECT_TRUE(semaphore.acquire_blocking(1h));
  EXPECT_FALSE(semaphore.acquire_blocking(0s));
  EXPECT_FALSE(semaphore.acquire_blocking(1ms));
  semaphore.release();
  EXPECT_EQ(semaphore.statistics().value, 1u);
  LoopThread one;
  one.call([&] {
    EXPECT_THROW(semaphore.acquire_blocking(), RuntimeError);
    EXPECT_THROW((void)semaphore.acquire_blocking(1ms), RuntimeError);
  });
}

}  // namespace
