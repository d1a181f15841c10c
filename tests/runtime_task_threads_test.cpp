/// runtime_task_threads_test.cpp: tasks and futures between threads: cancelled from, awaited from and dropped on others.
///
/// Nothing here waits for time: who comes first is decided by latches and by the order of messages.

#include <rota/future.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>

#include "support/loop_thread.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <latch>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using rota::CancelledError;
using rota::Coro;
using rota::create_task;
using rota::EventLoop;
using rota::Future;
using rota::RuntimeError;
using rota::sleep;
using rota::Task;
using rota::testing_support::LoopThread;
using testing::HasSubstr;

Coro<> sleeper() { co_await sleep(1h); }
Coro<int> value_of(Future<int> future) { co_return co_await future; }
Coro<int> value_of_task(Task<int> task) { co_return co_await task; }
Coro<int> sleep_and_give(int number) {
  co_await sleep(1h);
  co_return number;
}

template <typename T>
std::string message_of(const Task<T>& task) {
  try {
    (void)task.result();
  } catch (const CancelledError& error) {
    return error.message();
  }
  return "(not cancelled)";
}

/// A future that belongs to the loop of `thread`.
Future<int> future_on(LoopThread& thread) {
  return thread.call([] {
    Future<int> future;
    future.remove_done_callback(future.add_done_callback([](const Future<int>&) {}));
    return future;
  });
}

/// Returns once what was ready on the loop has run.
void settle(LoopThread& thread) {
  thread.call([] {});
}

/// Keeps the loop of a thread busy from its making until release().
class Blocked {
 public:
  explicit Blocked(LoopThread& thread) {
    thread.handle().call_soon_threadsafe([state = state_] {
      state->running.count_down();
      state->go_on.wait();
    });
    state_->running.wait();
  }
  Blocked(const Blocked&) = delete;
  Blocked& operator=(const Blocked&) = delete;
  ~Blocked() { release(); }
  void release() {
    if (!std::exchange(released_, true)) state_->go_on.count_down();
  }

 private:
  struct State {
    std::latch running{1};
    std::latch go_on{1};
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
  bool released_ = false;
};

// --- cancel from another thread ----------------------------------------------------------------

TEST(TaskThreads, CancelBeforeTheFirstStepNeverRunsTheBody) {
  LoopThread thread;
  bool ran = false;
  const auto task = thread.call([&] {
    auto made = create_task([](bool& flag) -> Coro<> {
      flag = true;
      co_return;
    }(ran));
    std::thread([&] { EXPECT_TRUE(made.cancel("early")); }).join();
    EXPECT_EQ(made.cancelling(), 1u);
    return made;
  });
  thread.join(task);
  EXPECT_TRUE(task.cancelled());
  EXPECT_EQ(message_of(task), "early");
  EXPECT_FALSE(ran);
}

TEST(TaskThreads, CancelBeforeTheLoopRunsForTheFirstTime) {
  EventLoop loop;
  bool ran = false;
  auto task = loop.create_task([](bool& flag) -> Coro<> {
    flag = true;
    co_return;
  }(ran));
  std::thread([&] { EXPECT_TRUE(task.cancel("early")); }).join();
  EXPECT_THROW(loop.run_until_complete(task), CancelledError);
  EXPECT_FALSE(ran);
}

TEST(TaskThreads, CancelWhileItSleeps) {
  LoopThread thread;
  const auto task = thread.start(sleeper);
  settle(thread);
  EXPECT_TRUE(task.cancel("wake up"));
  thread.join(task);
  EXPECT_TRUE(task.cancelled());
  EXPECT_EQ(message_of(task), "wake up");
  thread.call([&] { EXPECT_TRUE(thread.loop().timers.empty()); });
}

TEST(TaskThreads, CancelWhileItWaitsOnAFutureCancelsTheFuture) {
  LoopThread thread;
  const auto future = future_on(thread);
  const auto task = thread.start(value_of, future);
  settle(thread);
  EXPECT_TRUE(task.cancel("stop"));
  thread.join(task);
  EXPECT_TRUE(future.cancelled());
  EXPECT_EQ(message_of(task), "stop");
}

TEST(TaskThreads, CancelWhileItWaitsOnATaskCancelsThatTask) {
  LoopThread thread;
  const auto inner = thread.start(sleep_and_give, 1);
  const auto outer = thread.start(value_of_task, inner);
  settle(thread);
  EXPECT_TRUE(outer.cancel("both"));
  thread.join(outer);
  EXPECT_TRUE(inner.cancelled());
  EXPECT_TRUE(outer.cancelled());
  EXPECT_EQ(message_of(inner), "both");
}

struct Meeting {
  std::latch running{1};
  std::latch cancelled{1};
};

// D22 "if the cancel lands from another thread after its last await, the task ends with its value."
TEST(TaskThreads, D22CancelWhileItRunsAndThenReturnsLeavesTheValue) {
  LoopThread thread;
  Meeting meeting;
  const auto task = thread.start([](Meeting* meet) -> Coro<int> {
    meet->running.count_down();
    meet->cancelled.wait();
    co_return 22;
  }, &meeting);
  meeting.running.wait();
  EXPECT_TRUE(task.cancel());
  meeting.cancelled.count_down();
  thread.join(task);
  EXPECT_FALSE(task.cancelled());
  EXPECT_EQ(task.result(), 22);
  EXPECT_EQ(task.cancelling(), 1u);
}

TEST(TaskThreads, CancelWhileItRunsIsThrownAtTheNextAwaitThatWaits) {
  LoopThread thread;
  Meeting meeting;
  const auto task = thread.start([](Meeting* meet) -> Coro<int> {
    meet->running.count_down();
    meet->cancelled.wait();
    int caught = 0;
    for (int i = 0; i < 3; ++i) {
      try {
        co_await sleep(i == 0 ? std::chrono::nanoseconds(1h) : 1us);
      } catch (const CancelledError& error) {
        EXPECT_EQ(error.message(), "running");
        EXPECT_EQ(i, 0);
        ++caught;
      }
    }
    co_return caught;
  }, &meeting);
  meeting.running.wait();
  EXPECT_TRUE(task.cancel("running"));
  meeting.cancelled.count_down();
  thread.join(task);
  EXPECT_EQ(task.result(), 1);
}

TEST(TaskThreads, CancelWhileItRunsIsThrownAtAYieldToo) {
  LoopThread thread;
  Meeting meeting;
  const auto task = thread.start([](Meeting* meet) -> Coro<> {
    meet->running.count_down();
    meet->cancelled.wait();
    co_await sleep(0s);
  }, &meeting);
  meeting.running.wait();
  EXPECT_TRUE(task.cancel());
  meeting.cancelled.count_down();
  thread.join(task);
  EXPECT_TRUE(task.cancelled());
}

TEST(TaskThreads, CancelWhileItRunsReachesTheTaskThatItThenAwaits) {
  LoopThread thread;
  Meeting meeting;
  const auto inner = thread.start(sleep_and_give, 1);
  const auto task = thread.start([](Meeting* meet, Task<int> target) -> Coro<int> {
    meet->running.count_down();
    meet->cancelled.wait();
    co_return co_await target;
  }, &meeting, inner);
  meeting.running.wait();
  EXPECT_TRUE(task.cancel("passed on"));
  meeting.cancelled.count_down();
  thread.join(task);
  EXPECT_TRUE(task.cancelled());
  EXPECT_TRUE(inner.cancelled());
  EXPECT_EQ(message_of(inner), "passed on");
}

TEST(TaskThreads, CancelAfterTheEndReturnsFalse) {
  LoopThread thread;
  const auto task = thread.start([]() -> Coro<int> { co_return 1; });
  thread.join(task);
  EXPECT_FALSE(task.cancel());
  EXPECT_FALSE(task.cancel("text"));
  EXPECT_EQ(task.cancelling(), 0u);
  EXPECT_EQ(task.result(), 1);
}

TEST(TaskThreads, EveryCancelOfEveryThreadIsCounted) {
  LoopThread thread;
  const auto future = future_on(thread);
  const auto task = thread.start([](Future<int> target) -> Coro<> {
    try {
      co_await target;
    } catch (const CancelledError&) {
    }
    const std::uint64_t before = rota::current_task().cancelling();
    EXPECT_GE(before, 1u);
    for (bool again = true; again;) {
      try {
        co_await sleep(1us);
        again = rota::current_task().cancelling() < 1000;
      } catch (const CancelledError&) {
      }
    }
  }, future);
  settle(thread);
  std::vector<std::thread> cancellers;
  for (int i = 0; i < 4; ++i) {
    cancellers.emplace_back([&] {
      for (int k = 0; k < 250; ++k) EXPECT_TRUE(task.cancel(std::to_string(k)));
    });
  }
  for (auto& canceller : cancellers) canceller.join();
  EXPECT_EQ(task.cancelling(), 1000u);
  thread.join(task);
  EXPECT_FALSE(task.cancelled());
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
  const auto future = future_on(owner_);
  const auto task = owner_.start(value_of, future);
  const auto waiting = waiter_.start(value_of_task, task);
  settle(waiter_);
  settle(owner_);
  EXPECT_FALSE(waiting.done());
  owner_.call([&] { future.set_result(6); });
  waiter_.join(waiting);
  EXPECT_EQ(waiting.result(), 6);
}

TEST_P(BetweenLoops, TA06AwaitOfAFutureOfAnotherLoopGivesItsValue) {
  const auto future = future_on(owner_);
  const auto waiting = waiter_.start(value_of, future);
  const auto at_home = owner_.start(value_of, future);
  settle(waiter_);
  owner_.call([&] { future.set_result(6); });
  waiter_.join(waiting);
  owner_.join(at_home);
  EXPECT_EQ(waiting.result(), 6);
  EXPECT_EQ(at_home.result(), 6);
}

TEST_P(BetweenLoops, TA06ItsExceptionArrivesToo) {
  const auto future = future_on(owner_);
  const auto task = owner_.start(value_of, future);
  const auto waiting = waiter_.start(value_of_task, task);
  settle(waiter_);
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
  const auto future = future_on(owner_);
  const auto task = owner_.start(value_of, future);
  settle(owner_);
  Blocked blocked(owner_);
  owner_.handle().call_soon_threadsafe([&] { future.set_result(8); });  // before the link message
  const auto waiting = waiter_.start(value_of_task, task);
  settle(waiter_);
  blocked.release();
  waiter_.join(waiting);
  EXPECT_EQ(waiting.result(), 8);
}

TEST_P(BetweenLoops, AChainThatCrossesTwiceEnds) {
  const auto future = future_on(owner_);
  const auto first = waiter_.start(value_of, future);
  const auto second = owner_.start(value_of_task, first);
  const auto third = waiter_.start(value_of_task, second);
  settle(waiter_);
  settle(owner_);
  owner_.call([&] { future.set_result(9); });
  waiter_.join(third);
  EXPECT_EQ(third.result(), 9);
}

TEST_P(BetweenLoops, CancelOfTheWaiterIsPassedOnToTheTaskAndWaitsForItsEnd) {
  const auto task = owner_.start(sleep_and_give, 1);
  const auto waiting = waiter_.start(value_of_task, task);
  settle(waiter_);
  settle(owner_);
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
  settle(waiter_);
  waiter_.call([&] { EXPECT_TRUE(waiting.cancel("at home")); });
  waiter_.join(waiting);
  EXPECT_TRUE(waiting.cancelled());
  EXPECT_TRUE(task.cancelled());
  EXPECT_EQ(message_of(waiting), "at home");
}

TEST_P(BetweenLoops, CancelOfTheWaiterCancelsTheFuture) {
  const auto future = future_on(owner_);
  const auto waiting = waiter_.start(value_of, future);
  settle(waiter_);
  settle(owner_);
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
  settle(waiter_);
  settle(owner_);
  EXPECT_TRUE(waiting.cancel());
  waiter_.join(waiting);
  EXPECT_EQ(waiting.result(), 10);
}

TEST_P(BetweenLoops, CancelWhileTheLinkIsOnItsWay) {
  const auto task = owner_.start(sleep_and_give, 1);
  settle(owner_);
  Blocked blocked(owner_);
  const auto waiting = waiter_.start(value_of_task, task);
  settle(waiter_);
  EXPECT_TRUE(waiting.cancel());
  settle(waiter_);
  EXPECT_FALSE(waiting.done());
  blocked.release();
  waiter_.join(waiting);
  EXPECT_TRUE(waiting.cancelled());
  EXPECT_TRUE(task.cancelled());
}

TEST_P(BetweenLoops, CancelOfTheAwaitedTaskReachesTheWaiter) {
  const auto task = owner_.start(sleep_and_give, 1);
  const auto waiting = waiter_.start(value_of_task, task);
  settle(waiter_);
  EXPECT_TRUE(task.cancel("the awaited one"));
  waiter_.join(waiting);
  EXPECT_TRUE(waiting.cancelled());
  EXPECT_EQ(waiting.cancelling(), 0u);
  EXPECT_EQ(message_of(waiting), "the awaited one");
}

// --- loops that close --------------------------------------------------------------------------

TEST_P(BetweenLoops, ALoopThatClosesAnswersTheWaitersOfItsPendingFutureWithARuntimeError) {
  const auto future = future_on(owner_);
  const auto waiting = waiter_.start(value_of, future);
  settle(waiter_);
  settle(owner_);
  owner_.close();
  waiter_.join(waiting);
  EXPECT_FALSE(waiting.cancelled());
  EXPECT_THROW((void)waiting.result(), RuntimeError);
}

TEST_P(BetweenLoops, ALoopThatClosesAnswersTheWaitersOfItsPendingTaskWithCancelledError) {
  const auto task = owner_.start(sleep_and_give, 1);
  const auto waiting = waiter_.start(value_of_task, task);
  settle(waiter_);
  settle(owner_);
  owner_.close();
  waiter_.join(waiting);
  EXPECT_TRUE(task.cancelled());
  EXPECT_TRUE(waiting.cancelled());
}

TEST_P(BetweenLoops, ALoopThatClosesAnswersALinkThatWasOnItsWay) {
  const auto future = future_on(owner_);
  const auto task = owner_.start(sleep_and_give, 1);
  settle(owner_);
  Blocked blocked(owner_);
  owner_.handle().call_soon_threadsafe([this] { owner_.loop().stop(); });
  const auto on_future = waiter_.start(value_of, future);
  const auto on_task = waiter_.start(value_of_task, task);
  settle(waiter_);
  blocked.release();
  owner_.close();
  waiter_.join(on_future);
  waiter_.join(on_task);
  EXPECT_THROW((void)on_future.result(), RuntimeError);
  EXPECT_TRUE(on_task.cancelled());
}

TEST_P(BetweenLoops, AwaitOfWhatBelongsToAClosedLoop) {
  const auto future = future_on(owner_);
  const auto set = future_on(owner_);
  owner_.call([&] { set.set_result(3); });
  const auto task = owner_.start(sleep_and_give, 1);
  settle(owner_);
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
  settle(waiter_);
  settle(owner_);
  std::thread canceller([&] { waiting.cancel(); });
  owner_.close();
  waiter_.join(waiting);
  canceller.join();
  EXPECT_TRUE(waiting.cancelled());
}

TEST_P(BetweenLoops, AWaiterWhoseOwnLoopClosesLetsGoOfTheFuture) {
  const auto future = future_on(owner_);
  const auto waiting = waiter_.start(value_of, future);
  settle(waiter_);
  settle(owner_);
  waiter_.close();
  EXPECT_TRUE(waiting.done());
  EXPECT_TRUE(waiting.cancelled());
  owner_.call([&] {
    if (!future.done()) future.set_result(1);  // must not touch what is gone
  });
  settle(owner_);
}

TEST_P(BetweenLoops, AWaiterWhoseOwnLoopClosesLetsGoOfTheTask) {
  const auto future = future_on(owner_);
  const auto task = owner_.start(value_of, future);
  const auto waiting = waiter_.start(value_of_task, task);
  settle(waiter_);
  settle(owner_);
  waiter_.close();
  EXPECT_TRUE(waiting.cancelled());
  owner_.call([&] {
    if (!future.done()) future.set_result(1);
  });
  owner_.join(task);
}

TEST_P(BetweenLoops, AWaiterThatIsHeldAbroadDoesNotKeepTheOtherTasksOfItsClosingLoopFromEnding) {
  const auto future = future_on(owner_);
  const auto older = waiter_.start(sleep_and_give, 1);
  const auto waiting = waiter_.start(value_of, future);
  const auto newer = waiter_.start(sleep_and_give, 2);
  settle(waiter_);
  settle(owner_);
  waiter_.close();
  EXPECT_TRUE(newer.cancelled());
  EXPECT_TRUE(older.cancelled());
  owner_.call([&] {
    if (!future.done()) future.set_result(1);
  });
}

// --- references --------------------------------------------------------------------------------

struct OnThread {
  explicit OnThread(std::thread::id& destroyed_on) : where(&destroyed_on) {}
  OnThread(OnThread&& other) noexcept : where(std::exchange(other.where, nullptr)) {}
  OnThread& operator=(OnThread&&) = delete;
  ~OnThread() {
    if (where != nullptr) *where = std::this_thread::get_id();
  }
  std::thread::id* where;
};

// TA40 "Destroying a task on another thread than its loop's is safe."
TEST(TaskThreads, TA40TheLastHandleMayBeDroppedOnAnyThread) {
  LoopThread thread;
  std::thread::id destroyed_on;
  auto task = thread.start([](std::thread::id* id) -> Coro<OnThread> { co_return OnThread(*id); }, &destroyed_on);
  thread.join(task);
  settle(thread);
  EXPECT_EQ(destroyed_on, std::thread::id());
  task = {};
  EXPECT_EQ(destroyed_on, std::this_thread::get_id());
}

TEST(TaskThreads, TA40HandlesMayBeDroppedWhileItRunsAndAfterItsLoopClosed) {
  Task<int> kept;
  {
    LoopThread thread;
    kept = thread.start([]() -> Coro<int> { co_return 40; });
    for (int i = 0; i < 100; ++i) thread.start(sleeper);
    thread.join(kept);
  }
  EXPECT_EQ(kept.result(), 40);
  const Task<int> copy = kept;
  kept = {};
  EXPECT_EQ(copy.result(), 40);
  EXPECT_FALSE(copy.cancel());
}

TEST(TaskThreads, TheArgumentsAndLocalsOfATaskAreDestroyedOnItsLoop) {
  LoopThread thread;
  std::thread::id destroyed_on;
  const auto task = thread.call([&] {
    return create_task([](OnThread) -> Coro<> { co_await sleep(1h); }(OnThread(destroyed_on)));
  });
  task.cancel();
  thread.join(task);
  EXPECT_EQ(destroyed_on, thread.call([] { return std::this_thread::get_id(); }));
}

// TA28 on another thread: the report goes to the loop, whose handler need not be thread-safe.
TEST(TaskThreads, TA28AnUnretrievedExceptionIsReportedOnTheLoopsThread) {
  LoopThread thread;
  std::string report;
  std::thread::id reported_on;
  thread.call([&] {
    thread.loop().set_exception_handler([&](EventLoop&, const rota::ExceptionContext& context) {
      report = context.message;
      reported_on = std::this_thread::get_id();
    });
  });
  auto task = thread.start([]() -> Coro<int> {
    throw std::runtime_error("unseen");
    co_return 1;
  });
  thread.join(task);
  settle(thread);
  task = {};
  settle(thread);
  EXPECT_THAT(report, HasSubstr("never retrieved"));
  EXPECT_EQ(reported_on, thread.call([] { return std::this_thread::get_id(); }));
}

TEST(TaskThreads, DoneCancelledResultAndExceptionMayBeAskedFromAnyThread) {
  LoopThread thread;
  const auto task = thread.start([]() -> Coro<std::string> {
    for (int i = 0; i < 100; ++i) co_await sleep(0s);
    co_return "published";
  });
  while (!task.done()) {
    EXPECT_FALSE(task.cancelled());
    std::this_thread::yield();
  }
  EXPECT_EQ(task.result(), "published");  // written before done() was seen
  EXPECT_EQ(task.exception(), nullptr);
}

TEST(TaskThreads, CreateTaskOnARunningLoopFromAnotherThreadIsARuntimeError) {
  LoopThread thread;
  bool destroyed = false;
  auto guard = std::shared_ptr<void>(nullptr, [&](void*) { destroyed = true; });
  settle(thread);
  EXPECT_THROW(thread.loop().create_task([](std::shared_ptr<void>) -> Coro<> { co_return; }(std::move(guard))),
               RuntimeError);
  EXPECT_TRUE(destroyed);
}

TEST(TaskThreads, AFutureOfALoopCannotBeSetFromAPlainThread) {
  LoopThread thread;
  const auto future = future_on(thread);
  EXPECT_THROW(future.set_result(1), RuntimeError);
  EXPECT_THROW(future.cancel(), RuntimeError);
  EXPECT_FALSE(future.done());
}

}  // namespace
