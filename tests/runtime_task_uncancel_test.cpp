/// runtime_task_uncancel_test.cpp: cancels that are taken back, that come twice, and that nobody
/// asked for.
///
/// The statements quoted are asyncio's, by their numbers in the catalogue of behaviours; D.. are
/// rota's decisions.

#include <rota/sleep.hpp>
#include <rota/task.hpp>

#include "support/outcome.hpp"
#include "support/test_loop.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <stdexcept>

namespace {

using namespace std::chrono_literals;
using rota::CancelledError;
using rota::Coro;
using rota::current_task;
using rota::sleep;
using rota::testing_support::message_of;
using rota::testing_support::Order;
using rota::testing_support::TestLoop;

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

// --- uncancel ----------------------------------------------------------------------------------

// TA20 "uncancel() decrements, not below 0, and returns the count."
TEST(TaskCancel, TA20UncancelDecrementsNotBelowZeroAndReturnsTheCount) {
  TestLoop loop;
  auto task = loop->create_task(sleeper(1h));
  loop.run_steps(1);
  EXPECT_EQ(task.uncancel(), 0u);
  task.cancel();
  task.cancel();
  task.cancel();
  EXPECT_EQ(task.uncancel(), 2u);
  EXPECT_EQ(task.uncancel(), 1u);
  EXPECT_EQ(task.uncancel(), 0u);
  EXPECT_EQ(task.uncancel(), 0u);
  EXPECT_EQ(task.cancelling(), 0u);
  loop.run_until_idle();
}

// TA21 "uncancel() to 0 before delivery drops the pending cancel."
TEST(TaskCancel, TA21UncancelToZeroBeforeDeliveryDropsTheCancel) {
  TestLoop loop;
  Order order;
  auto task = loop->create_task([](Order& out) -> Coro<int> {
    current_task().cancel();
    current_task().cancel();
    EXPECT_EQ(current_task().uncancel(), 1u);
    EXPECT_EQ(current_task().uncancel(), 0u);
    co_await record_yields(out, 2);
    co_return 21;
  }(order));
  EXPECT_EQ(loop.run(task), 21);
  EXPECT_EQ(order.text(), ". .");
}

TEST(TaskCancel, TA21ThenATaskThatReturnsEndsWithItsValue) {
  TestLoop loop;
  auto task = loop->create_task([]() -> Coro<int> {
    current_task().cancel();
    current_task().uncancel();
    co_return 21;
  }());
  EXPECT_EQ(loop.run(task), 21);
}

TEST(TaskCancel, TA21UncancelBeforeTheFirstStepLetsTheBodyRun) {
  TestLoop loop;
  Order order;
  auto task = loop->create_task(record_yields(order, 1));
  task.cancel();
  task.uncancel();
  loop.run(task);
  EXPECT_EQ(order.text(), ".");
}

TEST(TaskCancel, TA21UncancelAboveZeroLeavesTheCancelDue) {
  TestLoop loop;
  Order order;
  auto task = loop->create_task([](Order& out) -> Coro<> {
    current_task().cancel();
    current_task().cancel();
    EXPECT_EQ(current_task().uncancel(), 1u);
    co_await record_yields(out, 2);
  }(order));
  loop.run(task);
  EXPECT_EQ(order.text(), "c .");
}

// D19 "Delivery: undelivered = 0": two cancels before it are one CancelledError.
TEST(TaskCancel, D19TwoCancelsBeforeDeliveryAreOneError) {
  TestLoop loop;
  Order order;
  auto task = loop->create_task(record_yields(order, 3));
  loop.run_steps(1);
  task.cancel();
  task.cancel();
  loop.run(task);
  EXPECT_EQ(order.text(), "c . .");
  EXPECT_EQ(task.cancelling(), 2u);
}

TEST(TaskCancel, D19ACancelAfterADeliveryIsDeliveredToo) {
  TestLoop loop;
  Order order;
  auto task = loop->create_task(record_yields(order, 4));
  loop.run_steps(1);
  task.cancel();
  loop.run_steps(1);
  task.cancel();
  loop.run(task);
  EXPECT_EQ(order.text(), "c c . .");
}

// D19 "undelivered = min(undelivered, count)": an uncancel() after the delivery drops no later
// cancel.
TEST(TaskCancel, D19UncancelAfterDeliveryDoesNotDropALaterCancel) {
  TestLoop loop;
  Order order;
  auto task = loop->create_task([](Order& out) -> Coro<> {
    current_task().cancel();
    co_await record_yields(out, 1);
    current_task().cancel();
    EXPECT_EQ(current_task().uncancel(), 1u);
    co_await record_yields(out, 2);
  }(order));
  loop.run(task);
  EXPECT_EQ(order.text(), "c c .");
}

TEST(TaskCancel, D19TheCountSaturatesAndDoesNotOverflow) {
  TestLoop loop;
  Order order;
  auto task = loop->create_task(record_yields(order, 2));
  loop.run_steps(1);
  std::uint64_t before = 0;
  for (int i = 0; i < 10'000; ++i) {
    EXPECT_TRUE(task.cancel());
    EXPECT_GE(task.cancelling(), before);
    before = task.cancelling();
  }
  EXPECT_GT(before, 1000u);
  loop.run(task);
  EXPECT_EQ(order.text(), "c .");
}

// --- errors that were thrown, not requested ----------------------------------------------------

// TA23 "Throwing CancelledError without anyone calling cancel() marks the task cancelled."
TEST(TaskCancel, TA23ThrowingCancelledErrorMarksTheTaskCancelled) {
  TestLoop loop;
  auto task = loop->create_task([]() -> Coro<int> {
    throw CancelledError("thrown");
    co_return 1;
  }());
  loop.run_until_idle();
  EXPECT_TRUE(task.cancelled());
  EXPECT_EQ(task.cancelling(), 0u);
  EXPECT_EQ(message_of(task), "thrown");
  EXPECT_THROW((void)task.exception(), CancelledError);
}

TEST(TaskCancel, AnErrorThrownWhileACancelIsHandledReplacesIt) {
  TestLoop loop;
  auto task = loop->create_task([]() -> Coro<> {
    try {
      co_await sleep(1h);
    } catch (const CancelledError&) {
      throw std::logic_error("in the handler");
    }
  }());
  loop.run_steps(1);
  task.cancel();
  EXPECT_THROW(loop.run(task), std::logic_error);
  EXPECT_FALSE(task.cancelled());
}

TEST(TaskCancel, CancelAllTasksCancelsEachOnce) {
  TestLoop loop;
  auto first = loop->create_task(sleeper(1h));
  auto second = loop->create_task(sleeper(2h));
  auto done = loop->create_task(sleeper(0s));
  loop.run_until_idle();
  EXPECT_EQ(loop->cancel_all_tasks(), 2u);
  loop.run_until_idle();
  EXPECT_TRUE(first.cancelled());
  EXPECT_TRUE(second.cancelled());
  EXPECT_FALSE(done.cancelled());
}

}  // namespace
