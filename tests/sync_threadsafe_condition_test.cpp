/// sync_threadsafe_condition_test.cpp: threadsafe::Condition, between loops and threads. What it
/// has in common with rota::Condition is tested by sync_condition_test.cpp, which is built for
/// both.

#include <rota/error.hpp>
#include <rota/loop.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>
#include <rota/threadsafe/condition.hpp>

#include "support/loop_thread.hpp"
#include "support/shared_order.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <string>
#include <thread>

namespace {

using namespace std::chrono_literals;
using namespace rota::testing_support;
using rota::CancelledError;
using rota::Coro;
using rota::RuntimeError;
using rota::sleep;
using rota::Task;
using rota::threadsafe::Condition;
using rota::threadsafe::Lock;

Coro<> wait_in(Condition& condition, SharedOrder& order, std::string name) {
  const auto held = co_await condition.scoped();
  try {
    co_await condition.wait();
  } catch (const CancelledError&) {
    EXPECT_TRUE(condition.locked());
    order.add(name + ":cancelled");
    throw;
  }
  EXPECT_TRUE(condition.locked());
  order.add(name);
}

/// A condition and who waits in it, in this order: a on the first loop, b on a thread, c on the
/// second loop.
struct Waiters {
  Waiters() {
    a = one.start(wait_in, std::ref(condition), std::ref(order), "a");
    wait_until_waiting(condition, 1);
    b = std::jthread([this] {
      condition.acquire_blocking();
      condition.wait_blocking();
      order.add("b");
      condition.release();
    });
    wait_until_waiting(condition, 2);
    c = two.start(wait_in, std::ref(condition), std::ref(order), "c");
    wait_until_waiting(condition, 3);
  }
  void notify(std::size_t count) {
    condition.acquire_blocking();
    condition.notify(count);
    condition.release();
  }
  std::size_t wait_for_lock() const { return condition.statistics().lock.tasks_waiting; }
  void expect(const std::string& names) {
    wait_until([&] { return order.text().size() >= names.size() && !condition.locked(); });
    EXPECT_EQ(order.text(), names);
  }

  Condition condition;
  SharedOrder order;
  LoopThread one;
  LoopThread two;
  Task<> a;
  std::jthread b;
  Task<> c;
};

// CO04 "notify(n) with the n longest waiting; they then re-acquire one after the other as the lock
// frees."
TEST(ThreadsafeCondition, CO04TheLongestWaitingOfAllLoopsAndThreadsGoFirst) {
  Waiters waiters;
  waiters.notify(2);
  waiters.expect("a b");
  EXPECT_EQ(waiters.condition.statistics().tasks_waiting, 1u);
  waiters.notify(1);
  waiters.expect("a b c");
}

TEST(ThreadsafeCondition, CO06NotifyAllFromALoop) {
  Waiters waiters;
  waiters.two.join(waiters.two.start(
      [](Condition& condition) -> Coro<> {
        const auto held = co_await condition.scoped();
        condition.notify_all();
        EXPECT_EQ(condition.statistics().lock.tasks_waiting, 3u);
        co_await sleep(0s);  // they wait for the lock, which we hold
        EXPECT_EQ(condition.statistics().lock.tasks_waiting, 3u);
      },
      std::ref(waiters.condition)));
  waiters.expect("a b c");
}

// CO02 "wait()/notify()/notify_all() without the lock held raise RuntimeError."
TEST(ThreadsafeCondition, CO02WithoutTheLockItIsAnError) {
  Condition condition;
  EXPECT_THROW(condition.notify(), RuntimeError);
  EXPECT_THROW(condition.notify_all(), RuntimeError);
  EXPECT_THROW(condition.wait_blocking(), RuntimeError);
  EXPECT_THROW(condition.wait_blocking(1ms), RuntimeError);
  EXPECT_THROW((void)condition.wait(), RuntimeError);
}

// CO07 "Cancelled wait: the lock is held again when CancelledError leaves wait()."
TEST(ThreadsafeCondition, CO07ACancelFromElsewhereComesWithTheLock) {
  Waiters waiters;
  waiters.condition.acquire_blocking();
  waiters.a.cancel();
  wait_until([&] { return waiters.wait_for_lock() == 1; });
  EXPECT_EQ(waiters.condition.statistics().tasks_waiting, 2u);
  EXPECT_EQ(waiters.order.text(), "");
  waiters.condition.release();
  waiters.one.join(waiters.a);
  waiters.expect("a:cancelled");
  EXPECT_TRUE(waiters.a.cancelled());
  waiters.notify(2);
  waiters.expect("a:cancelled b c");
}

// CO11 "A waiter that was notified and then cancelled hands the notification to another waiter."
TEST(ThreadsafeCondition, CO11ANotificationThatIsCancelledGoesToTheNext) {
  Waiters waiters;
  waiters.condition.acquire_blocking();
  waiters.condition.notify();
  waiters.a.cancel();
  waiters.one.settle();
  waiters.condition.release();
  waiters.expect("a:cancelled b");
  waiters.notify(1);
  waiters.expect("a:cancelled b c");
}

TEST(ThreadsafeCondition, CO08OnceItHasTheLockACancelComesTooLate) {
  Waiters waiters;
  {
    Blocked blocked(waiters.one);
    waiters.notify(1);
    EXPECT_TRUE(waiters.condition.locked());
    waiters.a.cancel();
  }
  waiters.expect("a");
  waiters.one.join(waiters.a);
  EXPECT_FALSE(waiters.a.cancelled());
  waiters.notify(2);
  waiters.expect("a b c");
}

// --- plain threads -----------------------------------------------------------------------------

TEST(ThreadsafeCondition, AThreadHasTheLockAgainWhenItsTimeIsOver) {
  Condition condition;
  condition.acquire_blocking();
  EXPECT_FALSE(condition.wait_blocking(0s));
  EXPECT_FALSE(condition.wait_blocking(1ms));
  EXPECT_TRUE(condition.locked());
  EXPECT_EQ(condition.statistics().tasks_waiting, 0u);
  condition.release();
}

TEST(ThreadsafeCondition, AThreadWhoseTimeIsOverWaitsForTheLockAllTheSame) {
  Condition condition;
  SharedOrder order;
  LoopThread one;
  condition.acquire_blocking();
  std::jthread holder([&] {
    condition.acquire_blocking();  // once the other waits
    order.add("held");
    wait_until([&] { return condition.statistics().lock.tasks_waiting == 1; });
    order.add("released");
    condition.release();
  });
  wait_until([&] { return condition.statistics().lock.tasks_waiting == 1; });
  EXPECT_FALSE(condition.wait_blocking(1ms));
  order.add("back");
  EXPECT_EQ(order.text(), "held released back");
  condition.release();
}

TEST(ThreadsafeCondition, AThreadThatIsNotifiedInTimeSaysSo) {
  Condition condition;
  std::jthread notifier;
  condition.acquire_blocking();
  notifier = std::jthread([&] {
    condition.acquire_blocking();
    condition.notify();
    condition.release();
  });
  EXPECT_TRUE(condition.wait_blocking(1h));
  condition.release();
}

// CO13 "wait_for(pred) loops until pred is true and returns the predicate's value."
TEST(ThreadsafeCondition, CO13AThreadWaitsForAPredicate) {
  Condition condition;
  int value = 0;
  LoopThread one;
  condition.acquire_blocking();
  EXPECT_EQ(condition.wait_for_blocking([&] { return value; }, 1ms), 0);
  one.start(
      [](Condition& changed, int& number) -> Coro<> {
        for (int i = 0; i < 3; ++i) {
          const auto held = co_await changed.scoped();
          ++number;
          changed.notify_all();
        }
      },
      std::ref(condition), std::ref(value));
  EXPECT_EQ(condition.wait_for_blocking([&] { return value == 3 ? 12 : 0; }), 12);
  EXPECT_TRUE(condition.locked());
  condition.release();
}

TEST(ThreadsafeCondition, ALoopIsNotBlocked) {
  Condition condition;
  LoopThread one;
  one.join(one.start(
      [](Condition& own) -> Coro<> {
        const auto held = co_await own.scoped();
        EXPECT_THROW(own.wait_blocking(), RuntimeError);
        EXPECT_THROW(own.wait_blocking(1ms), RuntimeError);
        EXPECT_TRUE(own.locked());
      },
      std::ref(condition)));
  EXPECT_FALSE(condition.locked());
}

// CO16 "Several conditions may share one lock"
TEST(ThreadsafeCondition, CO16SeveralShareOneLock) {
  Lock lock;
  Condition first(lock);
  Condition second(lock);
  SharedOrder order;
  LoopThread one;
  LoopThread two;
  const auto a = one.start(wait_in, std::ref(first), std::ref(order), "a");
  wait_until_waiting(first, 1);
  const auto b = two.start(wait_in, std::ref(second), std::ref(order), "b");
  wait_until_waiting(second, 1);
  lock.acquire_blocking();
  second.notify_all();
  lock.release();
  two.join(b);
  EXPECT_EQ(order.text(), "b");
  lock.acquire_blocking();
  first.notify_all();
  lock.release();
  one.join(a);
  EXPECT_EQ(order.text(), "b a");
}

// --- MX07 --------------------------------------------------------------------------------------

TEST(ThreadsafeCondition, MX07ALoopThatClosesTakesItsWaitersAlong) {
  Waiters waiters;
  waiters.one.close();
  EXPECT_EQ(waiters.condition.statistics().tasks_waiting, 2u);
  waiters.notify(1);
  waiters.expect("b");
  waiters.notify(1);
  waiters.expect("b c");
}

// Whoever was notified may wait for the lock, or have it: the notification goes to the next, and
// the lock is free.
TEST(ThreadsafeCondition, MX07ANotificationOfAWaiterWhoseLoopClosesGoesToTheNext) {
  for (const bool has_lock : {false, true}) {
    Waiters waiters;
    waiters.condition.acquire_blocking();
    waiters.condition.notify();
    close_unseen(waiters.one, [&] {
      if (has_lock) waiters.condition.release();
    });
    if (!has_lock) waiters.condition.release();
    waiters.expect("b");
    waiters.notify(1);
    waiters.expect("b c");
  }
}

// One that was cancelled waits for the lock too; its loop may close then.
TEST(ThreadsafeCondition, MX07AWaiterThatWasCancelledAndHasNotTheLockYet) {
  Waiters waiters;
  waiters.condition.acquire_blocking();
  waiters.a.cancel();
  wait_until([&] { return waiters.wait_for_lock() == 1; });
  waiters.one.close();
  EXPECT_EQ(waiters.wait_for_lock(), 0u);
  EXPECT_EQ(waiters.condition.statistics().tasks_waiting, 2u);
  EXPECT_TRUE(waiters.condition.locked());
  waiters.condition.release();
  waiters.notify(2);
  waiters.expect("b c");
}

}  // namespace
