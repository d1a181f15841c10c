/// sync_event_test.cpp: Event, of one loop: whom set() wakes, and in which order they run.
///
/// The statements quoted are asyncio's, by their numbers in the catalogue of behaviours.

#include <rota/error.hpp>
#include <rota/loop.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>

#include "support/cancel_matrix.hpp"
#include "support/contenders.hpp"
#include "support/family.hpp"
#include "support/outcome.hpp"
#include "support/test_loop.hpp"

#include <gmock/gmock.h>
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
using rota::LoopOptions;
using rota::sleep;
using rota::Task;
using testing::ElementsAre;

/// Waits for `event`; writes its name, or "name:cancelled" and ends cancelled.
Coro<> wait_for(Event& event, Order& order, std::string name) {
  try {
    co_await event.wait();
    order.add(name);
  } catch (const CancelledError&) {
    order.add(name + ":cancelled");
    throw;
  }
}

/// Tasks that wait for an event.
struct Waiters {
  explicit Waiters(const std::string& names) {
    for (const char name : names) add(std::string(1, name));
    loop.run_until_idle();
  }
  void add(const std::string& name) {
    tasks.push_back(loop->create_task(wait_for(event, order, name)));
  }
  const std::string& settle() {
    loop.run_until_idle();
    return order.text();
  }

  Event event;
  Order order;
  TestLoop loop;
  std::vector<Task<>> tasks;
};

// EV01 "Starts unset; is_set reflects set/clear."
TEST(Event, EV01StartsUnsetAndSaysHowItIs) {
  TestLoop loop;
  Event event;
  EXPECT_FALSE(event.is_set());
  loop.call([&] {
    event.set();
    EXPECT_TRUE(event.is_set());
    event.clear();
    EXPECT_FALSE(event.is_set());
  });
}

// EV02 "wait() on a set event returns true without suspending." (There is nothing to return.)
TEST(Event, EV02WaitingForASetEventDoesNotSuspend) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    Event event;
    event.set();
    const std::size_t before = test.steps();
    for (int i = 0; i < 1000; ++i) co_await event.wait();
    EXPECT_EQ(test.steps(), before);
    EXPECT_TRUE(event.is_set());
  }(loop));
}

TEST(Event, D5AfterManyWaitsThatNeedNotWaitTheTaskGivesWayOnce) {
  TestLoop loop{LoopOptions()};
  Event event;
  loop.call([&] { event.set(); });
  auto work = [&event]() -> Coro<> { co_await event.wait(); };
  EXPECT_THAT(loop.run(count_by_step(loop, 300, work)), ElementsAre(127, 128, 45));
}

TEST(Event, D5WhoGivesWayWaitsIfItWasClearedMeanwhile) {
  TestLoop loop{LoopOptions()};
  Event event;
  Order order;
  loop->create_task([](TestLoop& test, Event& flag, Order& out) -> Coro<> {
    flag.set();
    co_await spend_the_budget();
    test->call_soon([&flag] { flag.clear(); });
    co_await wait_for(flag, out, "a");
  }(loop, event, order));
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "");
  EXPECT_EQ(event.statistics().tasks_waiting, 1u);
  loop.call([&] { event.set(); });
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "a");
}

// EV03 "set() wakes every waiter parked at that moment."
TEST(Event, EV03SetWakesEveryWaiter) {
  Waiters waiters("abc");
  EXPECT_EQ(waiters.order.text(), "");
  waiters.loop.call([&] {
    waiters.event.set();
    EXPECT_EQ(waiters.order.text(), "");  // nobody runs inside set()
  });
  EXPECT_EQ(waiters.settle(), "a b c");
  EXPECT_TRUE(waiters.event.is_set());
}

// EV04 "A task that first runs after set() but before the woken ones run returns immediately and so
// finishes first: order is [3,1,2], not [1,2,3]."
TEST(Event, EV04ATaskThatRunsBeforeTheWokenOnesPassesThem) {
  Waiters waiters("12");
  waiters.loop.call([&] {
    waiters.add("3");
    waiters.event.set();
  });
  EXPECT_EQ(waiters.settle(), "3 1 2");
}

// EV05 "set() followed at once by clear() still wakes all parked waiters, and their wait() returns
// true."
TEST(Event, EV05SetAndClearAtOnceWakesAllTheSame) {
  Waiters waiters("abc");
  waiters.loop.call([&] {
    waiters.event.set();
    waiters.event.clear();
  });
  EXPECT_EQ(waiters.settle(), "a b c");
  EXPECT_FALSE(waiters.event.is_set());
}

TEST(Event, EV05ButNotThoseThatComeAfterTheClear) {
  Waiters waiters("ab");
  waiters.loop.call([&] {
    waiters.add("late");
    waiters.event.set();
    waiters.event.clear();
  });
  EXPECT_EQ(waiters.settle(), "a b");
  waiters.loop.call([&] {
    waiters.event.set();
    waiters.event.clear();
  });
  EXPECT_EQ(waiters.settle(), "a b late");
}

TEST(Event, EV05AWokenTaskThatWaitsAgainWaitsForTheNextSet) {
  TestLoop loop;
  Event event;
  Order order;
  loop->create_task([](Event& flag, Order& out) -> Coro<> {
    for (int i = 0; i < 3; ++i) co_await wait_for(flag, out, std::to_string(i));
  }(event, order));
  for (const char* expected : {"0", "0 1", "0 1 2"}) {
    loop.run_until_idle();
    loop.call([&] {
      event.set();
      event.clear();
      event.set();
      event.clear();
    });
    loop.run_until_idle();
    EXPECT_EQ(order.text(), expected);
  }
}

// EV06 "set() twice is harmless; clear() on unset is harmless."
TEST(Event, EV06SetTwiceAndClearTwiceAreHarmless) {
  Waiters waiters("ab");
  waiters.loop.call([&] {
    waiters.event.clear();
    waiters.event.clear();
    EXPECT_FALSE(waiters.event.is_set());
    waiters.event.set();
    waiters.event.set();
    EXPECT_TRUE(waiters.event.is_set());
  });
  EXPECT_EQ(waiters.settle(), "a b");
  waiters.loop.call([&] {
    waiters.event.clear();
    waiters.event.clear();
    EXPECT_FALSE(waiters.event.is_set());
  });
}

// EV07 "A cancelled wait is removed from the waiter list."
TEST(Event, EV07ACancelledWaitIsRemoved) {
  Waiters waiters("abc");
  waiters.loop.call([&] {
    waiters.tasks[1].cancel("why");
    EXPECT_EQ(waiters.event.statistics().tasks_waiting, 2u);
  });
  EXPECT_EQ(waiters.settle(), "b:cancelled");
  EXPECT_EQ(message_of(waiters.tasks[1]), "why");
  waiters.loop.call([&] { waiters.event.set(); });
  EXPECT_EQ(waiters.settle(), "b:cancelled a c");
}

TEST(Event, EV07ATaskThatIsCancelledBeforeItWaitsDoesNotWait) {
  Waiters waiters("");
  auto task = waiters.loop->create_task([](Event& event, Order& order) -> Coro<> {
    current_task().cancel("early");
    co_await wait_for(event, order, "a");
  }(waiters.event, waiters.order));
  EXPECT_EQ(waiters.settle(), "a:cancelled");
  EXPECT_EQ(message_of(task), "early");
  EXPECT_EQ(waiters.event.statistics().tasks_waiting, 0u);
}

TEST(Event, EV07CancelThenSetInOneStepIsACancel) {
  Waiters waiters("ab");
  waiters.loop.call([&] {
    waiters.tasks[0].cancel();
    waiters.tasks[0].cancel();
    waiters.event.set();
  });
  EXPECT_EQ(waiters.settle(), "a:cancelled b");
}

TEST(Event, EV07ACancelTakenBackBeforeTheWaiterRunsStillEndsItsWait) {
  Waiters waiters("ab");
  waiters.loop.call([&] {
    waiters.tasks[0].cancel();
    waiters.tasks[0].uncancel();
  });
  EXPECT_EQ(waiters.settle(), "a:cancelled");
  waiters.loop.call([&] {
    waiters.event.set();
    waiters.tasks[1].cancel();
    waiters.tasks[1].uncancel();  // it was woken before: nothing is due, nothing has ended
  });
  EXPECT_EQ(waiters.settle(), "a:cancelled b");
}

// EV08 "Order rule of same-tick events: set() then cancel of the waiter -> ... in plain asyncio the
// later cancel wins and CancelledError is raised." (rota: asyncio's rule.)
TEST(Event, EV08SetThenCancelInOneStepIsACancel) {
  for (const bool clear : {false, true}) {
    Waiters waiters("ab");
    waiters.loop.call([&] {
      waiters.event.set();
      if (clear) waiters.event.clear();
      EXPECT_TRUE(waiters.tasks[0].cancel("later"));
    });
    EXPECT_EQ(waiters.settle(), "a:cancelled b");
    EXPECT_EQ(message_of(waiters.tasks[0]), "later");
    EXPECT_TRUE(waiters.tasks[0].cancelled());
  }
}

// PR07 "Cancelling one of two contenders never deadlocks the other."
TEST(Event, PR07CancellingOneOfTwoWaitersNeverStopsTheOther) {
  for (std::size_t victim = 0; victim < 2; ++victim) {
    for (std::size_t steps = 0; steps < 5; ++steps) {
      Waiters waiters("");
      waiters.add("0");
      waiters.add("1");
      waiters.loop->call_soon([&] { waiters.event.set(); });
      waiters.loop.run_steps(steps);
      waiters.tasks[victim].cancel();
      waiters.settle();
      const Task<>& other = waiters.tasks[1 - victim];
      EXPECT_TRUE(other.done() && !other.cancelled()) << "victim " << victim << ", " << steps;
      EXPECT_TRUE(waiters.tasks[victim].done());
    }
  }
}

// LK16, of an Event: "raises RuntimeError 'bound to a different event loop'."
TEST(Event, LK16UseOnAnotherLoopIsRefusedAtTheCall) {
  Waiters waiters("a");
  EXPECT_THAT(elsewhere([&] { (void)waiters.event.wait(); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { waiters.event.set(); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { waiters.event.clear(); }), is_wrong_loop());
  EXPECT_FALSE(waiters.event.is_set());
  EXPECT_EQ(waiters.settle(), "");
  waiters.loop.call([&] { waiters.event.set(); });
  EXPECT_EQ(waiters.settle(), "a");
}

// PR06 "Primitives may be created outside any loop." PR05 "statistics()".
TEST(Event, PR05StatisticsCountWhoWaits) {
  const Event fresh;
  EXPECT_EQ(fresh.statistics().tasks_waiting, 0u);
  Waiters waiters("abc");
  EXPECT_EQ(waiters.event.statistics().tasks_waiting, 3u);
  waiters.loop.call([&] { waiters.event.set(); });
  waiters.settle();
  EXPECT_EQ(waiters.event.statistics().tasks_waiting, 0u);
}

TEST(Event, ALoopThatClosesTakesItsWaitersAlong) {
  Event event;
  Order order;
  {
    TestLoop loop;
    for (const char* name : {"a", "b", "c"}) loop->create_task(wait_for(event, order, name));
    loop.run_until_idle();
    EXPECT_EQ(event.statistics().tasks_waiting, 3u);
    loop->close();
    EXPECT_EQ(loop.reports().size(), 3u);
  }
  EXPECT_EQ(event.statistics().tasks_waiting, 0u);
  {
    TestLoop loop;
    loop->create_task([](Order& out) -> Coro<> {
      Event own;
      auto waiter = create_task(wait_for(own, out, "d"));
      co_await sleep(1s);
      own.set();  // woken, and never run
      rota::get_running_loop().stop();
      co_await sleep(1h);
    }(order));
    loop->run_forever();
  }
  EXPECT_EQ(order.text(), "");
}

}  // namespace
