/// runtime_task_cancel_test.cpp: cancellation of a task on its own loop: counted, delivered at an
/// await, once.
///
/// Taking cancels back: runtime_task_uncancel_test.cpp. The statements quoted are asyncio's, by
/// their numbers in the catalogue of behaviours; D.. are rota's decisions.

#include <rota/future.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>

#include "support/outcome.hpp"
#include "support/test_loop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <stdexcept>
#include <string>

namespace {

using namespace std::chrono_literals;
using rota::CancelledError;
using rota::Coro;
using rota::create_task;
using rota::current_task;
using rota::Future;
using rota::sleep;
using rota::Task;
using rota::testing_support::Flag;
using rota::testing_support::message_of;
using rota::testing_support::Order;
using rota::testing_support::TestLoop;

Coro<int> value_of(Future<int> future) { co_return co_await future; }
Coro<> sleeper(std::chrono::nanoseconds delay) { co_await sleep(delay); }

/// Takes `rounds` yields; writes "c" for each that throws CancelledError, "." for each that does
/// not.
Coro<> record_yields(Order& order, int rounds) {
  for (int i = 0; i < rounds; ++i) {
    try {
      co_await sleep(0s);
      order.add(".");
    } catch (const CancelledError&) {
      order.add("c");
    }
  }
}

// --- cancel() and the count --------------------------------------------------------------------

// TA07 "cancel() on a done task returns false; on a live one returns true, also when repeated."
TEST(TaskCancel, TA07CancelSaysWhetherTheTaskWasAlive) {
  TestLoop loop;
  auto task = loop->create_task(sleeper(1h));
  EXPECT_TRUE(task.cancel());
  EXPECT_TRUE(task.cancel());
  loop.run_until_idle();
  EXPECT_TRUE(task.done());
  EXPECT_FALSE(task.cancel());
  EXPECT_FALSE(task.cancel("too late"));
}

// TA08 "Each cancel() increments cancelling()."
TEST(TaskCancel, TA08EachCancelIncrementsCancelling) {
  TestLoop loop;
  auto task = loop->create_task(sleeper(1h));
  EXPECT_EQ(task.cancelling(), 0u);
  task.cancel();
  EXPECT_EQ(task.cancelling(), 1u);
  task.cancel();
  EXPECT_EQ(task.cancelling(), 2u);
  loop.run_until_idle();
  EXPECT_EQ(task.cancelling(), 2u);
  task.cancel();
  EXPECT_EQ(task.cancelling(), 2u);  // done: not counted
}

TEST(TaskCancel, TA08TheCountStaysAfterTheErrorWasCaught) {
  TestLoop loop;
  Order order;
  auto task = loop->create_task(record_yields(order, 3));
  loop.run_steps(1);
  task.cancel();
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "c . .");
  EXPECT_EQ(task.cancelling(), 1u);
}

// --- before the first step ---------------------------------------------------------------------

// TA09 "Cancel before the first step: the body never runs; destructors of captured arguments still
// run."
TEST(TaskCancel, TA09CancelBeforeTheFirstStepNeverRunsTheBody) {
  TestLoop loop;
  bool ran = false;
  bool destroyed = false;
  auto task = loop->create_task([](bool& flag, Flag) -> Coro<> {
    flag = true;
    co_return;
  }(ran, Flag(destroyed)));
  EXPECT_TRUE(task.cancel("early"));
  EXPECT_FALSE(task.done());
  loop.run_until_idle();
  EXPECT_TRUE(task.cancelled());
  EXPECT_FALSE(ran);
  EXPECT_TRUE(destroyed);
  EXPECT_EQ(message_of(task), "early");
}

// --- messages ----------------------------------------------------------------------------------

// TA10 "A cancel message given to cancel() reaches the CancelledError seen by the awaiter."
TEST(TaskCancel, TA10TheMessageReachesTheTaskAndItsAwaiter) {
  TestLoop loop;
  Order order;
  auto task = loop->create_task([](Order& out) -> Coro<> {
    try {
      co_await Future<>();
    } catch (const CancelledError& error) {
      out.add("inside:" + error.message());
      throw;
    }
  }(order));
  auto awaiter = loop->create_task([](Task<> target, Order& out) -> Coro<> {
    try {
      co_await target;
    } catch (const CancelledError& error) {
      out.add("outside:" + error.message());
    }
  }(task, order));
  loop.run_steps(2);
  task.cancel("why");
  loop.run(awaiter);
  EXPECT_EQ(order.text(), "inside:why outside:why");
  EXPECT_EQ(message_of(task), "why");
}

TEST(TaskCancel, TA10TheMessageReachesATaskThatSleeps) {
  TestLoop loop;
  auto task = loop->create_task(sleeper(1h));
  loop.run_steps(1);
  task.cancel("enough");
  loop.run_until_idle();
  EXPECT_EQ(message_of(task), "enough");
  EXPECT_EQ(loop.now(), 0s);
}

TEST(TaskCancel, TA10WithoutAMessageItIsEmpty) {
  TestLoop loop;
  auto task = loop->create_task(sleeper(1h));
  loop.run_steps(1);
  task.cancel();
  loop.run_until_idle();
  EXPECT_EQ(message_of(task), "");
}

TEST(TaskCancel, TA10AMessageThatWasDeliveredIsNotSeenAgain) {
  TestLoop loop;
  Order order;
  auto task = loop->create_task([](Order& out) -> Coro<> {
    for (int i = 0; i < 2; ++i) {
      try {
        co_await Future<>();
      } catch (const CancelledError& error) {
        out.add("'" + error.message() + "'");
      }
    }
  }(order));
  loop.run_steps(1);
  task.cancel("first");
  loop.run_until_idle();
  task.cancel();
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "'first' ''");
}

// --- where it is delivered ---------------------------------------------------------------------

// TA11 "Cancel is delivered at the innermost await: cancelling a task cancels the future that it
// waits on."
TEST(TaskCancel, TA11CancelIsDeliveredAtTheInnermostAwait) {
  TestLoop loop;
  Order order;
  const Future<int> future;
  auto level = [](auto self, Future<int> target, Order& out, int depth) -> Coro<int> {
    try {
      if (depth == 0) co_return co_await target;
      co_return co_await self(self, target, out, depth - 1);
    } catch (const CancelledError&) {
      out.add(std::to_string(depth));
      throw;
    }
  };
  auto task = loop->create_task(level(level, future, order, 3));
  loop.run_steps(1);
  loop.call([&] {
    task.cancel("stop");
    EXPECT_TRUE(future.cancelled());
    EXPECT_EQ(order.text(), "");  // the body runs only from the loop
  });
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "0 1 2 3");
  EXPECT_TRUE(task.cancelled());
  EXPECT_EQ(message_of(task), "stop");
}

TEST(TaskCancel, TA11CancellingATaskCancelsTheTaskThatItWaitsOnAndWaitsForItsEnd) {
  TestLoop loop;
  Order order;
  auto inner = loop->create_task([](Order& out) -> Coro<int> {
    try {
      co_await sleep(1h);
      co_return 1;
    } catch (const CancelledError&) {
      out.add("cleanup");
    }
    co_await sleep(10s);
    out.add("clean");
    throw CancelledError();
  }(order));
  auto outer = loop->create_task([](Task<int> target, Order& out) -> Coro<> {
    try {
      co_await target;
    } catch (const CancelledError&) {
      out.add("outer");
      throw;
    }
  }(inner, order));
  loop.run_steps(2);
  outer.cancel();
  loop.advance(5s);
  EXPECT_EQ(order.text(), "cleanup");
  EXPECT_FALSE(outer.done());
  loop.advance(6s);
  EXPECT_EQ(order.text(), "cleanup clean outer");
  EXPECT_TRUE(inner.cancelled());
  EXPECT_TRUE(outer.cancelled());
  EXPECT_EQ(inner.cancelling(), 1u);
}

TEST(TaskCancel, TA11AnInnerTaskThatRefusesGivesItsValueToTheCancelledAwaiter) {
  TestLoop loop;
  auto inner = loop->create_task([]() -> Coro<int> {
    try {
      co_await sleep(1h);
    } catch (const CancelledError&) {
    }
    co_await sleep(1s);
    co_return 42;
  }());
  auto outer =
      loop->create_task([](Task<int> target) -> Coro<int> { co_return co_await target; }(inner));
  loop.run_steps(2);
  outer.cancel();
  EXPECT_EQ(loop.run(outer), 42);
  EXPECT_EQ(outer.cancelling(), 1u);
}

// TA12 "A task that cancels itself gets CancelledError at its next suspension, not in cancel()."
TEST(TaskCancel, TA12SelfCancelIsDeliveredAtTheNextSuspension) {
  TestLoop loop;
  Order order;
  auto task = loop->create_task([](Order& out) -> Coro<> {
    EXPECT_TRUE(current_task().cancel("self"));
    out.add("cancelled");
    co_await []() -> Coro<> { co_return; }();  // no suspension, so no delivery
    out.add("after-child");
    try {
      co_await sleep(1h);
      out.add("slept");
    } catch (const CancelledError& error) {
      out.add(error.message());
    }
  }(order));
  loop.run(task);
  EXPECT_EQ(order.text(), "cancelled after-child self");
  EXPECT_EQ(loop.now(), 0s);
}

// TA13 "A task that cancels itself (or is cancelled) and then returns without suspending ends
// cancelled; its return value is lost."
TEST(TaskCancel, TA13ATaskThatCancelsItselfAndReturnsEndsCancelled) {
  TestLoop loop;
  auto task = loop->create_task([]() -> Coro<int> {
    current_task().cancel("at the end");
    co_return 5;
  }());
  loop.run_until_idle();
  EXPECT_TRUE(task.cancelled());
  EXPECT_EQ(message_of(task), "at the end");
}

TEST(TaskCancel, TA13AnExceptionIsNotReplaced) {
  TestLoop loop;
  auto task = loop->create_task([]() -> Coro<int> {
    current_task().cancel();
    throw std::runtime_error("mine");
    co_return 5;
  }());
  EXPECT_THROW(loop.run(task), std::runtime_error);
  EXPECT_FALSE(task.cancelled());
}

// TA14 "Self-cancel then await of a child task: the child is cancelled."
TEST(TaskCancel, TA14SelfCancelThenAwaitOfAChildCancelsTheChild) {
  TestLoop loop;
  Task<> child;
  auto task = loop->create_task([](Task<>& out) -> Coro<> {
    out = create_task(sleeper(1h));
    co_await sleep(0s);
    current_task().cancel("both");
    co_await out;
  }(child));
  loop.run_until_idle();
  EXPECT_TRUE(task.cancelled());
  EXPECT_TRUE(child.cancelled());
  EXPECT_EQ(message_of(child), "both");
  EXPECT_EQ(message_of(task), "both");
}

TEST(TaskCancel, TA14SelfCancelThenAwaitOfAFutureCancelsTheFuture) {
  TestLoop loop;
  const Future<int> future;
  auto task = loop->create_task([](Future<int> target) -> Coro<int> {
    current_task().cancel("self");
    co_return co_await target;
  }(future));
  loop.run_until_idle();
  EXPECT_TRUE(task.cancelled());
  EXPECT_TRUE(future.cancelled());
}

// TA15 "Catching CancelledError and returning makes the task done-with-result, not cancelled."
TEST(TaskCancel, TA15CatchingItAndReturningIsAResult) {
  TestLoop loop;
  auto task = loop->create_task([]() -> Coro<int> {
    try {
      co_await sleep(1h);
    } catch (const CancelledError&) {
    }
    co_return 15;
  }());
  loop.run_steps(1);
  task.cancel();
  EXPECT_EQ(loop.run(task), 15);
  EXPECT_FALSE(task.cancelled());
}

// TA16 "Catching it and continuing to await works (edge-triggered: it is not delivered again)."
TEST(TaskCancel, TA16ACaughtCancelIsNotDeliveredAgain) {
  TestLoop loop;
  auto task = loop->create_task([]() -> Coro<int> {
    try {
      co_await sleep(1h);
    } catch (const CancelledError&) {
    }
    co_await sleep(5s);
    const Future<int> future;
    rota::get_running_loop().call_later(1s, [future] { future.set_result(16); });
    co_return co_await future;
  }());
  loop.run_steps(1);
  task.cancel();
  EXPECT_EQ(loop.run(task), 16);
  EXPECT_EQ(loop.now(), 6s);
}

// TA17 "Cancelling the awaited future directly cancels the awaiting task (unless caught)."
TEST(TaskCancel, TA17CancellingTheAwaitedFutureCancelsTheTask) {
  TestLoop loop;
  const Future<int> future;
  auto task = loop->create_task(value_of(future));
  loop.run_steps(1);
  loop->call_soon([&] { future.cancel("from the future"); });
  loop.run_until_idle();
  EXPECT_TRUE(task.cancelled());
  EXPECT_EQ(message_of(task), "from the future");
  EXPECT_EQ(task.cancelling(), 0u);
}

TEST(TaskCancel, TA17UnlessTheTaskCatchesIt) {
  TestLoop loop;
  const Future<int> future;
  auto task = loop->create_task([](Future<int> target) -> Coro<int> {
    try {
      co_return co_await target;
    } catch (const CancelledError&) {
      co_return 17;
    }
  }(future));
  loop.run_steps(1);
  loop->call_soon([&] { future.cancel(); });
  EXPECT_EQ(loop.run(task), 17);
}

/// Awaits `future`, then yields twice, and records what threw.
Coro<> await_then_yield(Future<int> future, Order& order) {
  try {
    co_await future;
    order.add("value");
  } catch (const CancelledError&) {
    order.add("c");
  }
  co_await record_yields(order, 2);
}

// TA18 "Cancelling both task and inner future in one tick -> one CancelledError."
TEST(TaskCancel, TA18TaskThenFutureInOneStepIsOneCancelledError) {
  TestLoop loop;
  Order order;
  const Future<int> future;
  auto task = loop->create_task(await_then_yield(future, order));
  loop.run_steps(1);
  loop->call_soon([&] {
    EXPECT_TRUE(task.cancel());
    EXPECT_FALSE(future.cancel());  // the task's cancel has already reached it
  });
  loop.run(task);
  EXPECT_EQ(order.text(), "c . .");
}

TEST(TaskCancel, TA18FutureThenTaskInOneStepIsOneCancelledError) {
  TestLoop loop;
  Order order;
  const Future<int> future;
  auto task = loop->create_task(await_then_yield(future, order));
  loop.run_steps(1);
  loop->call_soon([&] {
    EXPECT_TRUE(future.cancel());
    EXPECT_TRUE(task.cancel());
  });
  loop.run(task);
  EXPECT_EQ(order.text(), "c . .");
}

// TA19 "Cancel while the task is runnable (already woken, not yet run): CancelledError replaces the
// result at that await; the awaited object keeps its result."
TEST(TaskCancel, TA19CancelAfterTheWakeReplacesTheResultAtThatAwait) {
  TestLoop loop;
  Order order;
  const Future<int> future;
  auto task = loop->create_task(await_then_yield(future, order));
  loop.run_steps(1);
  loop->call_soon([&] {
    future.set_result(19);
    EXPECT_TRUE(task.cancel());
  });
  loop.run(task);
  EXPECT_EQ(order.text(), "c . .");
  EXPECT_EQ(future.result(), 19);
}

TEST(TaskCancel, TA19AlsoWhenATaskThatFailedWoke) {
  TestLoop loop;
  Order order;
  const Future<int> future;
  auto task = loop->create_task(await_then_yield(future, order));
  loop.run_steps(1);
  loop->call_soon([&] {
    future.set_exception(std::runtime_error("replaced"));
    EXPECT_TRUE(task.cancel());
  });
  loop.run(task);
  EXPECT_EQ(order.text(), "c . .");
  EXPECT_NE(future.exception(), nullptr);
}

TEST(TaskCancel, TA19CancelInTheStepInWhichASleepIsDue) {
  TestLoop loop;
  Order order;
  auto task = loop->create_task([](Order& out) -> Coro<> {
    try {
      co_await sleep(1s);
      out.add("slept");
    } catch (const CancelledError&) {
      out.add("c");
    }
    co_await record_yields(out, 2);
  }(order));
  auto timer = loop->call_at(rota::TimePoint(1s),
                             [&] { EXPECT_TRUE(task.cancel()); });  // armed first: runs first
  loop.run(task);
  EXPECT_EQ(order.text(), "c . .");
}

TEST(TaskCancel, TA19CancelOfATaskThatYields) {
  TestLoop loop;
  Order order;
  auto task = loop->create_task(record_yields(order, 3));
  loop.run_steps(2);
  EXPECT_EQ(order.text(), ".");
  task.cancel();
  loop.run(task);
  EXPECT_EQ(order.text(), ". c .");
}

}  // namespace
