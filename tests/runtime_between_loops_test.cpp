/// runtime_between_loops_test.cpp: awaiting what belongs to another loop: values, errors, cancels,
/// and loops that close.
///
/// Each case in both directions. Nothing here waits for time: who comes first is decided by the
/// order of messages.

#include <rota/future.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>

#include "support/loop_thread.hpp"
#include "support/outcome.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <stdexcept>
#include <thread>

namespace {

using namespace std::chrono_literals;
using rota::CancelledError;
using rota::Coro;
using rota::Future;
using rota::RuntimeError;
using rota::sleep;
using rota::Task;
using rota::testing_support::Blocked;
using rota::testing_support::future_on;
using rota::testing_support::LoopThread;
using rota::testing_support::message_of;

Coro<int> value_of(Future<int> future) { co_return co_await future; }
Coro<int> value_of_task(Task<int> task) { co_return co_await task; }
Coro<int> sleep_and_give(int number) {
  co_await sleep(1h);
  co_return number;
}

// --- awaiting what belongs to another loop -----------------------------------------------------

/// Each case in both directions.
class BetweenLoops : public testing::TestWithParam<bool> {
 protected:
  LoopThread one_;
  LoopThread two_;
  LoopThread& owner_ = GetParam() ? one_ : two_;
  LoopThread& waiter_ = GetParam() ? two_ : one_;
};
INSTANTIATE_TEST_SUITE_P(Direction, BetweenLoops, testing::Values(true, false));

// TA06 "Awaiting a future of another loop": supported (D10).
TEST_P(BetweenLoops, TA06AwaitOfATaskOfAnotherLoopGivesItsValue) {
  const auto future = future_on<int>(owner_);
  const auto task = owner_.start(value_of, future);
  const auto waiting = waiter_.start(value_of_task, task);
  waiter_.settle();
  owner_.settle();
  EXPECT_FALSE(waiting.done());
  owner_.call([&] { future.set_result(6); });
  waiter_.join(waiting);
  EXPECT_EQ(waiting.result(), 6);
}

TEST_P(BetweenLoops, TA06AwaitOfAFutureOfAnotherLoopGivesItsValue) {
  const auto future = future_on<int>(owner_);
  const auto waiting = waiter_.start(value_of, future);
  const auto at_home = owner_.start(value_of, future);
  waiter_.settle();
  owner_.call([&] { future.set_result(6); });
  waiter_.join(waiting);
  owner_.join(at_home);
  EXPECT_EQ(waiting.result(), 6);
  EXPECT_EQ(at_home.result(), 6);
}

TEST_P(BetweenLoops, TA06ItsExceptionArrivesToo) {
  const auto future = future_on<int>(owner_);
  const auto task = owner_.start(value_of, future);
  const auto waiting = waiter_.start(value_of_task, task);
  waiter_.settle();
  owner_.call([&] { future.set_exception(std::out_of_range("far away")); });
  waiter_.join(waiting);
  EXPECT_THROW((void)waiting.result(), std::out_of_range);
}

TEST_P(BetweenLoops, TA06AwaitOfADoneTaskOfAnotherLoopDoesNotWait) {
  const auto task = owner_.start([]() -> Coro<int> { co_return 7; });
  owner_.join(task);
  const Blocked blocked(owner_);  // so nobody there could answer
  const auto waiting = waiter_.start(value_of_task, task);
  waiter_.join(waiting);
  EXPECT_EQ(waiting.result(), 7);
}

TEST_P(BetweenLoops, ATaskThatEndsWhileTheLinkIsOnItsWayIsNotMissed) {
  const auto future = future_on<int>(owner_);
  const auto task = owner_.start(value_of, future);
  owner_.settle();
  Blocked blocked(owner_);
  owner_.handle().call_soon_threadsafe([&] { future.set_result(8); });  // before the link message
  const auto waiting = waiter_.start(value_of_task, task);
  waiter_.settle();
  blocked.release();
  waiter_.join(waiting);
  EXPECT_EQ(waiting.result(), 8);
}

TEST_P(BetweenLoops, AChainThatCrossesTwiceEnds) {
  const auto future = future_on<int>(owner_);
  const auto first = waiter_.start(value_of, future);
  const auto second = owner_.start(value_of_task, first);
  const auto third = waiter_.start(value_of_task, second);
  waiter_.settle();
  owner_.settle();
  owner_.call([&] { future.set_result(9); });
  waiter_.join(third);
  EXPECT_EQ(third.result(), 9);
}

TEST_P(BetweenLoops, CancelOfTheWaiterIsPassedOnToTheTaskAndWaitsForItsEnd) {
  const auto task = owner_.start(sleep_and_give, 1);
  const auto waiting = waiter_.start(value_of_task, task);
  waiter_.settle();
  owner_.settle();
  EXPECT_TRUE(waiting.cancel("from afar"));
  waiter_.join(waiting);
  EXPECT_TRUE(waiting.cancelled());
  EXPECT_TRUE(task.done());  // not before: the waiter stays linked until then
  EXPECT_TRUE(task.cancelled());
  EXPECT_EQ(message_of(task), "from afar");
  EXPECT_EQ(message_of(waiting), "from afar");
}

TEST_P(BetweenLoops, CancelOfTheWaiterByItsOwnLoopIsPassedOnToo) {
  const auto task = owner_.start(sleep_and_give, 1);
  const auto waiting = waiter_.start(value_of_task, task);
  waiter_.settle();
  waiter_.call([&] { EXPECT_TRUE(waiting.cancel("at home")); });
  waiter_.join(waiting);
  EXPECT_TRUE(waiting.cancelled());
  EXPECT_TRUE(task.cancelled());
  EXPECT_EQ(message_of(waiting), "at home");
}

TEST_P(BetweenLoops, CancelOfTheWaiterCancelsTheFuture) {
  const auto future = future_on<int>(owner_);
  const auto waiting = waiter_.start(value_of, future);
  waiter_.settle();
  owner_.settle();
  EXPECT_TRUE(waiting.cancel());
  waiter_.join(waiting);
  EXPECT_TRUE(waiting.cancelled());
  EXPECT_TRUE(future.cancelled());
}

TEST_P(BetweenLoops, ATaskThatRefusesGivesItsValueToTheCancelledWaiter) {
  const auto task = owner_.start([]() -> Coro<int> {
    try {
      co_await sleep(1h);
    } catch (const CancelledError&) {
    }
    co_return 10;
  });
  const auto waiting = waiter_.start(value_of_task, task);
  waiter_.settle();
  owner_.settle();
  EXPECT_TRUE(waiting.cancel());
  waiter_.join(waiting);
  EXPECT_EQ(waiting.result(), 10);
}

TEST_P(BetweenLoops, CancelWhileTheLinkIsOnItsWay) {
  const auto task = owner_.start(sleep_and_give, 1);
  owner_.settle();
  Blocked blocked(owner_);
  const auto waiting = waiter_.start(value_of_task, task);
  waiter_.settle();
  EXPECT_TRUE(waiting.cancel());
  waiter_.settle();
  EXPECT_FALSE(waiting.done());
  blocked.release();
  waiter_.join(waiting);
  EXPECT_TRUE(waiting.cancelled());
  EXPECT_TRUE(task.cancelled());
}

TEST_P(BetweenLoops, CancelOfTheAwaitedTaskReachesTheWaiter) {
  const auto task = owner_.start(sleep_and_give, 1);
  const auto waiting = waiter_.start(value_of_task, task);
  waiter_.settle();
  EXPECT_TRUE(task.cancel("the awaited one"));
  waiter_.join(waiting);
  EXPECT_TRUE(waiting.cancelled());
  EXPECT_EQ(waiting.cancelling(), 0u);
  EXPECT_EQ(message_of(waiting), "the awaited one");
}

// --- loops that close --------------------------------------------------------------------------

TEST_P(BetweenLoops, ALoopThatClosesAnswersTheWaitersOfItsPendingFutureWithARuntimeError) {
  const auto future = future_on<int>(owner_);
  const auto waiting = waiter_.start(value_of, future);
  waiter_.settle();
  owner_.settle();
  owner_.close();
  waiter_.join(waiting);
  EXPECT_FALSE(waiting.cancelled());
  EXPECT_THROW((void)waiting.result(), RuntimeError);
}

TEST_P(BetweenLoops, ALoopThatClosesAnswersTheWaitersOfItsPendingTaskWithCancelledError) {
  const auto task = owner_.start(sleep_and_give, 1);
  const auto waiting = waiter_.start(value_of_task, task);
  waiter_.settle();
  owner_.settle();
  owner_.close();
  waiter_.join(waiting);
  EXPECT_TRUE(task.cancelled());
  EXPECT_TRUE(waiting.cancelled());
}

TEST_P(BetweenLoops, ALoopThatClosesAnswersALinkThatWasOnItsWay) {
  const auto future = future_on<int>(owner_);
  const auto task = owner_.start(sleep_and_give, 1);
  owner_.settle();
  Blocked blocked(owner_);
  owner_.handle().call_soon_threadsafe([this] { owner_.loop().stop(); });
  const auto on_future = waiter_.start(value_of, future);
  const auto on_task = waiter_.start(value_of_task, task);
  waiter_.settle();
  blocked.release();
  owner_.close();
  waiter_.join(on_future);
  waiter_.join(on_task);
  EXPECT_THROW((void)on_future.result(), RuntimeError);
  EXPECT_TRUE(on_task.cancelled());
}

TEST_P(BetweenLoops, AwaitOfWhatBelongsToAClosedLoop) {
  const auto future = future_on<int>(owner_);
  const auto set = future_on<int>(owner_);
  owner_.call([&] { set.set_result(3); });
  const auto task = owner_.start(sleep_and_give, 1);
  owner_.settle();
  owner_.close();
  const auto on_future = waiter_.start(value_of, future);
  const auto on_set = waiter_.start(value_of, set);
  const auto on_task = waiter_.start(value_of_task, task);
  waiter_.join(on_future);
  waiter_.join(on_set);
  waiter_.join(on_task);
  EXPECT_THROW((void)on_future.result(), RuntimeError);
  EXPECT_EQ(on_set.result(), 3);
  EXPECT_TRUE(on_task.cancelled());
  EXPECT_FALSE(task.cancel());
}

TEST_P(BetweenLoops, CancelOfAWaiterWhoseAwaitedLoopClosesAtTheSameTime) {
  const auto task = owner_.start(sleep_and_give, 1);
  const auto waiting = waiter_.start(value_of_task, task);
  waiter_.settle();
  owner_.settle();
  std::thread canceller([&] { waiting.cancel(); });
  owner_.close();
  waiter_.join(waiting);
  canceller.join();
  EXPECT_TRUE(waiting.cancelled());
}

TEST_P(BetweenLoops, AWaiterWhoseOwnLoopClosesLetsGoOfTheFuture) {
  const auto future = future_on<int>(owner_);
  const auto waiting = waiter_.start(value_of, future);
  waiter_.settle();
  owner_.settle();
  waiter_.close();
  EXPECT_TRUE(waiting.done());
  EXPECT_TRUE(waiting.cancelled());
  owner_.call([&] {
    if (!future.done()) future.set_result(1);  // must not touch what is gone
  });
  owner_.settle();
}

TEST_P(BetweenLoops, AWaiterWhoseOwnLoopClosesLetsGoOfTheTask) {
  const auto future = future_on<int>(owner_);
  const auto task = owner_.start(value_of, future);
  const auto waiting = waiter_.start(value_of_task, task);
  waiter_.settle();
  owner_.settle();
  waiter_.close();
  EXPECT_TRUE(waiting.cancelled());
  owner_.call([&] {
    if (!future.done()) future.set_result(1);
  });
  owner_.join(task);
}

TEST_P(BetweenLoops, AWaiterThatIsHeldAbroadDoesNotKeepTheOtherTasksOfItsClosingLoopFromEnding) {
  const auto future = future_on<int>(owner_);
  const auto older = waiter_.start(sleep_and_give, 1);
  const auto waiting = waiter_.start(value_of, future);
  const auto newer = waiter_.start(sleep_and_give, 2);
  waiter_.settle();
  owner_.settle();
  waiter_.close();
  EXPECT_TRUE(newer.cancelled());
  EXPECT_TRUE(older.cancelled());
  owner_.call([&] {
    if (!future.done()) future.set_result(1);
  });
}

}  // namespace
