/// sync_condition_test.cpp: Condition, of one loop: waiting under a lock, and having it again
/// whatever happens.
///
/// The statements quoted are asyncio's, by their numbers in the catalogue of behaviours; the order
/// lists are CPython 3.15's.

#include <rota/error.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>
#include <rota/timeout.hpp>
#include <rota/wait.hpp>
#include <rota/with.hpp>

#include "support/condition_waiters.hpp"
#include "support/contenders.hpp"
#include "support/family.hpp"
#include "support/observe.hpp"
#include "support/test_loop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <string>

namespace {

using namespace std::chrono_literals;
using namespace rota::testing_support;
using rota::Coro;
using rota::RuntimeError;
using rota::sleep;
using rota::with;

using Waiters = ConditionWaiters;

// --- waiting and notifying ---------------------------------------------------------------------

// CO01 "wait() releases the lock, parks, and holds the lock again on return."
TEST(Condition, CO01WaitReleasesTheLockAndHoldsItAgainOnReturn) {
  TestLoop loop;
  Condition condition;
  Order order;
  auto waiter = loop->create_task([](Condition& target, Order& out) -> Coro<> {
    co_await target.acquire();
    out.add("waits");
    EXPECT_TRUE(co_await target.wait());
    EXPECT_TRUE(target.locked());
    out.add("woken");
  }(condition, order));
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "waits");
  EXPECT_FALSE(condition.locked());
  EXPECT_EQ(condition.statistics().tasks_waiting, 1u);
  loop.run([](Condition& target, Order& out) -> Coro<> {
    co_await target.acquire();
    target.notify();
    co_await sleep(1s);
    out.add("release");
    target.release();
  }(condition, order));
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "waits release woken");
  EXPECT_TRUE(waiter.done());
  EXPECT_TRUE(condition.locked());
}

TEST(Condition, CO01WaitAlwaysWaits) {
  Waiters waiters("");
  waiters.loop->create_task([](Condition& condition, Order& order) -> Coro<> {
    co_await condition.acquire();
    condition.notify();  // not for the wait that follows
    order.add("waits");
    co_await condition.wait();
    order.add("not reached");
  }(waiters.condition, waiters.order));
  EXPECT_EQ(waiters.settle(), "waits");
  EXPECT_FALSE(waiters.condition.locked());
}

TEST(Condition, CO01WhileItWaitsOthersWhoWantTheLockComeFirst) {
  Waiters waiters("a");
  waiters.hold();
  waiters.loop->create_task(use(waiters.condition, waiters.order, "lock"));
  waiters.settle();
  waiters.loop.call([&] {
    waiters.condition.notify();
    waiters.condition.release();
  });
  EXPECT_EQ(waiters.settle(), "lock a");
}

// CO02 "wait()/notify()/notify_all() without the lock held raise RuntimeError."
TEST(Condition, CO02WithoutTheLockItIsAnError) {
  Waiters waiters("a");
  waiters.loop.call([&] {
    EXPECT_THROW((void)waiters.condition.wait(), RuntimeError);
    EXPECT_THROW(waiters.condition.notify(), RuntimeError);
    EXPECT_THROW(waiters.condition.notify(0), RuntimeError);
    EXPECT_THROW(waiters.condition.notify_all(), RuntimeError);
    EXPECT_THROW(waiters.condition.release(), RuntimeError);
  });
  EXPECT_EQ(waiters.settle(), "");
  EXPECT_EQ(waiters.waiting(), 1u);
  EXPECT_EQ(waiters.notify(1), "a");
}

// CO03 "'lock held' means the lock is locked, not that *this* task owns it."
TEST(Condition, CO03AnybodysLockWillDo) {
  Waiters waiters("ab");
  waiters.hold();
  waiters.loop.call([&] {
    waiters.condition.notify_all();
    waiters.condition.release();
  });
  EXPECT_EQ(waiters.settle(), "a b");
}

// CO04 "notify(n) wakes the n longest waiting; they then re-acquire one after the other as the lock
// frees."
TEST(Condition, CO04NotifyWakesTheLongestWaiting) {
  Waiters waiters("abcde");
  EXPECT_EQ(waiters.waiting(), 5u);
  EXPECT_EQ(waiters.notify(1), "a");
  EXPECT_EQ(waiters.notify(2), "a b c");
  EXPECT_EQ(waiters.waiting(), 2u);
  EXPECT_EQ(waiters.notify(0), "a b c");
  EXPECT_EQ(waiters.notify(1), "a b c d");
  EXPECT_EQ(waiters.notify(1), "a b c d e");
}

TEST(Condition, CO04TheyTakeTheLockOneAfterTheOther) {
  TestLoop loop;
  Condition condition;
  Order order;
  auto wait_and_hold = [](Condition& target, Order& out, std::string name) -> Coro<> {
    auto held = co_await target.scoped();
    co_await target.wait();
    out.add(name + "(");
    co_await sleep(1s);
    out.add(")");
  };
  for (const char* name : {"a", "b", "c"}) loop->create_task(wait_and_hold(condition, order, name));
  loop.run([](Condition& target) -> Coro<> {
    auto held = co_await target.scoped();
    target.notify(2);
  }(condition));
  loop.advance(1min);
  EXPECT_EQ(order.text(), "a( ) b( )");
  EXPECT_FALSE(condition.locked());
  loop.run([](Condition& target) -> Coro<> {
    auto held = co_await target.scoped();
    target.notify_all();
  }(condition));
  loop.advance(1min);
  EXPECT_EQ(order.text(), "a( ) b( ) c( )");
}

// CO05 "notify(n) with n above the number of waiters wakes all; no wake is stored for later."
TEST(Condition, CO05ATooLargeCountWakesAllAndStoresNothing) {
  Waiters waiters("ab");
  EXPECT_EQ(waiters.notify(2048), "a b");
  waiters.add("c");
  EXPECT_EQ(waiters.settle(), "a b");
  EXPECT_EQ(waiters.notify(1), "a b c");
}

TEST(Condition, CO05SomebodyWhoWasNotifiedIsNotNotifiedAgain) {
  Waiters waiters("ab");
  waiters.hold();
  waiters.loop.call([&] {
    waiters.condition.notify(1);
    waiters.condition.notify(1);
    EXPECT_EQ(waiters.waiting(), 0u);
    waiters.condition.notify(1);
    waiters.condition.release();
  });
  EXPECT_EQ(waiters.settle(), "a b");
}

// CO06 "notify_all wakes all present waiters."
TEST(Condition, CO06NotifyAllWakesAllWhoAreThere) {
  Waiters waiters("abc");
  waiters.hold();
  waiters.loop.call([&] {
    waiters.condition.notify_all();
    waiters.add("late");
    waiters.condition.release();
  });
  EXPECT_EQ(waiters.settle(), "a b c");
  EXPECT_EQ(waiters.waiting(), 1u);
  EXPECT_EQ(waiters.notify(1), "a b c late");
}

TEST(Condition, CO06WithoutWaitersItDoesNothing) {
  Waiters waiters("");
  waiters.hold();
  waiters.loop.call([&] {
    waiters.condition.notify();
    waiters.condition.notify_all();
    waiters.condition.release();
  });
  EXPECT_FALSE(waiters.condition.locked());
}

// --- wait_for ----------------------------------------------------------------------------------

// CO13 "wait_for(pred) loops until pred is true and returns the predicate's value."
TEST(Condition, CO13WaitForLooksAgainUntilItIsTrue) {
  TestLoop loop;
  Condition condition;
  int value = 0;
  int looks = 0;
  auto task = loop->create_task([](Condition& target, int& read, int& count) -> Coro<int> {
    auto held = co_await target.scoped();
    auto predicate = [&] {
      ++count;
      return read > 2 ? read : 0;
    };
    const int result = co_await target.wait_for(predicate);
    EXPECT_TRUE(target.locked());
    co_return result;
  }(condition, value, looks));
  loop.run_until_idle();
  for (int i = 1; i <= 3; ++i) {
    EXPECT_FALSE(task.done());
    EXPECT_EQ(looks, i);
    loop.run([](Condition& target, int& changed) -> Coro<> {
      auto held = co_await target.scoped();
      ++changed;
      target.notify();
    }(condition, value));
    loop.run_until_idle();
  }
  EXPECT_EQ(task.result(), 3);
  EXPECT_EQ(looks, 4);
  EXPECT_FALSE(condition.locked());
}

TEST(Condition, CO13WhatThePredicateThrowsLeavesWithTheLockHeld) {
  Waiters waiters("");
  waiters.loop.run([](Condition& condition) -> Coro<> {
    co_await condition.acquire();
    auto predicate = []() -> bool { throw std::runtime_error("predicate"); };
    EXPECT_EQ(co_await word_of(condition.wait_for(predicate)), ":predicate");
    EXPECT_TRUE(condition.locked());
  }(waiters.condition));
}

// CO14 "wait_for with a predicate already true returns at once, even when the lock is not held;
// otherwise an unlocked wait_for raises RuntimeError."
TEST(Condition, CO14WaitForAnUnlockedConditionWorksOnlyIfItIsTrueAlready) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    Condition condition;
    const std::size_t before = test.steps();
    EXPECT_EQ(co_await condition.wait_for([] { return 14; }), 14);
    EXPECT_EQ(test.steps(), before);
    EXPECT_FALSE(condition.locked());
    bool refused = false;
    try {
      co_await condition.wait_for([] { return false; });
    } catch (const RuntimeError&) {
      refused = true;
    }
    EXPECT_TRUE(refused);
    EXPECT_FALSE(condition.locked());
  }(loop));
}

// --- with other things -------------------------------------------------------------------------

// CO15 "A timeout that fires inside `lock: wait()` leaves the scope with the lock released exactly
// once."
TEST(Condition, CO15ATimeoutInTheScopeReleasesOnce) {
  TestLoop loop;
  Condition condition;
  loop.run([](TestLoop& test, Condition& target) -> Coro<> {
    auto body = [](Condition& held) -> Coro<> {
      EXPECT_EQ(co_await word_of(rota::timeout(5s, held.wait())), ":timeout");
      EXPECT_TRUE(held.locked());
      EXPECT_EQ(co_await word_of(rota::wait_for(held.wait(), 5s)), ":timeout");
      EXPECT_TRUE(held.locked());
    };
    co_await with(target, body);
    EXPECT_FALSE(target.locked());
    EXPECT_THROW(target.release(), RuntimeError);
    auto fails = [](Condition& held) -> Coro<> { co_await rota::timeout(5s, held.wait()); };
    EXPECT_EQ(co_await word_of(with(target, fails)), ":timeout");
    EXPECT_FALSE(target.locked());
    EXPECT_EQ(test.now(), 15s);
  }(loop, condition));
  EXPECT_EQ(condition.statistics().tasks_waiting, 0u);
}

// CO16 "Several conditions may share one lock; a default lock is made otherwise."
TEST(Condition, CO16SeveralShareOneLock) {
  TestLoop loop;
  Lock lock;
  Condition not_empty(lock);
  Condition not_full(lock);
  Order order;
  loop->create_task(wait_in(not_empty, order, "getter"));
  loop->create_task(wait_in(not_full, order, "putter"));
  loop.run_until_idle();
  loop.run([](Lock& shared, Condition& other) -> Coro<> {
    auto held = co_await shared.scoped();
    other.notify_all();
  }(lock, not_full));
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "putter");
  loop.run([](Condition& one, Condition& other) -> Coro<> {
    auto held = co_await one.scoped();
    EXPECT_TRUE(other.locked());
    one.notify_all();
  }(not_empty, not_full));
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "putter getter");
  EXPECT_FALSE(lock.locked());
}

TEST(Condition, CO16ByDefaultEachHasItsOwnLock) {
  TestLoop loop;
  Condition one;
  Condition other;
  loop.run([](Condition& taken) -> Coro<> { co_await taken.acquire(); }(one));
  EXPECT_TRUE(one.locked());
  EXPECT_FALSE(other.locked());
}

// CO17 "A condition given a lock of another loop raises when it is used."
TEST(Condition, CO17ALockOfAnotherLoopIsRefusedWhenItIsUsed) {
  TestLoop loop;
  Lock lock;
  loop.run([](Lock& taken) -> Coro<> { co_await taken.acquire(); }(lock));
  Condition condition(lock);
  EXPECT_THAT(elsewhere([&] { (void)condition.acquire(); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { (void)condition.wait(); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { condition.notify(); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { condition.release(); }), is_wrong_loop());
  EXPECT_TRUE(lock.locked());
}

TEST(Condition, CO17ItselfUsedOnAnotherLoopIsRefused) {
  Waiters waiters("a");
  waiters.hold();
  EXPECT_THAT(elsewhere([&] { (void)waiters.condition.wait(); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { waiters.condition.notify(); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { waiters.condition.notify_all(); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { (void)waiters.condition.scoped(); }), is_wrong_loop());
  waiters.loop.call([&] {
    waiters.condition.notify();
    waiters.condition.release();
  });
  EXPECT_EQ(waiters.settle(), "a");
}

// CO18 "Scoped form = scoped lock."
TEST(Condition, CO18ScopedHoldsTheLock) {
  TestLoop loop;
  Lock lock;
  Condition condition(lock);
  loop.run([](Lock& inner, Condition& outer) -> Coro<> {
    {
      auto held = co_await outer.scoped();
      EXPECT_TRUE(inner.locked());
    }
    EXPECT_FALSE(inner.locked());
    auto body = [](Condition& held) -> Coro<int> {
      EXPECT_TRUE(held.locked());
      co_return 18;
    };
    EXPECT_EQ(co_await with(outer, body), 18);
    EXPECT_FALSE(inner.locked());
    auto fails = []() -> Coro<> {
      throw std::runtime_error("error");
      co_return;
    };
    EXPECT_EQ(co_await word_of(with(outer, fails)), ":error");
    EXPECT_FALSE(inner.locked());
  }(lock, condition));
}

// PR05 "statistics()".
TEST(Condition, PR05StatisticsTellWaitersAndTheLocksQueueApart) {
  Waiters waiters("abc");
  waiters.hold();
  waiters.loop.call([&] { waiters.condition.notify(2); });
  waiters.settle();
  EXPECT_EQ(waiters.condition.statistics().tasks_waiting, 1u);
  EXPECT_TRUE(waiters.condition.statistics().lock.locked);
  EXPECT_EQ(waiters.condition.statistics().lock.tasks_waiting, 2u);
  waiters.release();
  EXPECT_EQ(waiters.settle(), "a b");
  EXPECT_FALSE(waiters.condition.statistics().lock.locked);
}

TEST(Condition, PR06IsMadeOutsideOfAnyLoop) {
  Lock lock;
  const Condition own;
  const Condition shares(lock);
  EXPECT_FALSE(own.locked());
  EXPECT_FALSE(shares.locked());
}

TEST(Condition, ALoopThatClosesTakesItsWaitersAlong) {
  Condition condition;
  Order order;
  {
    TestLoop loop;
    for (const char* name : {"a", "b", "c", "d"})
      loop->create_task(wait_in(condition, order, name));
    loop.run_until_idle();
    loop.run([](Condition& target) -> Coro<> { co_await target.acquire(); }(condition));
    loop.call([&] { condition.notify(); });
    loop.run_until_idle();  // a waits for the lock
    loop.call([&] {
      condition.notify();  // b is woken, and will not run
      condition.release();
    });
    loop->close();
    EXPECT_EQ(loop.reports().size(), 4u);
  }
  EXPECT_EQ(condition.statistics().tasks_waiting, 0u);
  EXPECT_EQ(condition.statistics().lock.tasks_waiting, 0u);
  EXPECT_EQ(order.text(), "");
}

}  // namespace
