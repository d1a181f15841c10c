/// sync_threadsafe_barrier_test.cpp: threadsafe::Barrier, between loops and threads. What it has in
/// common with rota::Barrier is tested by sync_barrier_test.cpp, which is built for both.

#include <rota/error.hpp>
#include <rota/loop.hpp>
#include <rota/task.hpp>
#include <rota/threadsafe/barrier.hpp>

#include "support/loop_thread.hpp"
#include "support/shared_order.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace rota::testing_support;
using rota::BrokenBarrierError;
using rota::Coro;
using rota::RuntimeError;
using rota::threadsafe::Barrier;
using testing::ElementsAre;

Coro<std::size_t> arrive(Barrier& barrier) { co_return co_await barrier.wait(); }
void wait_until_there(const Barrier& barrier, std::size_t count) {
  wait_until([&] { return barrier.n_waiting() == count; });
}

// BA02 "wait() returns a unique index 0..parties-1."
TEST(ThreadsafeBarrier, BA02TasksOfAllLoopsAndThreadsMeet) {
  Barrier barrier(4);
  LoopThread one;
  LoopThread two;
  const auto a = one.start(arrive, std::ref(barrier));
  wait_until_there(barrier, 1);
  std::size_t on_thread = 99;
  {
    std::jthread thread([&] { on_thread = barrier.wait_blocking(); });
    wait_until_there(barrier, 2);
    const auto b = two.start(arrive, std::ref(barrier));
    wait_until_there(barrier, 3);
    EXPECT_EQ(barrier.wait_blocking(), 3u);
    two.join(b);
    EXPECT_EQ(b.result(), 2u);
  }
  EXPECT_EQ(on_thread, 1u);
  one.join(a);
  EXPECT_EQ(a.result(), 0u);
}

Coro<> meet_often(Barrier& barrier, std::atomic<int>& arrived, int parties, int rounds) {
  for (int round = 1; round <= rounds; ++round) {
    ++arrived;
    co_await barrier.wait();
    EXPECT_GE(arrived, round * parties);
  }
}

// BA05 "Reusable". Nobody leaves before all have come, in every round.
TEST(ThreadsafeBarrier, BA05RoundFollowsRoundOnAllLoops) {
  constexpr int parties = 5;
  constexpr int rounds = 200;
  Barrier barrier(parties);
  std::atomic<int> arrived = 0;
  LoopThread one;
  LoopThread two;
  std::vector<rota::Task<>> tasks;
  for (int i = 0; i < 2; ++i) {
    for (LoopThread* loop : {&one, &two})
      tasks.push_back(
          loop->start(meet_often, std::ref(barrier), std::ref(arrived), parties, rounds));
  }
  for (int round = 1; round <= rounds; ++round) {
    ++arrived;
    barrier.wait_blocking();
    EXPECT_GE(arrived, round * parties);
  }
  for (std::size_t i = 0; i < tasks.size(); ++i) (i % 2 == 0 ? one : two).join(tasks[i]);
  EXPECT_EQ(arrived, rounds * parties);
}

// BA07, with EV08: the round is over when it is full. Who comes then belongs to the next, whether
// or not the others have run.
TEST(ThreadsafeBarrier, BA07WhoComesBeforeTheOthersHaveLeftBelongsToTheNextRound) {
  Barrier barrier(2);
  LoopThread one;
  const auto a = one.start(arrive, std::ref(barrier));
  wait_until_there(barrier, 1);
  {
    Blocked blocked(one);
    EXPECT_EQ(barrier.wait_blocking(), 1u);
    EXPECT_EQ(barrier.n_waiting(), 0u);
    EXPECT_EQ(barrier.wait_blocking(1ms), std::nullopt);
    barrier.reset();  // BA11 "those already passed are unaffected"
    a.cancel();
  }
  one.join(a);
  EXPECT_EQ(a.result(), 0u);
}

// BA08 "Cancelling one waiter only lowers the count; the barrier is not broken". Nor does a time
// that is over.
TEST(ThreadsafeBarrier, BA08WhoGivesUpDoesNotBreakIt) {
  Barrier barrier(2);
  LoopThread one;
  const auto a = one.start(arrive, std::ref(barrier));
  wait_until_there(barrier, 1);
  a.cancel();
  wait_until_there(barrier, 0);
  one.join(a);
  EXPECT_TRUE(a.cancelled());
  EXPECT_EQ(barrier.wait_blocking(0s), std::nullopt);
  EXPECT_EQ(barrier.wait_blocking(1ms), std::nullopt);
  EXPECT_EQ(barrier.n_waiting(), 0u);
  EXPECT_FALSE(barrier.broken());
  const auto b = one.start(arrive, std::ref(barrier));
  EXPECT_THAT((std::vector{barrier.wait_blocking()}), ElementsAre(testing::Le(1u)));
  one.join(b);
}

// BA10 "reset() with waiters raises BrokenBarrierError in each; the barrier is usable again." BA14
// "abort(): broken is true; all present and future wait() raise BrokenBarrierError until reset."
TEST(ThreadsafeBarrier, BA10BA14ResetAndAbortReachAllLoopsAndThreads) {
  for (const bool abort : {false, true}) {
    Barrier barrier(3);
    LoopThread one;
    const auto a = one.start(arrive, std::ref(barrier));
    wait_until_there(barrier, 1);
    {
      std::jthread thread([&] { EXPECT_THROW(barrier.wait_blocking(1h), BrokenBarrierError); });
      wait_until_there(barrier, 2);
      abort ? barrier.abort() : barrier.reset();
    }
    one.join(a);
    EXPECT_THROW((void)a.result(), BrokenBarrierError);
    EXPECT_EQ(barrier.broken(), abort);
    if (abort) {
      EXPECT_THROW(barrier.wait_blocking(), BrokenBarrierError);
    }
    barrier.reset();
    EXPECT_FALSE(barrier.broken());
    EXPECT_EQ(barrier.wait_blocking(0s), std::nullopt);
  }
}

TEST(ThreadsafeBarrier, ALoopIsNotBlocked) {
  Barrier barrier(2);
  LoopThread one;
  one.call([&] {
    EXPECT_THROW(barrier.wait_blocking(), RuntimeError);
    EXPECT_THROW(barrier.wait_blocking(1ms), RuntimeError);
  });
  EXPECT_EQ(barrier.n_waiting(), 0u);
}

TEST(ThreadsafeBarrier, MX07ALoopThatClosesTakesItsWaitersAlong) {
  Barrier barrier(2);
  LoopThread one;
  LoopThread two;
  one.start(arrive, std::ref(barrier));
  wait_until_there(barrier, 1);
  one.close();
  EXPECT_EQ(barrier.n_waiting(), 0u);
  const auto b = two.start(arrive, std::ref(barrier));
  wait_until_there(barrier, 1);
  close_unseen(two, [&] { EXPECT_EQ(barrier.wait_blocking(), 1u); });
  EXPECT_EQ(barrier.n_waiting(), 0u);
}

}  // namespace
