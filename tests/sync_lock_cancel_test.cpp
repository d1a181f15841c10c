/// sync_lock_cancel_test.cpp: what a cancelled waiter of a Lock leaves behind.
///
/// The statements quoted are asyncio's, by their numbers in the catalogue of behaviours; D.. are
/// rota's decisions.

#include <rota/error.hpp>
#include <rota/loop.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>

#include "support/cancel_matrix.hpp"
#include "support/contenders.hpp"
#include "support/family.hpp"
#include "support/lock_contest.hpp"
#include "support/outcome.hpp"
#include "support/test_loop.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstddef>

namespace {

using namespace std::chrono_literals;
using namespace rota::testing_support;
using rota::CancelledError;
using rota::Coro;
using rota::create_task;
using rota::current_task;
using rota::LoopOptions;
using rota::sleep;
using rota::Task;

using Contest = LockContest;

// LK06 "Cancelling a waiting acquire removes the waiter and leaves the lock usable."
TEST(Lock, LK06CancellingAWaiterRemovesIt) {
  Contest contest("abc");
  contest.loop.call([&] {
    contest.tasks[1].cancel("why");
    EXPECT_EQ(contest.lock.statistics().tasks_waiting, 2u);
  });
  EXPECT_EQ(contest.settle(), "b:cancelled");
  EXPECT_EQ(message_of(contest.tasks[1]), "why");
  EXPECT_TRUE(contest.lock.locked());
  EXPECT_EQ(contest.release(), "b:cancelled a");
  EXPECT_EQ(contest.release(), "b:cancelled a c");
  contest.release();
  EXPECT_FALSE(contest.lock.locked());
}

TEST(Lock, LK06CancellingTheOnlyWaiterLeavesTheHolderAlone) {
  Contest contest("a");
  contest.tasks[0].cancel();
  EXPECT_EQ(contest.settle(), "a:cancelled");
  EXPECT_TRUE(contest.lock.locked());
  contest.release();
  EXPECT_FALSE(contest.lock.locked());
  contest.add("next");
  EXPECT_EQ(contest.settle(), "a:cancelled next");
}

TEST(Lock, LK06ATaskThatIsCancelledBeforeItWaitsDoesNotQueue) {
  Contest contest("");
  auto task = contest.loop->create_task([](Lock& lock, Order& order) -> Coro<> {
    current_task().cancel("early");
    co_await take(lock, order, "a");
  }(contest.lock, contest.order));
  EXPECT_EQ(contest.settle(), "a:cancelled");
  EXPECT_EQ(message_of(task), "early");
  EXPECT_EQ(contest.lock.statistics().tasks_waiting, 0u);
}

TEST(Lock, LK06ACancelledTaskStillTakesAFreeLock) {
  TestLoop loop;
  Lock lock;
  Order order;
  auto task = loop->create_task([](Lock& free, Order& out) -> Coro<> {
    current_task().cancel();
    co_await take(free, out, "taken");  // does not suspend: no place for a cancel
    free.release();
    co_await sleep(0s);
    out.add("not reached");
  }(lock, order));
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "taken");
  EXPECT_TRUE(task.cancelled());
  EXPECT_FALSE(lock.locked());
}

TEST(Lock, LK06AWaiterCancelledTwiceIsCancelledOnce) {
  Contest contest("ab");
  contest.loop.call([&] {
    contest.tasks[0].cancel("first");
    contest.tasks[0].cancel("second");
  });
  EXPECT_EQ(contest.settle(), "a:cancelled");
  EXPECT_EQ(contest.tasks[0].cancelling(), 2u);
  EXPECT_EQ(contest.release(), "a:cancelled b");
}

// The wait has ended, and nothing has come: there is no lock to go on with.
TEST(Lock, LK06ACancelTakenBackBeforeTheWaiterRunsStillEndsItsWait) {
  Contest contest("ab");
  contest.loop.call([&] {
    contest.tasks[0].cancel();
    contest.tasks[0].uncancel();
  });
  EXPECT_EQ(contest.settle(), "a:cancelled");
  EXPECT_TRUE(contest.tasks[0].cancelled());
  EXPECT_EQ(contest.release(), "a:cancelled b");
}

TEST(Lock, LK06SoDoesOneTakenBackOfATaskThatHadNotBegunToWait) {
  Contest contest("");
  contest.loop->create_task([](Lock& lock, Order& order) -> Coro<> {
    const auto self = current_task();
    self.cancel();
    rota::get_running_loop().call_soon([self] { self.uncancel(); });
    co_await take(lock, order, "a");
  }(contest.lock, contest.order));
  EXPECT_EQ(contest.settle(), "a:cancelled");
  EXPECT_TRUE(contest.lock.locked());
}

TEST(Lock, LK06ACancelFromAnotherThreadRemovesTheWaiterToo) {
  Lock lock;
  rota::EventLoop loop;
  loop.run_until_complete([](Lock& contested) -> Coro<> {
    Order order;
    co_await contested.acquire();
    auto a = create_task(take(contested, order, "a"));
    auto b = create_task(take(contested, order, "b"));
    co_await sleep(0s);
    contested.release();  // a is woken, and then cancelled from elsewhere
    cancel_from(From::other_loop, a);
    co_await b;
    EXPECT_EQ(order.text(), "a:cancelled b");
    EXPECT_TRUE(a.cancelled());
  }(lock));
}

// LK07 "If release happens while the head waiter has a pending cancel, the next live waiter gets
// the lock."
TEST(Lock, LK07TheNextLiveWaiterGetsTheLockIfTheHeadIsCancelled) {
  Contest contest("abc");
  contest.loop.call([&] {
    contest.tasks[0].cancel();
    contest.tasks[1].cancel();
    contest.lock.release();
  });
  EXPECT_EQ(contest.settle(), "a:cancelled b:cancelled c");
  EXPECT_TRUE(contest.lock.locked());
}

// LK08 "Cancel and release in the same tick: exactly one of {cancelled task, next waiter} ends up
// with the lock; never both, never none."
TEST(Lock, LK08CancelAndReleaseInOneStepGiveTheLockToExactlyOne) {
  for (const bool cancel_first : {true, false}) {
    Contest contest("ab");
    contest.loop.call([&] {
      if (cancel_first) contest.tasks[0].cancel();
      contest.lock.release();
      if (!cancel_first) contest.tasks[0].cancel();
    });
    EXPECT_EQ(contest.settle(), "a:cancelled b") << "cancel first: " << cancel_first;
    EXPECT_TRUE(contest.lock.locked());
    EXPECT_EQ(contest.lock.statistics().tasks_waiting, 0u);
  }
}

TEST(Lock, LK08WithoutANextWaiterTheLockIsFree) {
  for (const bool cancel_first : {true, false}) {
    Contest contest("a");
    contest.loop.call([&] {
      if (cancel_first) contest.tasks[0].cancel();
      contest.lock.release();
      if (!cancel_first) contest.tasks[0].cancel();
    });
    EXPECT_EQ(contest.settle(), "a:cancelled");
    EXPECT_FALSE(contest.lock.locked());
    contest.add("next");
    EXPECT_EQ(contest.settle(), "a:cancelled next");
  }
}

// LK09 "A waiter that was woken and then cancelled before running passes the wake-up on to the
// next."
TEST(Lock, LK09AWokenWaiterThatIsCancelledPassesItOn) {
  Contest contest("abc");
  contest.loop.call([&] { contest.lock.release(); });  // a is woken, and has not run
  EXPECT_TRUE(contest.tasks[0].cancel());
  EXPECT_TRUE(contest.tasks[0].cancel());
  EXPECT_EQ(contest.settle(), "a:cancelled b");
  EXPECT_EQ(contest.release(), "a:cancelled b c");
}

TEST(Lock, LK09ThroughAChainOfCancelledWaiters) {
  Contest contest("abcd");
  contest.loop.call([&] {
    contest.lock.release();
    for (int i = 0; i < 3; ++i) contest.tasks[static_cast<std::size_t>(i)].cancel();
  });
  EXPECT_EQ(contest.settle(), "a:cancelled b:cancelled c:cancelled d");
}

TEST(Lock, LK09ANewcomerTakesWhatAllWaitersGaveUp) {
  Contest contest("a");
  contest.loop.call([&] {
    contest.add("newcomer");
    contest.lock.release();
    contest.tasks[0].cancel();
  });
  EXPECT_EQ(contest.settle(), "a:cancelled newcomer");
}

TEST(Lock, LK09AWaiterThatSwallowsTheCancelPassesItOnAllTheSame) {
  Contest contest("");
  auto stubborn = contest.loop->create_task([](Lock& lock, Order& order) -> Coro<> {
    try {
      co_await lock.acquire();
    } catch (const CancelledError&) {
      order.add("caught");
    }
    co_await sleep(1h);
  }(contest.lock, contest.order));
  contest.loop.run_until_idle();
  contest.add("b");
  contest.settle();
  contest.loop.call([&] {
    contest.lock.release();
    stubborn.cancel();
  });
  EXPECT_EQ(contest.settle(), "caught b");
  stubborn.cancel();
  contest.settle();
}

// LK17 "If all queued waiters are cancelled-but-not-yet-run, a newcomer may acquire at once."
TEST(Lock, LK17ANewcomerPassesWaitersThatAreAllCancelled) {
  Contest contest("ab");
  contest.loop->create_task([](Contest& all) -> Coro<> {
    all.tasks[0].cancel();
    all.tasks[1].cancel();
    all.lock.release();
    const std::size_t before = all.loop.steps();
    co_await take(all.lock, all.order, "newcomer");
    EXPECT_EQ(all.loop.steps(), before);
  }(contest));
  EXPECT_EQ(contest.settle(), "newcomer a:cancelled b:cancelled");
  EXPECT_TRUE(contest.lock.locked());
}

TEST(Lock, LK17ButNotOneThatIsAlive) {
  Contest contest("ab");
  contest.loop->create_task([](Contest& all) -> Coro<> {
    all.tasks[0].cancel();
    all.lock.release();
    co_await take(all.lock, all.order, "newcomer");
  }(contest));
  EXPECT_EQ(contest.settle(), "a:cancelled b");
  EXPECT_EQ(contest.release(), "a:cancelled b newcomer");
}

// PR07 "Cancelling (natively) one of two contenders never deadlocks the other."
TEST(Lock, PR07CancellingOneOfTwoContendersNeverStopsTheOther) {
  for (std::size_t victim = 0; victim < 2; ++victim) {
    for (std::size_t steps = 0; steps < 8; ++steps) {
      Lock lock;
      TestLoop loop;
      auto contend = [](Lock& contested) -> Coro<> {
        auto held = co_await contested.scoped();
        co_await sleep(0s);
      };
      const std::array tasks = {loop->create_task(contend(lock)), loop->create_task(contend(lock))};
      loop.run_steps(steps);
      tasks.at(victim).cancel();
      loop.run_until_idle();
      const Task<>& other = tasks.at(1 - victim);
      EXPECT_TRUE(other.done() && !other.cancelled()) << "victim " << victim << ", " << steps;
      EXPECT_TRUE(tasks.at(victim).done());
      EXPECT_FALSE(lock.locked());
    }
  }
}

// README, section 10: a cancel that comes while the fairness re-queue goes on does not end it.
TEST(Lock, D5ACancelWhileItGivesWayIsOvertakenByTheLock) {
  TestLoop loop{LoopOptions()};
  Lock lock;
  Order order;
  auto task = loop->create_task([](TestLoop& test, Lock& free, Order& out) -> Coro<> {
    co_await spend_the_budget();
    test->call_soon([task = current_task()] { task.cancel(); });
    co_await take(free, out, "taken");
    co_await sleep(0s);
    out.add("not reached");
  }(loop, lock, order));
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "taken");
  EXPECT_TRUE(task.cancelled());
  EXPECT_TRUE(lock.locked());
}

// The frames of a loop that closes go in any order: here the lock's before its waiter's.
TEST(Lock, ALockMayGoBeforeItsWaitersWhenTheLoopCloses) {
  TestLoop loop;
  Lock* shared = nullptr;
  loop->create_task([](Lock*& lock) -> Coro<> {
    while (lock == nullptr) co_await sleep(0s);
    co_await lock->acquire();
  }(shared));
  loop->create_task([](Lock*& lock) -> Coro<> {
    Lock local;
    lock = &local;
    co_await local.acquire();
    co_await sleep(1h);
  }(shared));
  loop.run_until_idle();
  EXPECT_EQ(shared->statistics().tasks_waiting, 1u);
  loop->close();
  EXPECT_EQ(loop.reports().size(), 2u);
}

}  // namespace
