/// sync_condition_cancel_test.cpp: a cancelled wait of a Condition has the lock again, and passes
/// on what was meant for it.
///
/// The statements quoted are asyncio's, by their numbers in the catalogue of behaviours; the order
/// lists are CPython 3.15's.

#include <rota/error.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>

#include "support/condition_waiters.hpp"
#include "support/contenders.hpp"
#include "support/family.hpp"
#include "support/outcome.hpp"
#include "support/test_loop.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace rota::testing_support;
using rota::CancelledError;
using rota::Coro;
using rota::create_task;
using rota::current_task;
using rota::sleep;
using rota::Task;

using Waiters = ConditionWaiters;

// CO07 "Cancelled wait: the lock is held again when CancelledError leaves wait()."
TEST(Condition, CO07ACancelledWaitHoldsTheLock) {
  Waiters waiters("a");
  waiters.tasks[0].cancel();
  EXPECT_EQ(waiters.settle(), "a:cancelled");  // wait_in looks at the lock
  EXPECT_TRUE(waiters.tasks[0].cancelled());
  EXPECT_FALSE(waiters.condition.locked());
  EXPECT_EQ(waiters.waiting(), 0u);
}

TEST(Condition, CO07ACancelThatIsDueBeforeTheWaitHoldsItToo) {
  Waiters waiters("");
  auto task = waiters.loop->create_task([](Waiters& all) -> Coro<> {
    current_task().cancel("early");
    co_await wait_in(all.condition, all.order, "a");
  }(waiters));
  EXPECT_EQ(waiters.settle(), "a:cancelled");
  EXPECT_EQ(message_of(task), "early");
  EXPECT_EQ(waiters.waiting(), 0u);
  EXPECT_FALSE(waiters.condition.locked());
}

TEST(Condition, CO07ACancelTakenBackBeforeTheWaiterRunsStillEndsItsWait) {
  Waiters waiters("a");
  waiters.hold();
  waiters.loop.call([&] {
    waiters.tasks[0].cancel();
    waiters.tasks[0].uncancel();
  });
  EXPECT_EQ(waiters.settle(), "");
  waiters.release();
  EXPECT_EQ(waiters.settle(), "a:cancelled");
  EXPECT_FALSE(waiters.condition.locked());
}

TEST(Condition, CO07AndThenItHadReleasedItMeanwhile) {
  Waiters waiters("");
  waiters.loop->create_task([](Waiters& all) -> Coro<> {
    co_await all.condition.acquire();
    create_task(use(all.condition, all.order, "other"));
    co_await sleep(0s);
    current_task().cancel();
    try {
      co_await all.condition.wait();
    } catch (const CancelledError&) {
      EXPECT_TRUE(all.condition.locked());
      all.order.add("cancelled");
    }
  }(waiters));
  EXPECT_EQ(waiters.settle(), "other cancelled");
}

TEST(Condition, CO07TwoCancelsAreOneError) {
  Waiters waiters("a");
  waiters.tasks[0].cancel();
  waiters.tasks[0].cancel();
  EXPECT_EQ(waiters.settle(), "a:cancelled");
  EXPECT_EQ(waiters.tasks[0].cancelling(), 2u);
  EXPECT_FALSE(waiters.condition.locked());
}

// CO08 "Cancel during the re-acquire is deferred until the lock is got; the exception leaves with
// the lock held."
TEST(Condition, CO08ACancelWhileItWaitsForTheLockComesWithTheLock) {
  Waiters waiters("a");
  waiters.hold();
  waiters.loop.call([&] { waiters.condition.notify(); });
  waiters.settle();
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(waiters.tasks[0].cancel());
    EXPECT_EQ(waiters.settle(), "");
    EXPECT_FALSE(waiters.tasks[0].done());
  }
  waiters.release();
  EXPECT_EQ(waiters.settle(), "a:cancelled");
  EXPECT_TRUE(waiters.tasks[0].cancelled());
  EXPECT_FALSE(waiters.condition.locked());
}

TEST(Condition, CO08ACancelledWaitThatFindsTheLockHeldWaitsForIt) {
  Waiters waiters("a");
  waiters.hold();
  waiters.tasks[0].cancel();
  EXPECT_EQ(waiters.settle(), "");
  EXPECT_TRUE(waiters.tasks[0].cancel());
  EXPECT_EQ(waiters.settle(), "");
  waiters.release();
  EXPECT_EQ(waiters.settle(), "a:cancelled");
  EXPECT_FALSE(waiters.condition.locked());
}

TEST(Condition, CO08ACancelAfterTheLockWasPromisedComesWithTheLock) {
  Waiters waiters("a");
  waiters.hold();
  waiters.loop.call([&] { waiters.condition.notify(); });
  waiters.settle();
  waiters.loop.call([&] {
    waiters.condition.release();
    waiters.tasks[0].cancel();
  });
  EXPECT_EQ(waiters.settle(), "a:cancelled");
  EXPECT_FALSE(waiters.condition.locked());
}

TEST(Condition, CO08WhoWaitsForTheLockMeanwhileIsServedInOrder) {
  Waiters waiters("a");
  waiters.hold();
  waiters.loop->create_task(use(waiters.condition, waiters.order, "before"));
  waiters.settle();
  waiters.tasks[0].cancel();
  waiters.settle();
  waiters.loop->create_task(use(waiters.condition, waiters.order, "after"));
  waiters.settle();
  waiters.tasks[0].cancel();
  waiters.release();
  EXPECT_EQ(waiters.settle(), "before a:cancelled after");
}

TEST(Condition, CO08TheCancelIsDeliveredOnce) {
  Waiters waiters("");
  auto task = waiters.loop->create_task([](Waiters& all) -> Coro<> {
    co_await all.condition.acquire();
    try {
      co_await all.condition.wait();
    } catch (const CancelledError&) {
      all.order.add("cancelled");
    }
    co_await sleep(0s);
    all.order.add("goes-on");
    all.condition.release();
  }(waiters));
  waiters.settle();
  waiters.hold();
  waiters.loop.call([&] {
    task.cancel();
    waiters.condition.notify();
  });
  waiters.settle();
  task.cancel();
  waiters.release();
  EXPECT_EQ(waiters.settle(), "cancelled goes-on");
  EXPECT_FALSE(task.cancelled());
}

// CO10 "The CancelledError instance that woke the waiter is the one re-raised." (rota: its
// message.)
TEST(Condition, CO10TheMessageOfTheCancelIsKept) {
  Waiters waiters("a");
  waiters.hold();
  waiters.tasks[0].cancel("why");
  waiters.settle();
  waiters.release();
  waiters.settle();
  EXPECT_EQ(message_of(waiters.tasks[0]), "why");
}

TEST(Condition, CO10AlsoOfOneThatCameWhileItWaitedForTheLock) {
  Waiters waiters("a");
  waiters.hold();
  waiters.loop.call([&] { waiters.condition.notify(); });
  waiters.settle();
  waiters.tasks[0].cancel("why");
  waiters.settle();
  waiters.release();
  waiters.settle();
  EXPECT_EQ(message_of(waiters.tasks[0]), "why");
}

// CO11 "A waiter that was notified and then cancelled (or failed to re-lock) hands the notification
// to another waiter."
TEST(Condition, CO11ANotificationThatIsCancelledGoesToTheNext) {
  Waiters waiters("abc");
  waiters.hold();
  waiters.loop.call([&] {
    waiters.condition.notify(1);
    waiters.tasks[0].cancel();
    waiters.condition.release();
  });
  EXPECT_EQ(waiters.settle(), "a:cancelled b");
  EXPECT_EQ(waiters.waiting(), 1u);
}

TEST(Condition, CO11AlsoIfTheCancelComesWhileItWaitsForTheLock) {
  Waiters waiters("abc");
  waiters.hold();
  waiters.loop.call([&] { waiters.condition.notify(1); });
  waiters.settle();
  waiters.tasks[0].cancel();
  waiters.settle();
  waiters.release();
  EXPECT_EQ(waiters.settle(), "a:cancelled b");
  EXPECT_EQ(waiters.waiting(), 1u);
}

TEST(Condition, CO11ThroughAChainOfCancelledWaiters) {
  Waiters waiters("abcd");
  waiters.hold();
  waiters.loop.call([&] {
    waiters.condition.notify(2);
    waiters.tasks[0].cancel();
    waiters.tasks[1].cancel();
    waiters.condition.release();
  });
  EXPECT_EQ(waiters.settle(), "a:cancelled b:cancelled c d");
}

TEST(Condition, CO11ANotificationReachesOneWhoWasNotCancelledBeforeIt) {
  Waiters waiters("abc");
  waiters.hold();
  waiters.loop.call([&] {
    waiters.tasks[0].cancel();
    waiters.condition.notify(1);
    waiters.condition.release();
  });
  const std::string text = waiters.settle();
  EXPECT_TRUE(waiters.tasks[0].cancelled());
  EXPECT_TRUE(waiters.tasks[1].done() && !waiters.tasks[1].cancelled()) << text;
}

// CO12 "Hence spurious wake-ups are allowed: users must re-test predicates." Whatever is cancelled
// when, an item reaches a consumer, and none is lost.
TEST(Condition, CO12ConsumersWhoTestAgainLoseNothing) {
  for (std::size_t victim = 0; victim < 3; ++victim) {
    for (std::size_t steps = 0; steps < 12; ++steps) {
      int items = 0;
      int eaten = 0;
      Condition condition;
      TestLoop loop;
      auto consume = [](Condition& target, int& stock, int& count) -> Coro<> {
        auto held = co_await target.scoped();
        co_await target.wait_for([&stock] { return stock > 0; });
        --stock;
        ++count;
      };
      auto produce = [](Condition& target, int& stock) -> Coro<> {
        for (int i = 0; i < 2; ++i) {
          auto held = co_await target.scoped();
          ++stock;
          target.notify();
        }
      };
      std::vector<Task<>> tasks;
      for (int i = 0; i < 3; ++i)
        tasks.push_back(loop->create_task(consume(condition, items, eaten)));
      loop->create_task(produce(condition, items));
      loop.run_steps(steps);
      tasks[victim].cancel();
      loop.run_until_idle();
      EXPECT_EQ(eaten, 2) << "victim " << victim << ", " << steps << " steps";
      EXPECT_EQ(items, 0);
      EXPECT_FALSE(condition.locked());
      for (const Task<>& task : tasks) task.cancel();
      loop.run_until_idle();
    }
  }
}

// PR07 "Cancelling one of two contenders never deadlocks the other."
TEST(Condition, PR07CancellingOneOfTwoWaitersNeverStopsTheOther) {
  for (std::size_t victim = 0; victim < 2; ++victim) {
    for (std::size_t steps = 0; steps < 10; ++steps) {
      Waiters waiters("");
      waiters.add("0");
      waiters.add("1");
      waiters.loop->create_task([](Condition& condition) -> Coro<> {
        auto held = co_await condition.scoped();
        condition.notify_all();
        co_await sleep(0s);
        co_await sleep(0s);
      }(waiters.condition));
      waiters.loop.run_steps(steps);
      waiters.tasks[victim].cancel();
      waiters.settle();
      const Task<>& other = waiters.tasks[1 - victim];
      EXPECT_TRUE(other.done() && !other.cancelled()) << "victim " << victim << ", " << steps;
      EXPECT_TRUE(waiters.tasks[victim].done());
      EXPECT_FALSE(waiters.condition.locked());
    }
  }
}

}  // namespace
