/// sync_semaphore_test.cpp: Semaphore and BoundedSemaphore, of one loop: where each token goes. Who
/// is cancelled: sync_semaphore_cancel_test.cpp.
///
/// The statements quoted are asyncio's, by their numbers in the catalogue of behaviours; the order
/// lists are CPython 3.15's.

#include <rota/error.hpp>
#include <rota/loop.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>
#include <rota/with.hpp>

#include "support/cancel_matrix.hpp"
#include "support/contenders.hpp"
#include "support/family.hpp"
#include "support/observe.hpp"
#include "support/semaphore_contest.hpp"
#include "support/test_loop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace rota::testing_support;
using rota::Coro;
using rota::create_task;
using rota::LoopOptions;
using rota::sleep;
using rota::ValueError;
using rota::with;
using testing::ElementsAre;

using Contest = SemaphoreContest;

// --- tokens ------------------------------------------------------------------------------------

// SE01 "Initial value 0 -> locked; negative -> ValueError."
TEST(Semaphore, SE01TheInitialValueSaysWhetherItIsLocked) {
  EXPECT_TRUE(Semaphore(0).locked());
  EXPECT_FALSE(Semaphore(1).locked());
  EXPECT_FALSE(Semaphore(3U).locked());
  EXPECT_THROW(Semaphore(-1), ValueError);
  EXPECT_THROW(BoundedSemaphore(-1), ValueError);
  EXPECT_TRUE(BoundedSemaphore(0).locked());
}

TEST(Semaphore, SE01ByDefaultThereIsOneToken) {
  EXPECT_EQ(Semaphore().statistics().value, 1u);
  EXPECT_EQ(BoundedSemaphore().statistics().value, 1u);
}

// SE02 "acquire with value>0 and no waiters takes a token without suspending."
TEST(Semaphore, SE02AFreeTokenIsTakenWithoutSuspending) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    Semaphore semaphore(3);
    const std::size_t before = test.steps();
    for (std::size_t left = 3; left > 0; --left) {
      const std::size_t value =
          semaphore.statistics().value;  // inside the macro g++ 12 reads it late
      EXPECT_EQ(value, left);
      EXPECT_FALSE(semaphore.locked());
      co_await semaphore.acquire();
    }
    EXPECT_TRUE(semaphore.locked());
    for (int i = 0; i < 1000; ++i) {
      semaphore.release();
      co_await semaphore.acquire();
    }
    EXPECT_EQ(test.steps(), before);
  }(loop));
}

TEST(Semaphore, D5AfterManyAcquiresThatNeedNotWaitTheTaskGivesWayOnce) {
  TestLoop loop{LoopOptions()};
  Semaphore semaphore(1000);
  auto work = [&semaphore]() -> Coro<> { co_await semaphore.acquire(); };
  EXPECT_THAT(loop.run(count_by_step(loop, 300, work)), ElementsAre(127, 128, 45));
  EXPECT_EQ(semaphore.statistics().value, 700u);
}

TEST(Semaphore, D5WhoGivesWayQueuesIfTheTokenWasTakenMeanwhile) {
  TestLoop loop{LoopOptions()};
  Semaphore semaphore(1);
  Order order;
  loop->create_task([](Semaphore& contested, Order& out) -> Coro<> {
    co_await spend_the_budget();
    create_task(take(contested, out, "other"));
    co_await take(contested, out, "polite");
  }(semaphore, order));
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "other");
  loop.call([&] { semaphore.release(); });
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "other polite");
}

// SE03 "Waiters are served FIFO."
TEST(Semaphore, SE03WaitersAreServedInTheOrderTheyCame) {
  Contest contest(1, "abcd");
  EXPECT_EQ(contest.order.text(), "a");
  EXPECT_EQ(contest.waiting(), 3u);
  EXPECT_EQ(contest.release(), "a b");
  EXPECT_EQ(contest.release(2), "a b c d");
  EXPECT_EQ(contest.value(), 0u);
}

// SE04 "release() hands the token to the first live waiter: value stays 0."
TEST(Semaphore, SE04ReleaseHandsTheTokenToTheFirstWaiter) {
  Contest contest(0, "ab");
  contest.loop.call([&] {
    contest.semaphore.release();
    EXPECT_EQ(contest.value(), 0u);
    EXPECT_TRUE(contest.semaphore.locked());
  });
  EXPECT_EQ(contest.value(), 0u);
  EXPECT_EQ(contest.settle(), "a");
  EXPECT_EQ(contest.value(), 0u);
  EXPECT_EQ(contest.waiting(), 1u);
}

TEST(Semaphore, SE04ANewcomerDoesNotGetIt) {
  Contest contest(0, "a");
  contest.loop.call([&] {
    contest.add("newcomer");  // will run before a
    contest.semaphore.release();
  });
  EXPECT_EQ(contest.settle(), "a");
  EXPECT_EQ(contest.release(), "a newcomer");
}

TEST(Semaphore, SE04EachOfSeveralTokensGoesToAnotherWaiter) {
  Contest contest(0, "abc");
  contest.loop.call([&] {
    contest.semaphore.release();
    contest.semaphore.release();
    EXPECT_EQ(contest.value(), 0u);
    EXPECT_EQ(contest.waiting(), 1u);
  });
  EXPECT_EQ(contest.settle(), "a b");
}

// SE05 "locked() is true when value is 0 **or** any waiter is queued."
TEST(Semaphore, SE05IsLockedWhileAWaiterIsQueued) {
  Contest contest(0, "ab");
  contest.loop.call([&] {
    for (int i = 0; i < 3; ++i) contest.semaphore.release();
    EXPECT_EQ(contest.value(), 1u);  // two are promised, one is left
    EXPECT_TRUE(contest.semaphore.locked());
    contest.add("newcomer");
  });
  EXPECT_EQ(contest.settle(), "a b newcomer");
  EXPECT_EQ(contest.value(), 0u);
}

TEST(Semaphore, SE05ATokenThatIsLeftGoesToTheNewcomerWhoHadToQueue) {
  Contest contest(0, "a");
  contest.loop->create_task([](Contest& all) -> Coro<> {
    all.semaphore.release();
    all.semaphore.release();
    EXPECT_EQ(all.value(), 1u);
    co_await take(all.semaphore, all.order, "newcomer");  // behind a
  }(contest));
  EXPECT_EQ(contest.settle(), "a newcomer");
  EXPECT_EQ(contest.value(), 0u);
}

// SE06 "A task that releases and at once re-acquires queues behind existing waiters."
TEST(Semaphore, SE06ReleasingAndAcquiringAgainQueuesBehindTheWaiters) {
  TestLoop loop;
  Semaphore semaphore(1);
  Order order;
  auto turns = [](Semaphore& shared, Order& out, std::string name) -> Coro<> {
    for (int i = 0; i < 3; ++i) {
      co_await shared.acquire();
      out.add(name + std::to_string(i));
      co_await sleep(1s);
      shared.release();
    }
  };
  for (const char* name : {"a", "b", "c"}) loop->create_task(turns(semaphore, order, name));
  loop.advance(1min);
  EXPECT_EQ(order.text(), "a0 b0 c0 a1 b1 c1 a2 b2 c2");
  EXPECT_EQ(semaphore.statistics().value, 1u);
}

TEST(Semaphore, SE06AlsoWithoutASuspensionBetween) {
  Contest contest(0, "ab");
  contest.loop->create_task([](Contest& all) -> Coro<> {
    for (int i = 0; i < 2; ++i) {
      all.semaphore.release();
      co_await take(all.semaphore, all.order, "again");
    }
  }(contest));
  EXPECT_EQ(contest.settle(), "a");
  EXPECT_EQ(contest.release(), "a b");
  EXPECT_EQ(contest.release(), "a b again again");
}

// SE11 "release with no waiters increments."
TEST(Semaphore, SE11ReleaseWithoutWaitersIncrements) {
  Contest contest(0, "");
  contest.release();
  EXPECT_EQ(contest.value(), 1u);
  EXPECT_FALSE(contest.semaphore.locked());
  contest.release(2);
  EXPECT_EQ(contest.value(), 3u);
}

// SE10 "Semaphore.release has no upper bound; BoundedSemaphore.release above the initial value
// raises ValueError."
TEST(Semaphore, SE10OnlyABoundedOneHasAnUpperBound) {
  TestLoop loop;
  Semaphore free(1);
  BoundedSemaphore bounded(1);
  BoundedSemaphore none(0);
  loop.call([&] {
    for (int i = 0; i < 10; ++i) free.release();
    EXPECT_EQ(free.statistics().value, 11u);
    EXPECT_THROW(bounded.release(), ValueError);
    EXPECT_EQ(bounded.statistics().value, 1u);
    EXPECT_THROW(none.release(), ValueError);
    EXPECT_EQ(none.statistics().value, 0u);
  });
}

TEST(Semaphore, SE10ABoundedOneTakesBackWhatItGave) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    BoundedSemaphore bounded(2);
    co_await bounded.acquire();
    co_await bounded.acquire();
    EXPECT_TRUE(bounded.locked());
    bounded.release();
    bounded.release();
    EXPECT_THROW(bounded.release(), ValueError);
    EXPECT_EQ(bounded.statistics().value, 2u);
  }());
}

TEST(Semaphore, SE10ATokenThatIsPromisedIsNotThereYet) {
  TestLoop loop;
  BoundedSemaphore bounded(1);
  Order order;
  loop->create_task(take(bounded, order, "a"));
  loop->create_task(take(bounded, order, "b"));
  loop.run_until_idle();
  loop.call([&] {
    bounded.release();  // b's
    EXPECT_EQ(bounded.statistics().value, 0u);
  });
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "a b");
  loop.call([&] {
    bounded.release();
    EXPECT_THROW(bounded.release(), ValueError);
  });
}

// --- the rest ----------------------------------------------------------------------------------

template <typename S>
Coro<> use_scoped(S& semaphore, bool fails) {
  auto held = co_await semaphore.scoped();
  EXPECT_EQ(semaphore.statistics().value, 0u);
  if (fails) throw std::runtime_error("error");
  co_await sleep(1s);
}

// LK12, of a Semaphore: "Scoped form acquires on entry, releases on every exit path".
TEST(Semaphore, LK12ScopesGiveTheTokenBack) {
  TestLoop loop;
  Semaphore semaphore(1);
  BoundedSemaphore bounded(1);
  EXPECT_EQ(loop.run(word_of(use_scoped(semaphore, false))), "");
  EXPECT_EQ(loop.run(word_of(use_scoped(semaphore, true))), ":error");
  EXPECT_EQ(loop.run(word_of(use_scoped(bounded, false))), "");
  EXPECT_EQ(loop.run(word_of(use_scoped(bounded, true))), ":error");
  auto cancelled = loop->create_task(use_scoped(bounded, false));
  loop.run_steps(1);
  EXPECT_TRUE(bounded.locked());
  cancelled.cancel();
  loop.run_until_idle();
  EXPECT_EQ(semaphore.statistics().value, 1u);
  EXPECT_EQ(bounded.statistics().value, 1u);
}

TEST(Semaphore, LK12WithGivesTheTokenBack) {
  TestLoop loop;
  Semaphore semaphore(1);
  BoundedSemaphore bounded(1);
  auto body = [](Semaphore& held) -> Coro<int> {
    EXPECT_TRUE(held.locked());
    co_return 12;
  };
  EXPECT_EQ(loop.run(word_of(with(semaphore, body))), "=12");
  EXPECT_EQ(loop.run(word_of(with(bounded, body))), "=12");
  auto fails = []() -> Coro<> {
    throw std::runtime_error("error");
    co_return;
  };
  EXPECT_EQ(loop.run(word_of(with(bounded, fails))), ":error");
  EXPECT_EQ(semaphore.statistics().value, 1u);
  EXPECT_EQ(bounded.statistics().value, 1u);
}

// SE10, of a scope: leaving it is a release like any other.
TEST(Semaphore, SE10LeavingABoundedScopeThatWasReleasedAlreadyIsAnError) {
  TestLoop loop;
  BoundedSemaphore bounded(1);
  auto body = [](BoundedSemaphore& held) -> Coro<> {
    held.release();
    co_return;
  };
  bool refused = false;
  loop.run([](auto awaitable, bool& flag) -> Coro<> {
    try {
      co_await std::move(awaitable);
    } catch (const ValueError&) {
      flag = true;
    }
  }(with(bounded, body), refused));
  EXPECT_TRUE(refused);
  EXPECT_EQ(bounded.statistics().value, 1u);
}

// LK16, of a Semaphore: "raises RuntimeError 'bound to a different event loop'."
TEST(Semaphore, LK16UseOnAnotherLoopIsRefusedAtTheCall) {
  Contest contest(0, "a");
  EXPECT_THAT(elsewhere([&] { (void)contest.semaphore.acquire(); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { (void)contest.semaphore.scoped(); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { contest.semaphore.release(); }), is_wrong_loop());
  EXPECT_EQ(contest.value(), 0u);
  EXPECT_EQ(contest.settle(), "");
  EXPECT_EQ(contest.release(), "a");
}

TEST(Semaphore, LK16SoIsABoundedOne) {
  BoundedSemaphore bounded(2);
  TestLoop loop;
  Order order;
  loop.run(take(bounded, order, "a"));
  EXPECT_THAT(elsewhere([&] { bounded.release(); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { (void)bounded.acquire(); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { (void)bounded.scoped(); }), is_wrong_loop());
  EXPECT_EQ(bounded.statistics().value, 1u);
  loop.call([&] { bounded.release(); });
  EXPECT_THAT(elsewhere([&] { bounded.release(); }), is_wrong_loop());  // not a ValueError
}

// PR05 "statistics()". PR06 "Primitives may be created outside any loop."
TEST(Semaphore, PR05StatisticsSayHowItIs) {
  const Semaphore fresh(5);
  EXPECT_EQ(fresh.statistics().value, 5u);
  EXPECT_EQ(fresh.statistics().tasks_waiting, 0u);
  Contest contest(1, "abc");
  EXPECT_EQ(contest.value(), 0u);
  EXPECT_EQ(contest.waiting(), 2u);
}

TEST(Semaphore, ALoopThatClosesTakesItsWaitersAlong) {
  Semaphore semaphore(0);
  Order order;
  {
    TestLoop loop;
    for (const char* name : {"a", "b", "c"}) loop->create_task(take(semaphore, order, name));
    loop->create_task(use_scoped(semaphore, false));
    loop.run_until_idle();
    loop.call([&] { semaphore.release(); });  // a is woken, and will not run
    loop->close();
    EXPECT_EQ(loop.reports().size(), 4u);
  }
  EXPECT_EQ(semaphore.statistics().tasks_waiting, 0u);
  EXPECT_EQ(order.text(), "");
}

}  // namespace
