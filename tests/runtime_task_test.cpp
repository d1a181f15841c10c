/// runtime_task_test.cpp: Task: how it starts, ends, is named, found, awaited and dropped.
///
/// The statements quoted are asyncio's, by their numbers in the catalogue of behaviours.
/// Cancellation: runtime_task_cancel_test.cpp; contexts: runtime_task_context_test.cpp; threads:
/// runtime_task_threads_test.cpp.

#include <rota/future.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>

#include "support/outcome.hpp"
#include "support/test_loop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using rota::Coro;
using rota::create_task;
using rota::Future;
using rota::InvalidStateError;
using rota::RuntimeError;
using rota::sleep;
using rota::Task;
using rota::testing_support::Flag;
using rota::testing_support::Order;
using rota::testing_support::TestLoop;
using testing::ElementsAre;

Coro<> say(Order& order, std::string what) {
  order.add(what);
  co_return;
}
Coro<int> value(int number) { co_return number; }
Coro<int> value_after(std::chrono::nanoseconds delay, int number) {
  co_await sleep(delay);
  co_return number;
}
Coro<int> fail(std::string text) {
  throw std::runtime_error(text);
  co_return 0;
}

// --- start and end ----------------------------------------------------------------------------

// TA01 "create_task schedules the first step (does not run it inline) unless eager."
TEST(Task, TA01CreateTaskSchedulesTheFirstStepAndDoesNotRunItInline) {
  TestLoop loop;
  Order order;
  loop.run([](Order& out) -> Coro<> {
    auto task = create_task(say(out, "child"));
    out.add("created");
    EXPECT_FALSE(task.done());
    co_await task;
    out.add("awaited");
  }(order));
  EXPECT_EQ(order.text(), "created child awaited");
}

TEST(Task, TA01FirstStepsRunInTheOrderOfCreationInTheNextStep) {
  TestLoop loop;
  Order order;
  loop->call_soon([&] {
    order.add("callback");
    loop->create_task(say(order, "c"));
  });
  loop->create_task(say(order, "a"));
  loop->create_task(say(order, "b"));
  loop.run_steps(1);
  EXPECT_EQ(order.text(), "callback a b");
  loop.run_steps(1);
  EXPECT_EQ(order.text(), "callback a b c");
}

// TA02 "Result/exception of the body become the task's."
TEST(Task, TA02TheResultOfTheBodyBecomesTheTasks) {
  TestLoop loop;
  auto task = loop->create_task(value(7));
  EXPECT_EQ(loop.run(task), 7);
  EXPECT_TRUE(task.done());
  EXPECT_FALSE(task.cancelled());
  EXPECT_EQ(task.result(), 7);
  EXPECT_EQ(task.exception(), nullptr);
}

TEST(Task, TA02TheExceptionOfTheBodyBecomesTheTasks) {
  TestLoop loop;
  auto task = loop->create_task(fail("broken"));
  EXPECT_THROW(loop.run(task), std::runtime_error);
  EXPECT_TRUE(task.done());
  EXPECT_FALSE(task.cancelled());
  EXPECT_THROW((void)task.result(), std::runtime_error);
  EXPECT_THROW(std::rethrow_exception(task.exception()), std::runtime_error);
}

TEST(Task, TA02BeforeTheEndResultAndExceptionAreInvalidStateErrors) {
  TestLoop loop;
  auto task = loop->create_task(value(7));
  EXPECT_THROW((void)task.result(), InvalidStateError);
  EXPECT_THROW((void)task.take_result(), InvalidStateError);
  EXPECT_THROW((void)task.exception(), InvalidStateError);
  EXPECT_EQ(loop.run(task), 7);
}

template <typename T>
concept CanBeSet = requires(T object) { object.set_result(1); } ||
                   requires(T object) { object.set_exception(std::runtime_error("")); };

// TA03 "set_result/set_exception on a task -> RuntimeError": here they are not in the type.
TEST(Task, TA03HasNoSetters) {
  EXPECT_FALSE(CanBeSet<Task<int>>);
  EXPECT_TRUE(CanBeSet<Future<int>>);
}

// --- names ------------------------------------------------------------------------------------

// TA04 "Default names are "Task-N", N strictly rising process-wide; explicit name kept, set_name
// works later."
TEST(Task, TA04DefaultNamesAreNumberedAndRising) {
  TestLoop loop;
  auto first = loop->create_task(value(1));
  auto second = loop->create_task(value(2));
  EXPECT_EQ(first.name(), "Task-" + std::to_string(first.id()));
  EXPECT_EQ(second.name(), "Task-" + std::to_string(second.id()));
  EXPECT_LT(first.id(), second.id());
  loop.run_until_idle();
  EXPECT_EQ(first.name(), "Task-" + std::to_string(first.id()));
}

TEST(Task, TA04NumbersAreNeverUsedTwiceOnAnotherLoopEither) {
  std::vector<std::uint64_t> ids;
  for (int i = 0; i < 3; ++i) {
    TestLoop loop;
    for (int k = 0; k < 3; ++k) ids.push_back(loop->create_task(value(k)).id());
    loop.run_until_idle();
  }
  auto sorted = ids;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_EQ(std::adjacent_find(sorted.begin(), sorted.end()), sorted.end());
}

TEST(Task, TA04AnExplicitNameIsKeptAndMayBeChangedLater) {
  TestLoop loop;
  std::string name = "worker";
  auto task = loop->create_task(value(1), rota::TaskOptions(name));
  name = "overwritten, so that the task needs a copy of its own";
  EXPECT_EQ(task.name(), "worker");
  task.set_name("renamed");
  EXPECT_EQ(task.name(), "renamed");
  loop.run(task);
  EXPECT_EQ(task.name(), "renamed");
}

// --- awaiting ---------------------------------------------------------------------------------

// TA05 "Awaiting itself -> RuntimeError in the task."
TEST(Task, TA05AwaitingItselfIsARuntimeErrorInTheTask) {
  TestLoop loop;
  Task<> self;
  self = loop->create_task([](Task<>& task) -> Coro<> { co_await task; }(self));
  EXPECT_THROW(loop.run(self), RuntimeError);
  EXPECT_FALSE(self.cancelled());
  loop.run([](Task<>& task) -> Coro<> {
    EXPECT_TRUE(task.done());
    co_return;
  }(self));
}

// TA41 "Awaiting a finished task many times gives the same result/exception."
TEST(Task, TA41AwaitingAFinishedTaskManyTimesGivesTheSame) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    const Task<std::string> task = create_task([]() -> Coro<std::string> { co_return "same"; }());
    const std::string* first = nullptr;
    for (int i = 0; i < 3; ++i) {
      const std::string& result = co_await task;
      if (first == nullptr) first = &result;
      EXPECT_EQ(&result, first);
      EXPECT_EQ(result, "same");
    }
    const Task<int> failed = create_task(fail("each time"));
    for (int i = 0; i < 3; ++i) {
      try {
        co_await failed;
        ADD_FAILURE() << "no exception";
      } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "each time");
      }
    }
  }());
}

TEST(Task, AnLvalueAwaitGivesAReferenceAndAnRvalueAwaitMovesTheValueOut) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    auto make = []() -> Coro<std::unique_ptr<int>> { co_return std::make_unique<int>(3); };
    Task<std::unique_ptr<int>> task = create_task(make());
    static_assert(std::is_same_v<rota::AwaitResult<Task<std::unique_ptr<int>>&>,
                                 const std::unique_ptr<int>&>);
    static_assert(
        std::is_same_v<rota::AwaitResult<Task<std::unique_ptr<int>>>, std::unique_ptr<int>>);
    EXPECT_EQ(*(co_await task), 3);
    const std::unique_ptr<int> taken = co_await std::move(task);
    EXPECT_EQ(*taken, 3);
    EXPECT_EQ(*co_await create_task(make()), 3);
  }());
}

TEST(Task, AwaitingADoneTaskDoesNotSuspend) {
  TestLoop loop;
  Order order;
  auto done = loop->create_task(value(1));
  loop.run_until_idle();
  loop->create_task([](Task<int>& task, Order& out) -> Coro<> {
    out.add("before");
    co_await task;
    out.add("after");
  }(done, order));
  loop->call_soon(order.adder("other"));
  loop.run_steps(1);
  EXPECT_EQ(order.text(), "before after other");
}

TEST(Task, WaitersAreWokenInTheOrderTheyCameInTheStepAfterTheEnd) {
  TestLoop loop;
  Order order;
  auto task = loop->create_task(value_after(1s, 1));
  for (const char* name : {"a", "b", "c"}) {
    loop->create_task([](Task<int> target, Order& out, std::string who) -> Coro<> {
      co_await target;
      out.add(who);
    }(task, order, name));
  }
  loop.call([&] { task.add_done_callback([&](const Task<int>&) { order.add("callback"); }); });
  loop.advance(2s);
  EXPECT_EQ(order.text(), "a b c callback");
}

TEST(Task, EveryAwaitableMayBecomeATask) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    EXPECT_EQ(co_await create_task(sleep(1s, 5)), 5);
    const Future<int> future;
    auto task = create_task(future);
    future.set_result(6);
    EXPECT_EQ(co_await task, 6);
  }());
  EXPECT_EQ(loop.now(), 1s);
}

TEST(Task, ACallableWithItsCapturesAndArgumentsMayBecomeATask) {
  TestLoop loop;
  const int result = loop.run([]() -> Coro<int> {
    auto text = std::make_unique<std::string>("captured");
    // NOLINTNEXTLINE(cppcoreguidelines-avoid-capturing-lambda-coroutines): the task keeps the
    // closure
    auto task = create_task(
        [text = std::move(text)](int number) -> Coro<int> {
          co_await sleep(1s);
          co_return static_cast<int>(text->size()) + number;
        },
        100);
    co_return co_await task;
  }());
  EXPECT_EQ(result, 108);
}

// --- which task, which tasks --------------------------------------------------------------------

// TA25 "current_task() is the running task, none outside; per loop, correct with interleaving."
TEST(Task, TA25CurrentTaskIsTheRunningTaskAlsoWithInterleaving) {
  TestLoop loop;
  auto check = [](Task<>& self) -> Coro<> {
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(rota::current_task().base(), self.base());
      co_await sleep(0s);
    }
    co_await [](Task<>& outer) -> Coro<> {
      EXPECT_EQ(rota::current_task().base(), outer.base());
      co_return;
    }(self);
  };
  Task<> first;
  Task<> second;
  first = loop->create_task(check(first));
  second = loop->create_task(check(second));
  loop.run(first);
  loop.run(second);
}

TEST(Task, TA25ThereIsNoCurrentTaskOutsideOfOne) {
  TestLoop loop;
  EXPECT_THROW(rota::current_task(), RuntimeError);
  bool threw = false;
  loop->call_soon([&] {
    try {
      rota::current_task();
    } catch (const RuntimeError&) {
      threw = true;
    }
  });
  loop.run(value(1));
  EXPECT_TRUE(threw);
  EXPECT_THROW(rota::current_task(), RuntimeError);
}

// TA26 "all_tasks() lists not-done tasks of the given loop only."
TEST(Task, TA26AllTasksListsTheTasksOfThisLoopThatAreNotDone) {
  TestLoop other;
  auto foreign = other->create_task(value(1));
  TestLoop loop;
  loop.run([]() -> Coro<> {
    auto named = [](const std::vector<rota::detail::TaskHandle>& tasks) {
      std::vector<std::string> names;
      for (const auto& task : tasks) names.push_back(task.name());
      return names;
    };
    rota::current_task().set_name("main");
    auto done = create_task(value(1), rota::TaskOptions("done"));
    auto waiting = create_task(value_after(1s, 2), rota::TaskOptions("waiting"));
    EXPECT_THAT(named(rota::all_tasks()), testing::UnorderedElementsAre("main", "done", "waiting"));
    co_await done;
    EXPECT_THAT(named(rota::all_tasks()), testing::UnorderedElementsAre("main", "waiting"));
    co_await waiting;
    EXPECT_THAT(named(rota::all_tasks()), ElementsAre("main"));
  }());
  other.run(foreign);
}

// --- where tasks may not be made ---------------------------------------------------------------

// TA32 "Creating a task on a closed loop raises and destroys the coroutine."
TEST(Task, TA32CreateTaskOnAClosedLoopThrowsAndDestroysTheCoroutine) {
  TestLoop loop;
  loop->close();
  bool destroyed = false;
  bool ran = false;
  try {
    loop->create_task([](bool& flag, Flag) -> Coro<> {
      flag = true;
      co_return;
    }(ran, Flag(destroyed)));
    FAIL() << "no exception";
  } catch (const RuntimeError& error) {
    EXPECT_STREQ(error.what(), "Event loop is closed");
  }
  EXPECT_TRUE(destroyed);
  EXPECT_FALSE(ran);
}

TEST(Task, TA32TheFreeCreateTaskOutsideALoopThrowsAndDestroysTheCoroutine) {
  bool destroyed = false;
  EXPECT_THROW(create_task([](Flag) -> Coro<> { co_return; }(Flag(destroyed))), RuntimeError);
  EXPECT_TRUE(destroyed);
}

template <typename T>
concept CanBecomeATask = requires(T object) { create_task(std::move(object)); };

// TA33 "create_task of a non-coroutine is rejected": at compile time.
TEST(Task, TA33CreateTaskOfWhatCannotBeAwaitedDoesNotCompile) {
  EXPECT_FALSE(CanBecomeATask<int>);
  EXPECT_FALSE(CanBecomeATask<std::string>);
  EXPECT_FALSE(CanBecomeATask<decltype([] { return 1; })>);
  EXPECT_TRUE(CanBecomeATask<Coro<int>>);
}

// TA38 "If the loop is stopped before the main future is done, run_until_complete raises and the
// task can be resumed by a later run."
TEST(Task, TA38ATaskThatWasInterruptedByStopGoesOnInALaterRun) {
  TestLoop loop;
  auto task = loop->create_task(value_after(10s, 4));
  loop->call_later(1s, [&] { loop->stop(); });
  EXPECT_THROW(loop.run(task), RuntimeError);
  EXPECT_FALSE(task.done());
  EXPECT_EQ(loop.run(task), 4);
  EXPECT_EQ(loop.now(), 10s);
}

// --- done callbacks ----------------------------------------------------------------------------

TEST(Task, DoneCallbacksRunThroughCallSoonInTheOrderAdded) {
  TestLoop loop;
  Order order;
  Task<> task;
  loop.call([&] {
    task = create_task(say(order, "body"));
    task.add_done_callback([&](const Task<>& done) {
      EXPECT_EQ(done, task);
      order.add("first");
    });
    const auto removed = task.add_done_callback([&](const Task<>&) { order.add("removed"); });
    task.add_done_callback([&](const Task<>&) { order.add("second"); });
    EXPECT_TRUE(task.remove_done_callback(removed));
    EXPECT_FALSE(task.remove_done_callback(removed));
  });
  loop.run_steps(1);
  EXPECT_EQ(order.text(), "body");
  loop.run_steps(1);
  EXPECT_EQ(order.text(), "body first second");
  loop.call([&] {
    task.add_done_callback([&](const Task<>&) { order.add("late"); });
    EXPECT_EQ(order.text(), "body first second");
  });
  loop.run_steps(1);
  EXPECT_EQ(order.text(), "body first second late");
}

}  // namespace
