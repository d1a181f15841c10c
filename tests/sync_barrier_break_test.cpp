/// sync_barrier_break_test.cpp: Barrier::reset and abort.
///
/// The statements quoted are asyncio's, by their numbers in the catalogue of behaviours; the order
/// lists are CPython 3.15's.

#include <rota/sleep.hpp>
#include <rota/task.hpp>

#include "support/barrier_meeting.hpp"
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
using rota::BrokenBarrierError;
using rota::Coro;
using rota::sleep;
using testing::UnorderedElementsAre;

// BA09 "reset() of an idle barrier is a no-op."
TEST(Barrier, BA09ResetOfAnIdleBarrierDoesNothing) {
  Meeting meeting(2);
  meeting.reset();
  EXPECT_FALSE(meeting.barrier.broken());
  EXPECT_EQ(meeting.barrier.n_waiting(), 0u);
  meeting.expect_a_good_round("ab");
  meeting.reset();
  meeting.expect_a_good_round("cd");
}

// BA10 "reset() with waiters raises BrokenBarrierError in each; the barrier is usable again."
TEST(Barrier, BA10ResetSendsTheWaitersAway) {
  Meeting meeting(3, "ab");
  meeting.reset();
  EXPECT_FALSE(meeting.barrier.broken());
  EXPECT_EQ(meeting.barrier.n_waiting(), 0u);
  EXPECT_EQ(meeting.settle(), "a:broken b:broken");
  EXPECT_EQ(meeting.barrier.n_waiting(), 0u);
  meeting.expect_a_good_round("cde");
}

TEST(Barrier, BA10WhoComesBeforeTheyHaveLeftIsOfTheNewRound) {
  Meeting meeting(3, "ab");
  meeting.loop.call([&] {
    for (const char* name : {"c", "d", "e"}) meeting.add(name);  // will run before a and b
    meeting.barrier.reset();
  });
  meeting.settle();
  EXPECT_THAT(meeting.order.text(), testing::StartsWith("a:broken b:broken"));
  EXPECT_THAT(meeting.indices, UnorderedElementsAre(0u, 1u, 2u));
  EXPECT_EQ(meeting.barrier.n_waiting(), 0u);
}

TEST(Barrier, BA10ResetTwiceInOneStep) {
  Meeting meeting(3, "ab");
  meeting.loop.call([&] {
    meeting.barrier.reset();
    meeting.barrier.reset();
  });
  EXPECT_EQ(meeting.settle(), "a:broken b:broken");
  meeting.expect_a_good_round("cde");
}

TEST(Barrier, BA10ACancelAfterTheResetIsACancel) {
  Meeting meeting(3, "ab");
  meeting.loop.call([&] {
    meeting.barrier.reset();
    meeting.tasks[0].cancel();
  });
  EXPECT_EQ(meeting.settle(), "a:cancelled b:broken");
  meeting.expect_a_good_round("cde");
}

// BA11 "reset during draining: those already passed are unaffected."
TEST(Barrier, BA11ResetWhileItDrainsDoesNotAffectThoseWhoPassed) {
  Meeting meeting(4, "ab");
  auto resets = [](Meeting& all) -> Coro<> {
    const std::size_t index = co_await all.barrier.wait();
    all.order.add("half=" + std::to_string(index));
    all.barrier.reset();  // the last has passed, and this one; c has not
  };
  meeting.tasks[0].cancel();
  meeting.tasks[1].cancel();
  meeting.settle();
  meeting.loop->create_task(resets(meeting));
  EXPECT_EQ(meeting.come("bcd"), "a:cancelled b:cancelled d=3 half=0 b:broken c:broken");
  EXPECT_FALSE(meeting.barrier.broken());
  meeting.expect_a_good_round("efgh");
}

TEST(Barrier, BA11ResetByTheLastArrival) {
  Meeting meeting(3, "ab");
  meeting.loop->create_task([](Meeting& all) -> Coro<> {
    co_await pass(all.barrier, all.order, all.indices, "last");
    all.barrier.reset();
  }(meeting));
  EXPECT_EQ(meeting.settle(), "last=2 a:broken b:broken");
  meeting.expect_a_good_round("cde");
}

TEST(Barrier, BA11ResetAfterAllHavePassed) {
  Meeting meeting(3, "abc");
  meeting.reset();
  EXPECT_EQ(meeting.settle(), "c=2 a=0 b=1");
  meeting.expect_a_good_round("def");
}

// BA13 "A task may catch BrokenBarrierError and wait again on the same barrier."
TEST(Barrier, BA13ATaskMayWaitAgainAfterAReset) {
  Meeting meeting(3);
  auto twice = [](Meeting& all, std::string name) -> Coro<> {
    co_await pass(all.barrier, all.order, all.indices, name);
    co_await pass(all.barrier, all.order, all.indices, name);
  };
  meeting.loop->create_task(twice(meeting, "a"));
  meeting.loop->create_task(twice(meeting, "b"));
  meeting.settle();
  meeting.reset();
  EXPECT_EQ(meeting.settle(), "a:broken b:broken");
  EXPECT_EQ(meeting.barrier.n_waiting(), 2u);
  meeting.come("c");
  EXPECT_THAT(meeting.indices, UnorderedElementsAre(0u, 1u, 2u));
}

// BA14 "abort(): broken is true; all present and future wait() raise BrokenBarrierError until
// reset."
TEST(Barrier, BA14AbortBreaksItUntilReset) {
  Meeting meeting(3, "ab");
  meeting.abort();
  EXPECT_TRUE(meeting.barrier.broken());
  EXPECT_EQ(meeting.settle(), "a:broken b:broken");
  EXPECT_EQ(meeting.come("cdefg"),
            "a:broken b:broken c:broken d:broken e:broken f:broken g:broken");
  EXPECT_TRUE(meeting.barrier.broken());
  EXPECT_EQ(meeting.barrier.n_waiting(), 0u);
  meeting.reset();
  EXPECT_FALSE(meeting.barrier.broken());
  meeting.expect_a_good_round("hij");
}

TEST(Barrier, BA14ABrokenBarrierRefusesWithoutSuspending) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    Barrier barrier(2);
    barrier.abort();
    const std::size_t before = test.steps();
    bool broken = false;
    try {
      co_await barrier.wait();
    } catch (const BrokenBarrierError&) {
      broken = true;
    }
    EXPECT_TRUE(broken);
    EXPECT_EQ(test.steps(), before);
  }(loop));
}

TEST(Barrier, BA14AbortWhileItDrainsStopsThoseWhoHaveNotLeftAndTheBlocked) {
  Meeting meeting(4);
  meeting.loop->create_task([](Meeting& all) -> Coro<> {
    const std::size_t index = co_await all.barrier.wait();
    all.order.add("half=" + std::to_string(index));
    all.barrier.abort();  // d has passed, and this one
  }(meeting));
  EXPECT_EQ(meeting.come("bcdef"), "d=3 half=0 b:broken c:broken e:broken f:broken");
  EXPECT_TRUE(meeting.barrier.broken());
  EXPECT_EQ(meeting.barrier.n_waiting(), 0u);
  meeting.reset();
  meeting.expect_a_good_round("ghij");
}

TEST(Barrier, BA14AbortOfAnIdleBarrierTooBreaksIt) {
  Meeting meeting(1);
  meeting.abort();
  EXPECT_EQ(meeting.come("a"), "a:broken");
  EXPECT_TRUE(meeting.barrier.broken());
}

// BA15 "A user may call abort() on its own exception so that peers do not hang."
TEST(Barrier, BA15AbortOnAnErrorLetsThePeersGo) {
  Meeting meeting(3, "ab");
  auto task = meeting.loop->create_task([](Barrier& barrier) -> Coro<> {
    try {
      throw std::runtime_error("mine");
    } catch (const std::runtime_error&) {
      barrier.abort();
      throw;
    }
    co_await barrier.wait();
  }(meeting.barrier));
  EXPECT_EQ(meeting.settle(), "a:broken b:broken");
  EXPECT_EQ(outcome_of(task), "mine");
  EXPECT_TRUE(meeting.barrier.broken());
}

// BA16 "abort then reset gives a usable barrier."
TEST(Barrier, BA16AbortAndResetAtOnceGiveAUsableBarrier) {
  Meeting meeting(3, "ab");
  meeting.loop.call([&] {
    meeting.barrier.abort();
    meeting.barrier.reset();
  });
  EXPECT_EQ(meeting.settle(), "a:broken b:broken");
  EXPECT_FALSE(meeting.barrier.broken());
  meeting.expect_a_good_round("cde");
}

TEST(Barrier, BA16ResetAndAbortAtOnceLeaveItBroken) {
  Meeting meeting(3, "ab");
  meeting.loop.call([&] {
    meeting.barrier.reset();
    meeting.barrier.abort();
  });
  EXPECT_EQ(meeting.settle(), "a:broken b:broken");
  EXPECT_TRUE(meeting.barrier.broken());
  EXPECT_EQ(meeting.come("c"), "a:broken b:broken c:broken");
  meeting.reset();
  meeting.expect_a_good_round("def");
}

TEST(Barrier, BA16WaitersMayResetWhatBrokeThem) {
  Meeting meeting(2, "a");
  meeting.loop->create_task([](Meeting& all) -> Coro<> {
    all.barrier.abort();
    co_await sleep(0s);
    EXPECT_EQ(all.order.text(), "a:broken");
    all.barrier.reset();
    co_await pass(all.barrier, all.order, all.indices, "b");
  }(meeting));
  meeting.settle();
  EXPECT_EQ(meeting.come("c"), "a:broken c=1 b=0");
}

}  // namespace
