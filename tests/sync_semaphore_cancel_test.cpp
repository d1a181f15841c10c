/// sync_semaphore_cancel_test.cpp: a cancelled waiter of a Semaphore loses no token and is in
/// nobody's way.
///
/// The statements quoted are asyncio's, by their numbers in the catalogue of behaviours; the order
/// lists are CPython 3.15's.

#include <rota/error.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>
#include <rota/timeout.hpp>

#include "support/contenders.hpp"
#include "support/family.hpp"
#include "support/observe.hpp"
#include "support/outcome.hpp"
#include "support/semaphore_contest.hpp"
#include "support/test_loop.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace rota::testing_support;
using rota::Coro;
using rota::current_task;
using rota::sleep;
using rota::Task;
using rota::ValueError;

using Contest = SemaphoreContest;

// SE07 "A cancelled waiter does not disturb the order of the rest."
TEST(Semaphore, SE07ACancelledWaiterDoesNotDisturbTheRest) {
  Contest contest(0, "abcd");
  contest.tasks[1].cancel("why");
  EXPECT_EQ(contest.settle(), "b:cancelled");
  EXPECT_EQ(message_of(contest.tasks[1]), "why");
  EXPECT_EQ(contest.release(3), "b:cancelled a c d");
  EXPECT_EQ(contest.value(), 0u);
}

TEST(Semaphore, SE07ACancelInTheStepOfTheReleaseDoesNotEither) {
  Contest contest(0, "abcd");
  contest.loop.call([&] {
    contest.semaphore.release();
    contest.tasks[1].cancel();
    contest.semaphore.release();
    contest.semaphore.release();
  });
  EXPECT_EQ(contest.settle(), "a b:cancelled c d");
}

TEST(Semaphore, SE07ACancelTakenBackBeforeTheWaiterRunsStillEndsItsWait) {
  Contest contest(0, "a");
  contest.loop.call([&] {
    contest.tasks[0].cancel();
    contest.tasks[0].uncancel();
  });
  EXPECT_EQ(contest.settle(), "a:cancelled");
  contest.release();
  EXPECT_EQ(contest.value(), 1u);
}

// SE08 "Cancel before the wake: token goes to the next waiter."
TEST(Semaphore, SE08WithACancelBeforeTheWakeTheTokenGoesToTheNext) {
  Contest contest(0, "abc");
  contest.loop.call([&] {
    contest.tasks[0].cancel();
    contest.tasks[0].cancel();
    contest.semaphore.release();
  });
  EXPECT_EQ(contest.settle(), "a:cancelled b");
  EXPECT_EQ(contest.waiting(), 1u);
  EXPECT_EQ(contest.release(), "a:cancelled b c");
}

TEST(Semaphore, SE08WithoutANextTheTokenIsKept) {
  Contest contest(0, "a");
  contest.loop.call([&] {
    contest.tasks[0].cancel();
    contest.semaphore.release();
    EXPECT_EQ(contest.value(), 1u);
    EXPECT_FALSE(contest.semaphore.locked());  // the cancelled one waits no more
  });
  EXPECT_EQ(contest.settle(), "a:cancelled");
  EXPECT_EQ(contest.value(), 1u);
}

TEST(Semaphore, SE08ATaskThatIsCancelledBeforeItWaitsTakesNoToken) {
  Contest contest(0, "");
  contest.loop->create_task([](Contest& all) -> Coro<> {
    current_task().cancel();
    co_await take(all.semaphore, all.order, "a");
  }(contest));
  EXPECT_EQ(contest.settle(), "a:cancelled");
  EXPECT_EQ(contest.waiting(), 0u);
  contest.release();
  EXPECT_EQ(contest.value(), 1u);
}

// SE09 "Cancel after the wake, before running: token is returned and the next waiter woken."
TEST(Semaphore, SE09WithACancelAfterTheWakeTheNextIsWoken) {
  Contest contest(0, "abc");
  contest.loop.call([&] {
    contest.semaphore.release();
    contest.tasks[0].cancel();
    contest.tasks[0].cancel();
  });
  EXPECT_EQ(contest.settle(), "a:cancelled b");
  EXPECT_EQ(contest.value(), 0u);
  EXPECT_EQ(contest.waiting(), 1u);
}

TEST(Semaphore, SE09WithoutANextTheTokenIsReturned) {
  Contest contest(0, "a");
  contest.loop.call([&] {
    contest.semaphore.release();
    contest.tasks[0].cancel();
  });
  EXPECT_EQ(contest.settle(), "a:cancelled");
  EXPECT_EQ(contest.value(), 1u);
  EXPECT_FALSE(contest.semaphore.locked());
  contest.add("next");
  EXPECT_EQ(contest.settle(), "a:cancelled next");
}

TEST(Semaphore, SE09ThroughAChainOfCancelledWaiters) {
  Contest contest(0, "abcd");
  contest.loop.call([&] {
    contest.semaphore.release();
    contest.semaphore.release();
    for (std::size_t i = 0; i < 3; ++i) contest.tasks[i].cancel();
  });
  contest.settle();
  EXPECT_TRUE(contest.tasks[3].done() && !contest.tasks[3].cancelled());
  EXPECT_EQ(contest.value(), 1u);
  EXPECT_EQ(contest.waiting(), 0u);
}

TEST(Semaphore, SE09OfABoundedOneIsReturnedToo) {
  TestLoop loop;
  BoundedSemaphore bounded(1);
  Order order;
  loop->create_task(take(bounded, order, "a"));
  auto b = loop->create_task(take(bounded, order, "b"));
  loop.run_until_idle();
  loop.call([&] {
    bounded.release();
    b.cancel();
  });
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "a b:cancelled");
  EXPECT_EQ(bounded.statistics().value, 1u);
  loop.call([&] { EXPECT_THROW(bounded.release(), ValueError); });
}

// Whatever is cancelled when, the tokens are all there in the end, and whoever was not cancelled
// had one. PR07 "Cancelling one of two contenders never deadlocks the other."
TEST(Semaphore, PR07NoTokenIsLostAndNobodyIsForgotten) {
  for (std::size_t victim = 0; victim < 4; ++victim) {
    for (std::size_t steps = 0; steps < 10; ++steps) {
      Semaphore semaphore(2);
      TestLoop loop;
      auto contend = [](Semaphore& contested) -> Coro<> {
        auto held = co_await contested.scoped();
        co_await sleep(0s);
      };
      std::vector<Task<>> tasks;
      for (int i = 0; i < 4; ++i) tasks.push_back(loop->create_task(contend(semaphore)));
      loop.run_steps(steps);
      tasks[victim].cancel();
      tasks[(victim + 1) % 4].cancel();
      loop.run_until_idle();
      for (const std::size_t other : {(victim + 2) % 4, (victim + 3) % 4}) {
        EXPECT_TRUE(tasks[other].done() && !tasks[other].cancelled())
            << "victim " << victim << ", " << steps << " steps";
      }
      EXPECT_EQ(semaphore.statistics().value, 2u);
      EXPECT_FALSE(semaphore.locked());
    }
  }
}

TEST(Semaphore, ATimeoutTakesNoToken) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    Semaphore semaphore(0);
    EXPECT_EQ(co_await word_of(rota::timeout(3s, semaphore.acquire())), ":timeout");
    EXPECT_EQ(test.now(), 3s);
    semaphore.release();
    EXPECT_EQ(semaphore.statistics().value, 1u);
    co_await rota::timeout(3s, semaphore.acquire());
    EXPECT_EQ(test.now(), 3s);
  }(loop));
}

}  // namespace
