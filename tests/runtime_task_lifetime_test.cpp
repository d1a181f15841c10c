/// runtime_task_lifetime_test.cpp: tasks that are dropped, left pending, or fail unseen: what is
/// kept, destroyed, reported.
///
/// The statements quoted are asyncio's, by their numbers in the catalogue of behaviours.

#include <rota/future.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>

#include "support/outcome.hpp"
#include "support/test_loop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <exception>
#include <stdexcept>
#include <string>

namespace {

using namespace std::chrono_literals;
using rota::Coro;
using rota::create_task;
using rota::Future;
using rota::sleep;
using rota::testing_support::Flag;
using rota::testing_support::Order;
using rota::testing_support::TestLoop;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Coro<int> value_after(std::chrono::nanoseconds delay, int number) {
  co_await sleep(delay);
  co_return number;
}
Coro<int> fail(std::string text) {
  throw std::runtime_error(text);
  co_return 0;
}

// --- what is dropped, and what is reported -----------------------------------------------------

// TA27 "A pending task destroyed with its loop -> exception handler "Task was destroyed but it is
// pending!"."
TEST(Task, TA27APendingTaskThatIsDestroyedWithItsLoopIsReported) {
  bool destroyed = false;
  TestLoop loop;
  auto task = loop->create_task(
      [](bool& set) -> Coro<> {
        Flag flag(set);
        co_await Future<>();
      }(destroyed),
      rota::TaskOptions("stuck"));
  loop.run_until_idle();
  EXPECT_FALSE(destroyed);
  loop->close();
  EXPECT_TRUE(destroyed);
  ASSERT_EQ(loop.reports().size(), 1u);
  EXPECT_THAT(loop.reports()[0].message, HasSubstr("Task was destroyed but it is pending"));
  EXPECT_EQ(loop.reports()[0].task_name, "stuck");
  EXPECT_TRUE(task.done());
  EXPECT_TRUE(task.cancelled());
}

TEST(Task, TA27AlsoOneThatNeverStarted) {
  bool destroyed = false;
  TestLoop loop;
  auto task = loop->create_task([](Flag) -> Coro<> { co_return; }(Flag(destroyed)));
  loop->close();
  EXPECT_TRUE(destroyed);
  EXPECT_TRUE(task.cancelled());
  EXPECT_THAT(loop.messages(), ElementsAre(HasSubstr("Task was destroyed but it is pending")));
}

// TA28 "Exception never retrieved -> logged at destruction; not logged after retrieval, nor after
// cancel."
TEST(Task, TA28AnExceptionThatNobodyRetrievedIsReportedWhenTheTaskIsDestroyed) {
  TestLoop loop;
  auto task = loop->create_task(fail("unseen"), rota::TaskOptions("careless"));
  loop.run_until_idle();
  EXPECT_THAT(loop.reports(), IsEmpty());
  task = {};
  loop.run_until_idle();
  ASSERT_EQ(loop.reports().size(), 1u);
  EXPECT_THAT(loop.reports()[0].message, HasSubstr("Task exception was never retrieved"));
  EXPECT_EQ(loop.reports()[0].task_name, "careless");
  EXPECT_THROW(std::rethrow_exception(loop.reports()[0].exception), std::runtime_error);
}

TEST(Task, TA28ADetachedTaskThatFailsIsReported) {
  TestLoop loop;
  loop->create_task(fail("unseen"));
  loop.run_until_idle();
  EXPECT_THAT(loop.messages(), ElementsAre(HasSubstr("never retrieved")));
}

TEST(Task, TA28ResultExceptionOrAwaitSilenceTheReport) {
  TestLoop loop;
  {
    auto by_result = loop->create_task(fail("seen"));
    auto by_exception = loop->create_task(fail("seen"));
    loop.run_until_idle();
    EXPECT_THROW((void)by_result.result(), std::runtime_error);
    EXPECT_NE(by_exception.exception(), nullptr);
  }
  loop.run([]() -> Coro<> {
    auto task = create_task(fail("seen"));
    EXPECT_THROW(co_await task, std::runtime_error);
    EXPECT_THROW(co_await create_task(fail("seen")), std::runtime_error);
  }());
  loop.run_until_idle();
  EXPECT_THAT(loop.reports(), IsEmpty());
}

TEST(Task, TA28ACancelledTaskIsNotReported) {
  TestLoop loop;
  {
    auto task = loop->create_task(value_after(1h, 1));
    loop.run_steps(1);
    task.cancel();
    loop.run_until_idle();
    EXPECT_TRUE(task.cancelled());
  }
  loop.run_until_idle();
  EXPECT_THAT(loop.reports(), IsEmpty());
}

// TA29 "Dropping the caller's handle must not drop the task: the runtime keeps a strong reference."
TEST(Task, TA29DroppingTheHandleDetachesTheTask) {
  TestLoop loop;
  Order order;
  loop->create_task([](Order& out) -> Coro<> {
    co_await sleep(1s);
    out.add("finished");
  }(order));
  loop.advance(2s);
  EXPECT_EQ(order.text(), "finished");
}

TEST(Task, ADroppedResultIsDestroyedWithTheLastHandle) {
  TestLoop loop;
  bool destroyed = false;
  auto task = loop->create_task([](bool& set) -> Coro<Flag> { co_return Flag(set); }(destroyed));
  loop.run_until_idle();
  auto copy = task;
  task = {};
  EXPECT_FALSE(destroyed);
  copy = {};
  EXPECT_TRUE(destroyed);
}

}  // namespace
