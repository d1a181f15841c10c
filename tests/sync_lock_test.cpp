/// sync_lock_test.cpp: Lock, of one loop: who gets it, when, and what a cancelled waiter leaves
/// behind.
///
/// The statements quoted are asyncio's, by their numbers in the catalogue of behaviours; D.. are
/// rota's decisions.

#include <rota/concepts.hpp>
#include <rota/error.hpp>
#include <rota/loop.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>
#include <rota/timeout.hpp>
#include <rota/with.hpp>

#include "support/cancel_matrix.hpp"
#include "support/contenders.hpp"
#include "support/family.hpp"
#include "support/lock_contest.hpp"
#include "support/observe.hpp"
#include "support/test_loop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace rota::testing_support;
using rota::Coro;
using rota::create_task;
using rota::LoopOptions;
using rota::RuntimeError;
using rota::sleep;
using rota::with;
using testing::ElementsAre;

using Contest = LockContest;

// --- taking and giving back --------------------------------------------------------------------

// LK01 "A new lock is unlocked; `locked()` is false."
TEST(Lock, LK01ANewLockIsUnlocked) {
  const Lock lock;
  EXPECT_FALSE(lock.locked());
}

// LK02 "acquire() of a free lock with no live waiters returns true without suspending." (There is
// nothing to return.)
TEST(Lock, LK02AFreeLockIsTakenWithoutSuspending) {
  TestLoop loop;
  Lock lock;
  loop.run([](TestLoop& test, Lock& free) -> Coro<> {
    bool other_ran = false;
    auto other = create_task([](bool& ran) -> Coro<> {
      ran = true;
      co_return;
    }(other_ran));
    const std::size_t before = test.steps();
    for (int i = 0; i < 1000; ++i) {
      co_await free.acquire();
      EXPECT_TRUE(free.locked());
      free.release();
      EXPECT_FALSE(free.locked());
    }
    EXPECT_EQ(test.steps(), before);
    EXPECT_FALSE(other_ran);
    co_await other;
  }(loop, lock));
}

// Every 128th await that need not wait gives way.
TEST(Lock, D5AfterManyAcquiresThatNeedNotWaitTheTaskGivesWayOnce) {
  TestLoop loop{LoopOptions()};
  Lock lock;
  auto work = [&lock]() -> Coro<> {
    co_await lock.acquire();
    lock.release();
  };
  const std::vector<int> by_step = loop.run(count_by_step(loop, 1000, work));
  EXPECT_THAT(by_step, ElementsAre(127, 128, 128, 128, 128, 128, 128, 105));
  EXPECT_FALSE(lock.locked());
}

TEST(Lock, D5WhoGivesWayQueuesIfTheLockWasTakenMeanwhile) {
  TestLoop loop{LoopOptions()};
  Lock lock;
  Order order;
  auto polite = loop->create_task([](Lock& contested, Order& out) -> Coro<> {
    co_await spend_the_budget();
    create_task(take(contested, out, "other"));
    co_await take(contested, out, "polite");
  }(lock, order));
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "other");
  EXPECT_EQ(lock.statistics().tasks_waiting, 1u);
  loop.call([&] { lock.release(); });
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "other polite");
  EXPECT_TRUE(polite.done());
}

// LK03 "Waiters are woken in FIFO order, exactly one per release."
TEST(Lock, LK03WakesOnePerReleaseInFifoOrder) {
  Contest contest("abc");
  EXPECT_EQ(contest.order.text(), "");
  EXPECT_EQ(contest.release(), "a");
  EXPECT_EQ(contest.release(), "a b");
  EXPECT_EQ(contest.release(), "a b c");
  EXPECT_TRUE(contest.lock.locked());
}

// LK04 "A newcomer may not take a released lock past a waiter that has been woken but has not run
// yet (no barging)."
TEST(Lock, LK04ANewcomerDoesNotPassAWokenWaiter) {
  Contest contest("a");
  contest.loop.call([&] {
    contest.add("newcomer");  // will run before a
    contest.lock.release();
  });
  EXPECT_EQ(contest.settle(), "a");
  EXPECT_EQ(contest.release(), "a newcomer");
}

TEST(Lock, LK04ATaskThatReleasesAndAcquiresAtOnceQueuesUp) {
  Contest contest("ab");
  contest.loop->create_task([](Lock& lock, Order& order) -> Coro<> {
    lock.release();
    co_await take(lock, order, "again");
  }(contest.lock, contest.order));
  EXPECT_EQ(contest.settle(), "a");
  EXPECT_EQ(contest.release(), "a b");
  EXPECT_EQ(contest.release(), "a b again");
}

// LK05 "release() does not hand over: locked() is false until the woken waiter runs."
TEST(Lock, LK05IsUnlockedUntilTheWokenWaiterRuns) {
  Contest contest("a");
  contest.loop.call([&] {
    contest.lock.release();
    EXPECT_FALSE(contest.lock.locked());
  });
  EXPECT_FALSE(contest.lock.locked());
  EXPECT_EQ(contest.settle(), "a");
  EXPECT_TRUE(contest.lock.locked());
}

// LK10 "release() of an unlocked lock raises RuntimeError and changes nothing."
TEST(Lock, LK10ReleaseOfAnUnlockedLockIsAnError) {
  TestLoop loop;
  Lock lock;
  loop.call([&] {
    EXPECT_THROW(lock.release(), RuntimeError);
    EXPECT_FALSE(lock.locked());
  });
  Order order;
  loop.run(take(lock, order, "taken"));
  EXPECT_TRUE(lock.locked());
}

TEST(Lock, LK10AlsoWhileAWokenWaiterHasNotRun) {
  Contest contest("ab");
  contest.loop.call([&] {
    contest.lock.release();
    EXPECT_THROW(contest.lock.release(), RuntimeError);
  });
  EXPECT_EQ(contest.settle(), "a");
  EXPECT_EQ(contest.release(), "a b");
}

// LK11 "release() with no waiters just unlocks."
TEST(Lock, LK11ReleaseWithoutWaitersUnlocks) {
  Contest contest("");
  EXPECT_TRUE(contest.lock.locked());
  contest.release();
  EXPECT_FALSE(contest.lock.locked());
  contest.add("next");
  EXPECT_EQ(contest.settle(), "next");
}

// LK14 "Not re-entrant: the owner acquiring again deadlocks until cancelled."
TEST(Lock, LK14TheOwnerWaitsForItself) {
  TestLoop loop;
  Lock lock;
  loop.run([](TestLoop& test, Lock& held) -> Coro<> {
    co_await held.acquire();
    EXPECT_EQ(co_await word_of(rota::timeout(10s, held.acquire())), ":timeout");
    EXPECT_EQ(test.now(), 10s);
    EXPECT_TRUE(held.locked());
    EXPECT_EQ(held.statistics().tasks_waiting, 0u);
    held.release();
  }(loop, lock));
  EXPECT_FALSE(lock.locked());
}

// LK15 "No owner check: any task may release."
TEST(Lock, LK15AnyTaskMayRelease) {
  Contest contest("a");
  contest.loop.run([](Lock& lock) -> Coro<> {
    lock.release();
    co_return;
  }(contest.lock));
  EXPECT_EQ(contest.settle(), "a");
}

// --- scoped ------------------------------------------------------------------------------------

// LK12 "Scoped form acquires on entry, releases on every exit path (return, exception, cancel)."
TEST(Lock, LK12ScopedReleasesOnEveryWayOut) {
  TestLoop loop;
  Lock lock;
  auto scoped = [](Lock& free, bool fails) -> Coro<> {
    auto held = co_await free.scoped();
    EXPECT_TRUE(free.locked());
    if (fails) throw std::runtime_error("error");
    co_await sleep(1s);
  };
  EXPECT_EQ(loop.run(word_of(scoped(lock, false))), "");
  EXPECT_FALSE(lock.locked());
  EXPECT_EQ(loop.run(word_of(scoped(lock, true))), ":error");
  EXPECT_FALSE(lock.locked());
  auto task = loop->create_task(scoped(lock, false));
  loop.run_steps(1);
  EXPECT_TRUE(lock.locked());
  task.cancel();
  loop.run_until_idle();
  EXPECT_TRUE(task.cancelled());
  EXPECT_FALSE(lock.locked());
}

TEST(Lock, LK12WithReleasesOnEveryWayOut) {
  TestLoop loop;
  Lock lock;
  auto body = [](Lock& held, bool fails) -> Coro<int> {
    EXPECT_TRUE(held.locked());
    if (fails) throw std::runtime_error("error");
    co_await sleep(1s);
    co_return 12;
  };
  EXPECT_EQ(loop.run(word_of(with(lock, body, false))), "=12");
  EXPECT_FALSE(lock.locked());
  EXPECT_EQ(loop.run(word_of(with(lock, body, true))), ":error");
  EXPECT_FALSE(lock.locked());
  auto task = loop->create_task(with(lock, body, false));
  loop.run_steps(1);
  EXPECT_TRUE(lock.locked());
  task.cancel();
  loop.run_until_idle();
  EXPECT_TRUE(task.cancelled());
  EXPECT_FALSE(lock.locked());
}

TEST(Lock, LK12ScopesTakeTurns) {
  TestLoop loop;
  Lock lock;
  Order order;
  auto turn = [](Lock& shared, Order& out, std::string name) -> Coro<> {
    for (int i = 0; i < 2; ++i) {
      auto held = co_await shared.scoped();
      out.add(name + "(");
      co_await sleep(1s);
      out.add(")");
    }
  };
  for (const char* name : {"a", "b", "c"}) loop->create_task(turn(lock, order, name));
  loop.advance(1min);
  EXPECT_EQ(order.text(), "a( ) b( ) c( ) a( ) b( ) c( )");
  EXPECT_FALSE(lock.locked());
}

TEST(Lock, LK12AWaiterThatIsCancelledDoesNotReleaseWhatItDoesNotHold) {
  Contest contest("");
  auto scoped = [](Lock& lock) -> Coro<> { auto held = co_await lock.scoped(); };
  auto waiting = contest.loop->create_task(scoped(contest.lock));
  auto in_with = contest.loop->create_task(with(contest.lock, []() -> Coro<> { co_return; }));
  contest.settle();
  waiting.cancel();
  in_with.cancel();
  contest.settle();
  EXPECT_TRUE(waiting.cancelled());
  EXPECT_TRUE(in_with.cancelled());
  EXPECT_TRUE(contest.lock.locked());
}

TEST(Lock, LK12WhatIsMovedReleasesOnce) {
  TestLoop loop;
  Lock lock;
  loop.run([](Lock& free) -> Coro<> {
    auto held = co_await free.scoped();
    {
      const auto moved = std::move(held);
      EXPECT_TRUE(free.locked());
    }
    EXPECT_FALSE(free.locked());
    co_await free.acquire();  // `held` holds nothing any more
  }(lock));
  EXPECT_TRUE(lock.locked());
}

// LK13 "The bare lock object is not a scope guard and not awaitable by itself: misuse is a
// (compile-time) error."
TEST(Lock, LK13TheBareLockIsNotAwaitable) {
  static_assert(!rota::Awaitable<Lock>);
  static_assert(!rota::Awaitable<Lock&>);
  static_assert(!std::is_copy_constructible_v<Lock> && !std::is_move_constructible_v<Lock>);
  static_assert(!std::is_copy_constructible_v<rota::Scoped<Lock>>);
}

// --- loops -------------------------------------------------------------------------------------

// LK16 "The primitive binds to the loop of the first *contended* operation; contended use from
// another loop raises RuntimeError 'bound to a different event loop'." (rota: of the first
// operation; any use.)
TEST(Lock, LK16UseOnAnotherLoopIsRefusedAtTheCall) {
  Contest contest("a");
  EXPECT_THAT(elsewhere([&] { (void)contest.lock.acquire(); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { (void)contest.lock.scoped(); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { contest.lock.release(); }), is_wrong_loop());
  EXPECT_TRUE(contest.lock.locked());
  EXPECT_EQ(contest.settle(), "");
  EXPECT_EQ(contest.release(), "a");
}

TEST(Lock, LK16TheFirstUseBindsAlsoWithoutContention) {
  Lock lock;
  TestLoop loop;
  loop.run([](Lock& free) -> Coro<> { auto held = co_await free.scoped(); }(lock));
  EXPECT_THAT(elsewhere([&] { (void)lock.acquire(); }), is_wrong_loop());
}

// PR06 "Primitives may be created outside any loop."
TEST(Lock, PR06IsMadeOutsideOfAnyLoop) {
  Lock lock;
  TestLoop loop;
  EXPECT_EQ(loop.run(word_of([](Lock& made) -> Coro<> { co_await made.acquire(); }(lock))), "");
  EXPECT_TRUE(lock.locked());
}

// PR05 "statistics(): locked, owner, tasks_waiting... on all primitives." (No owner: LK15.)
TEST(Lock, PR05StatisticsSayHowItIs) {
  Lock fresh;
  EXPECT_FALSE(fresh.statistics().locked);
  EXPECT_EQ(fresh.statistics().tasks_waiting, 0u);
  Contest contest("ab");
  EXPECT_TRUE(contest.lock.statistics().locked);
  EXPECT_EQ(contest.lock.statistics().tasks_waiting, 2u);
  contest.release();
  EXPECT_TRUE(contest.lock.statistics().locked);
  EXPECT_EQ(contest.lock.statistics().tasks_waiting, 1u);
}

// --- the end of a loop -------------------------------------------------------------------------

TEST(Lock, ALoopThatClosesTakesItsWaitersAlong) {
  Lock lock;
  {
    Order order;
    TestLoop loop;
    loop.run(lock.acquire());
    for (const char* name : {"a", "b", "c"}) loop->create_task(take(lock, order, name));
    loop.run_until_idle();
    EXPECT_EQ(lock.statistics().tasks_waiting, 3u);
    loop.call([&] { lock.release(); });  // a is woken, and will not run
    loop->close();
    EXPECT_EQ(loop.reports().size(), 3u);
    EXPECT_EQ(order.text(), "");
  }
  EXPECT_EQ(lock.statistics().tasks_waiting, 0u);
  EXPECT_FALSE(lock.locked());
}

TEST(Lock, AScopeThatEndsWithItsLoopReleases) {
  Lock lock;
  {
    TestLoop loop;
    auto hold = [](Lock& held) -> Coro<> {
      auto scope = co_await held.scoped();
      co_await sleep(1h);
    };
    loop->create_task(hold(lock));
    loop->create_task(hold(lock));
    loop.run_until_idle();
    EXPECT_EQ(lock.statistics().tasks_waiting, 1u);
  }
  EXPECT_FALSE(lock.locked());
  EXPECT_EQ(lock.statistics().tasks_waiting, 0u);
}

TEST(Lock, AFrameThatIsDestroyedWithItsWaitersLockIsHarmless) {
  TestLoop loop;
  loop->create_task([]() -> Coro<> {
    Order order;
    Lock lock;
    co_await lock.acquire();
    create_task(take(lock, order, "a"));
    co_await sleep(1h);
  }());
  loop.run_until_idle();
  loop->close();
  EXPECT_EQ(loop.reports().size(), 2u);
}

}  // namespace
