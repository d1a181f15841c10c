/// runtime_task_threads_test.cpp: tasks and futures between threads: cancelled from, awaited from
/// and dropped on others.
///
/// Nothing here waits for time: who comes first is decided by latches and by the order of messages.

#include <rota/future.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>

#include "support/loop_thread.hpp"
#include "support/outcome.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
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
using rota::testing_support::future_on;
using rota::testing_support::LoopThread;
using rota::testing_support::message_of;
using testing::HasSubstr;

Coro<> sleeper() { co_await sleep(1h); }
Coro<int> value_of(Future<int> future) { co_return co_await future; }
Coro<int> value_of_task(Task<int> task) { co_return co_await task; }
Coro<int> sleep_and_give(int number) {
  co_await sleep(1h);
  co_return number;
}

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
  thread.settle();
  EXPECT_TRUE(task.cancel("wake up"));
  thread.join(task);
  EXPECT_TRUE(task.cancelled());
  EXPECT_EQ(message_of(task), "wake up");
  thread.call([&] { EXPECT_TRUE(thread.loop().timers.empty()); });
}

TEST(TaskThreads, CancelWhileItWaitsOnAFutureCancelsTheFuture) {
  LoopThread thread;
  const auto future = future_on<int>(thread);
  const auto task = thread.start(value_of, future);
  thread.settle();
  EXPECT_TRUE(task.cancel("stop"));
  thread.join(task);
  EXPECT_TRUE(future.cancelled());
  EXPECT_EQ(message_of(task), "stop");
}

TEST(TaskThreads, CancelWhileItWaitsOnATaskCancelsThatTask) {
  LoopThread thread;
  const auto inner = thread.start(sleep_and_give, 1);
  const auto outer = thread.start(value_of_task, inner);
  thread.settle();
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
  const auto task = thread.start(
      [](Meeting* meet) -> Coro<int> {
        meet->running.count_down();
        meet->cancelled.wait();
        co_return 22;
      },
      &meeting);
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
  const auto task = thread.start(
      [](Meeting* meet) -> Coro<int> {
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
      },
      &meeting);
  meeting.running.wait();
  EXPECT_TRUE(task.cancel("running"));
  meeting.cancelled.count_down();
  thread.join(task);
  EXPECT_EQ(task.result(), 1);
}

TEST(TaskThreads, CancelWhileItRunsIsThrownAtAYieldToo) {
  LoopThread thread;
  Meeting meeting;
  const auto task = thread.start(
      [](Meeting* meet) -> Coro<> {
        meet->running.count_down();
        meet->cancelled.wait();
        co_await sleep(0s);
      },
      &meeting);
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
  const auto task = thread.start(
      [](Meeting* meet, Task<int> target) -> Coro<int> {
        meet->running.count_down();
        meet->cancelled.wait();
        co_return co_await target;
      },
      &meeting, inner);
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
  const auto future = future_on<int>(thread);
  const auto task = thread.start(
      [](Future<int> target) -> Coro<> {
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
      },
      future);
  thread.settle();
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
  auto task = thread.start([](std::thread::id* id) -> Coro<OnThread> { co_return OnThread(*id); },
                           &destroyed_on);
  thread.join(task);
  thread.settle();
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
  thread.settle();
  task = {};
  thread.settle();
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
  thread.settle();
  EXPECT_THROW(thread.loop().create_task(
                   [](std::shared_ptr<void>) -> Coro<> { co_return; }(std::move(guard))),
               RuntimeError);
  EXPECT_TRUE(destroyed);
}

TEST(TaskThreads, AFutureOfALoopCannotBeSetFromAPlainThread) {
  LoopThread thread;
  const auto future = future_on<int>(thread);
  EXPECT_THROW(future.set_result(1), RuntimeError);
  EXPECT_THROW(future.cancel(), RuntimeError);
  EXPECT_FALSE(future.done());
}

}  // namespace
