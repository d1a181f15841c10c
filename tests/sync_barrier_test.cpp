/// sync_barrier_test.cpp: Barrier, of one loop: rounds, and the ways in which one is broken.
///
/// The statements quoted are asyncio's, by their numbers in the catalogue of behaviours; the order
/// lists are CPython 3.15's.

#include <rota/error.hpp>
#include <rota/task.hpp>
#include <rota/timeout.hpp>
#include <rota/with.hpp>

#include "support/barrier_meeting.hpp"
#include "support/contenders.hpp"
#include "support/family.hpp"
#include "support/observe.hpp"
#include "support/outcome.hpp"
#include "support/test_loop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace rota::testing_support;
using rota::Coro;
using rota::current_task;
using rota::Task;
using rota::ValueError;
using rota::with;
using testing::ElementsAre;
using testing::UnorderedElementsAre;

// --- rounds ------------------------------------------------------------------------------------

// BA01 "parties < 1 -> ValueError."
TEST(Barrier, BA01NeedsAtLeastOneParty) {
  EXPECT_THROW(Barrier(0), ValueError);
  EXPECT_THROW(Barrier(-5), ValueError);
  EXPECT_EQ(Barrier(1).parties(), 1u);
  EXPECT_EQ(Barrier(5U).parties(), 5u);
}

// BA02 "wait() returns a unique index 0..parties-1."
TEST(Barrier, BA02EachGetsAnotherIndex) {
  Meeting meeting(3, "ab");
  EXPECT_EQ(meeting.order.text(), "");
  EXPECT_EQ(meeting.come("c"), "c=2 a=0 b=1");
  EXPECT_THAT(meeting.indices, UnorderedElementsAre(0u, 1u, 2u));
}

// BA03 "The last arrival does not suspend and releases all."
TEST(Barrier, BA03TheLastArrivalDoesNotSuspend) {
  Meeting meeting(3, "ab");
  meeting.loop.run([](Meeting& all) -> Coro<> {
    const std::size_t before = all.loop.steps();
    EXPECT_EQ(co_await all.barrier.wait(), 2u);
    EXPECT_EQ(all.loop.steps(), before);
    EXPECT_EQ(all.order.text(), "");
  }(meeting));
  EXPECT_EQ(meeting.settle(), "a=0 b=1");
}

// BA04 "n_waiting counts only while filling, else 0."
TEST(Barrier, BA04CountsWhoWaitsOnlyWhileItFills) {
  Meeting meeting(3);
  EXPECT_EQ(meeting.barrier.n_waiting(), 0u);
  meeting.come("a");
  EXPECT_EQ(meeting.barrier.n_waiting(), 1u);
  meeting.come("b");
  EXPECT_EQ(meeting.barrier.n_waiting(), 2u);
  meeting.loop.run([](Barrier& barrier) -> Coro<> {
    co_await barrier.wait();
    EXPECT_EQ(barrier.n_waiting(), 0u);  // a and b have not left yet
  }(meeting.barrier));
  meeting.settle();
  EXPECT_EQ(meeting.barrier.n_waiting(), 0u);
}

// BA05 "Reusable: the next cycle starts after the last one drained."
TEST(Barrier, BA05RoundFollowsRound) {
  Meeting meeting(3);
  for (int round = 0; round < 4; ++round) meeting.expect_a_good_round("abc");
}

TEST(Barrier, BA05TasksThatComeBackMeetInEveryRound) {
  static constexpr int rounds = 5;
  static constexpr int parties = 4;
  Barrier barrier(parties);
  TestLoop loop;
  std::vector<std::vector<std::size_t>> indices(rounds);
  auto play = [](Barrier& place, std::vector<std::vector<std::size_t>>& seen) -> Coro<> {
    for (std::size_t round = 0; round < rounds; ++round) {
      seen[round].push_back(co_await place.wait());
      if (round > 0) {
        EXPECT_EQ(seen[round - 1].size(), parties);  // nobody is a round ahead
      }
    }
  };
  for (int i = 0; i < parties; ++i) loop->create_task(play(barrier, indices));
  loop.run_until_idle();
  for (const auto& round : indices) EXPECT_THAT(round, UnorderedElementsAre(0u, 1u, 2u, 3u));
  EXPECT_EQ(barrier.n_waiting(), 0u);
}

// BA06 "parties==1 never blocks, also twice."
TEST(Barrier, BA06OnePartyNeverWaits) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    Barrier barrier(1);
    const std::size_t before = test.steps();
    for (int i = 0; i < 100; ++i) {
      EXPECT_EQ(co_await barrier.wait(), 0u);
      EXPECT_EQ(barrier.n_waiting(), 0u);
    }
    EXPECT_EQ(test.steps(), before);
  }(loop));
}

// BA07 "Arrivals during draining wait until draining ends."
TEST(Barrier, BA07WhoComesWhileItDrainsWaits) {
  Meeting meeting(2, "a");
  meeting.loop->create_task([](Meeting& all) -> Coro<> {
    co_await pass(all.barrier, all.order, all.indices, "last");
    all.order.add("again");
    co_await pass(all.barrier, all.order, all.indices, "last");
  }(meeting));
  EXPECT_EQ(meeting.settle(), "last=1 again a=0");
  EXPECT_EQ(meeting.barrier.n_waiting(), 1u);
  EXPECT_EQ(meeting.come("b"), "last=1 again a=0 b=1 last=0");
}

TEST(Barrier, BA07ManyWhoComeWhileItDrainsFillTheNextRounds) {
  Meeting meeting(2, "a");
  EXPECT_EQ(meeting.come("bcdef"), "b=1 a=0 d=1 c=0 f=1 e=0");
  EXPECT_EQ(meeting.barrier.n_waiting(), 0u);
  meeting.expect_a_good_round("gh");
}

TEST(Barrier, BA07WhoIsCancelledWhileItDrainsIsNotCounted) {
  Meeting meeting(2, "a");
  meeting.loop.call([&] {
    for (const char* name : {"b", "c", "d"}) meeting.add(name);
  });
  meeting.loop.run_steps(1);  // b has passed, a has not left, c and d are blocked
  meeting.tasks[2].cancel();
  EXPECT_EQ(meeting.settle(), "b=1 a=0 c:cancelled");
  EXPECT_EQ(meeting.barrier.n_waiting(), 1u);
  EXPECT_EQ(meeting.come("e"), "b=1 a=0 c:cancelled e=1 d=0");
}

// --- cancelling --------------------------------------------------------------------------------

// BA08 "Cancelling one waiter only lowers the count; the barrier is **not** broken."
TEST(Barrier, BA08ACancelledWaiterOnlyLowersTheCount) {
  Meeting meeting(3, "ab");
  meeting.tasks[0].cancel("why");
  EXPECT_EQ(meeting.settle(), "a:cancelled");
  EXPECT_EQ(message_of(meeting.tasks[0]), "why");
  EXPECT_EQ(meeting.barrier.n_waiting(), 1u);
  EXPECT_FALSE(meeting.barrier.broken());
  meeting.come("c");
  EXPECT_THAT(meeting.indices, ElementsAre());
  meeting.come("d");
  EXPECT_THAT(meeting.indices, UnorderedElementsAre(0u, 1u, 2u));
  meeting.expect_a_good_round("efg");
}

TEST(Barrier, BA08AllMayBeCancelled) {
  Meeting meeting(3, "ab");
  for (const Task<>& task : meeting.tasks) task.cancel();
  EXPECT_EQ(meeting.settle(), "a:cancelled b:cancelled");
  EXPECT_EQ(meeting.barrier.n_waiting(), 0u);
  meeting.expect_a_good_round("cde");
}

TEST(Barrier, BA08ATaskThatIsCancelledBeforeItWaitsIsNotCounted) {
  Meeting meeting(2);
  meeting.loop->create_task([](Meeting& all) -> Coro<> {
    current_task().cancel();
    co_await pass(all.barrier, all.order, all.indices, "a");
  }(meeting));
  EXPECT_EQ(meeting.settle(), "a:cancelled");
  EXPECT_EQ(meeting.barrier.n_waiting(), 0u);
  meeting.expect_a_good_round("bc");
}

TEST(Barrier, BA08ACancelledTaskCountsUntilItHasRun) {
  Meeting meeting(2, "a");
  meeting.loop.call([&] {
    meeting.add("b");
    meeting.tasks[0].cancel();
  });
  EXPECT_EQ(meeting.settle(), "b=1 a:cancelled");
  EXPECT_EQ(meeting.barrier.n_waiting(), 0u);
  meeting.expect_a_good_round("cd");
}

TEST(Barrier, BA08ACancelAfterTheRoundIsFullStopsOnlyTheCancelled) {
  Meeting meeting(3, "ab");
  meeting.loop->create_task([](Meeting& all) -> Coro<> {
    co_await pass(all.barrier, all.order, all.indices, "last");
    all.tasks[0].cancel();
    all.tasks[0].cancel();
  }(meeting));
  EXPECT_EQ(meeting.settle(), "last=2 a:cancelled b=1");
  EXPECT_FALSE(meeting.barrier.broken());
  meeting.expect_a_good_round("cde");
}

TEST(Barrier, BA08TheLastToLeaveMayBeCancelledTooAndTheBlockedGoOn) {
  Meeting meeting(2, "a");
  meeting.loop->create_task([](Meeting& all) -> Coro<> {
    co_await pass(all.barrier, all.order, all.indices, "last");
    all.tasks[0].cancel();
    co_await pass(all.barrier, all.order, all.indices, "again");
  }(meeting));
  EXPECT_EQ(meeting.settle(), "last=1 a:cancelled");
  EXPECT_EQ(meeting.barrier.n_waiting(), 1u);
  EXPECT_EQ(meeting.come("b"), "last=1 a:cancelled b=1 again=0");
}

TEST(Barrier, BA08ACancelTakenBackBeforeTheWaiterRunsStillEndsItsWait) {
  Meeting meeting(2, "a");
  meeting.loop.call([&] {
    meeting.tasks[0].cancel();
    meeting.tasks[0].uncancel();
  });
  EXPECT_EQ(meeting.settle(), "a:cancelled");
  EXPECT_EQ(meeting.barrier.n_waiting(), 0u);
  meeting.expect_a_good_round("bc");
}

TEST(Barrier, BA08ATimeoutDoesNotBreakIt) {
  Meeting meeting(2);
  meeting.loop.run([](Meeting& all) -> Coro<> {
    EXPECT_EQ(co_await word_of(rota::timeout(3s, all.barrier.wait())), ":timeout");
    EXPECT_EQ(all.barrier.n_waiting(), 0u);
    EXPECT_EQ(all.loop.now(), 3s);
  }(meeting));
  meeting.expect_a_good_round("ab");
}

// PR07 "Cancelling one of two contenders never deadlocks the other."
TEST(Barrier, PR07WhateverIsCancelledWhenTheOthersMeet) {
  for (std::size_t victim = 0; victim < 4; ++victim) {
    for (std::size_t steps = 0; steps < 8; ++steps) {
      Meeting meeting(2);
      for (const char* name : {"a", "b", "c", "d"}) meeting.add(name);
      meeting.loop.run_steps(steps);
      const bool was_late = meeting.tasks[victim].done();
      meeting.tasks[victim].cancel();
      meeting.settle();
      if (!was_late) meeting.come("e");  // in the place of the one that was cancelled
      std::size_t passed = 0;
      for (std::size_t i = 0; i < meeting.tasks.size(); ++i) {
        if (meeting.tasks[i].done() && !meeting.tasks[i].cancelled()) ++passed;
      }
      // Cancelled before its round was full: four passed. After: three, and e waits for a partner.
      const bool e_waits = passed == 3;
      EXPECT_TRUE(passed == 4 || e_waits) << meeting.order.text();
      EXPECT_EQ(meeting.barrier.n_waiting(), e_waits && !was_late ? 1u : 0u)
          << "victim " << victim << ", " << steps << " steps: " << meeting.order.text();
    }
  }
}

// --- the rest ----------------------------------------------------------------------------------

// BA17 "Scoped form yields the index."
TEST(Barrier, BA17ScopedGivesTheIndex) {
  Meeting meeting(2, "a");
  meeting.loop.run([](Meeting& all) -> Coro<> {
    const std::size_t index = co_await all.barrier.scoped();
    EXPECT_EQ(index, 1u);
  }(meeting));
  EXPECT_EQ(meeting.settle(), "a=0");
}

TEST(Barrier, BA17WithEntersWhenAllAreThere) {
  Meeting meeting(2, "a");
  auto body = [](Barrier& barrier) -> Coro<std::size_t> { co_return barrier.parties(); };
  EXPECT_EQ(meeting.loop.run(with(meeting.barrier, body)), 2u);
  EXPECT_EQ(meeting.settle(), "a=0");
  auto fails = []() -> Coro<> {
    throw std::runtime_error("error");
    co_return;
  };
  meeting.add("b");
  EXPECT_EQ(meeting.loop.run(word_of(with(meeting.barrier, fails))), ":error");
  EXPECT_FALSE(meeting.barrier.broken());
  meeting.expect_a_good_round("cd");
}

// LK16, of a Barrier: "raises RuntimeError 'bound to a different event loop'."
TEST(Barrier, LK16UseOnAnotherLoopIsRefusedAtTheCall) {
  Meeting meeting(2, "a");
  EXPECT_THAT(elsewhere([&] { (void)meeting.barrier.wait(); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { meeting.barrier.reset(); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { meeting.barrier.abort(); }), is_wrong_loop());
  EXPECT_FALSE(meeting.barrier.broken());
  EXPECT_EQ(meeting.settle(), "");
  EXPECT_EQ(meeting.come("b"), "b=1 a=0");
}

// PR05 "statistics()". PR06 "Primitives may be created outside any loop."
TEST(Barrier, PR05StatisticsSayHowItIs) {
  Meeting meeting(3, "ab");
  EXPECT_EQ(meeting.barrier.statistics().parties, 3u);
  EXPECT_EQ(meeting.barrier.statistics().n_waiting, 2u);
  EXPECT_FALSE(meeting.barrier.statistics().broken);
  meeting.abort();
  EXPECT_TRUE(meeting.barrier.statistics().broken);
  EXPECT_EQ(meeting.barrier.statistics().n_waiting, 0u);
}

TEST(Barrier, ALoopThatClosesTakesItsWaitersAlong) {
  Barrier barrier(3);
  Order order;
  std::vector<std::size_t> indices;
  {
    TestLoop loop;
    for (const char* name : {"a", "b", "c", "d", "e"}) {
      loop->create_task(pass(barrier, order, indices, name));
    }
    loop.run_steps(1);  // c has passed; a and b are woken, d and e blocked: none of them will run
    EXPECT_EQ(order.text(), "c=2");
    loop->close();
    EXPECT_EQ(loop.reports().size(), 4u);
  }
  EXPECT_EQ(barrier.n_waiting(), 0u);
}

}  // namespace
