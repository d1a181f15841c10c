/// runtime_task_context_test.cpp: in which context a task runs.

#include <rota/context.hpp>
#include <rota/future.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>

#include "support/test_loop.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>

namespace {

using namespace std::chrono_literals;
using rota::Context;
using rota::ContextVar;
using rota::Coro;
using rota::create_task;
using rota::sleep;
using rota::Task;
using rota::TaskOptions;
using rota::testing_support::Order;
using rota::testing_support::TestLoop;

ContextVar<std::string> user("user", "nobody");

Coro<> set_and_yield(std::string name, Order& order) {
  order.add(user.get());
  user.set(name);
  for (int i = 0; i < 2; ++i) {
    co_await sleep(0s);
    order.add(user.get());
  }
}

TaskOptions in(const Context& context) {
  TaskOptions options;
  options.context = &context;
  return options;
}

// TA34 "The task runs in a copy of the creator's context; changes do not leak back."
TEST(TaskContext, TA34ATaskRunsInACopyOfItsCreatorsContext) {
  TestLoop loop;
  Order order;
  loop.run([](Order& out) -> Coro<> {
    user.set("parent");
    auto child = create_task(set_and_yield("child", out));
    user.set("parent-later");
    co_await child;
    out.add(user.get());
  }(order));
  EXPECT_EQ(order.text(), "parent child child parent-later");
  EXPECT_EQ(user.get(), "nobody");
}

TEST(TaskContext, TA34TasksThatTakeTurnsKeepTheirOwnValues) {
  TestLoop loop;
  Order order;
  loop->create_task(set_and_yield("a", order));
  loop->create_task(set_and_yield("b", order));
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "nobody nobody a b a b");
}

TEST(TaskContext, TA34AnAwaitedCoroutineSharesTheContextOfItsTask) {
  TestLoop loop;
  Order order;
  loop.run([](Order& out) -> Coro<> {
    co_await set_and_yield("inner", out);
    out.add(user.get());
  }(order));
  EXPECT_EQ(order.text(), "nobody inner inner inner");
}

TEST(TaskContext, TA34OutsideOfALoopTheThreadsContextIsCopied) {
  TestLoop loop;
  Order order;
  Context().run([&] {
    user.set("thread");
    loop->create_task(set_and_yield("task", order));
    user.set("thread-later");
  });
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "thread task task");
}

TEST(TaskContext, TA34ACallbackOfATaskRunsInACopyOfTheTasksContext) {
  TestLoop loop;
  Order order;
  loop.run([](Order& out) -> Coro<> {
    user.set("task");
    rota::get_running_loop().call_soon([&out] {
      out.add(user.get());
      user.set("callback");
    });
    co_await sleep(0s);
    co_await sleep(0s);
    out.add(user.get());
  }(order));
  EXPECT_EQ(order.text(), "task task");
}

// TA35 "context= runs it in the given context, changes visible to the giver."
TEST(TaskContext, TA35AGivenContextIsUsedItselfAndItsChangesAreVisible) {
  TestLoop loop;
  Order order;
  Context context;
  context.run([] { user.set("given"); });
  auto task = loop->create_task(set_and_yield("changed", order), in(context));
  loop.run(task);
  EXPECT_EQ(order.text(), "given changed changed");
  EXPECT_EQ(context.run([] { return user.get(); }), "changed");
  EXPECT_EQ(user.get(), "nobody");
}

TEST(TaskContext, TA35TwoTasksMayShareAContext) {
  TestLoop loop;
  Order order;
  loop.run([](Order& out) -> Coro<> {
    const Context context;
    auto first = create_task(set_and_yield("a", out), in(context));
    auto second = create_task(set_and_yield("b", out), in(context));
    co_await first;
    co_await second;
  }(order));
  EXPECT_EQ(order.text(), "nobody a b b b b");
}

TEST(TaskContext, TA35TheTaskKeepsTheContextWhenTheGiverDropsIt) {
  TestLoop loop;
  Order order;
  Task<> task;
  {
    Context context;
    context.run([] { user.set("kept"); });
    task = loop->create_task(set_and_yield("changed", order), in(context));
  }
  loop.run(task);
  EXPECT_EQ(order.text(), "kept changed changed");
}

TEST(TaskContext, AWakeFromACallbackResumesTheTaskInItsOwnContext) {
  TestLoop loop;
  Order order;
  const rota::Future<> future;
  loop->create_task([](rota::Future<> target, Order& out) -> Coro<> {
    user.set("waiter");
    co_await target;
    out.add(user.get());
  }(future, order));
  loop.run_steps(1);
  loop.call([&] {
    user.set("waker");
    future.set_result();
  });
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "waiter");
}

TEST(TaskContext, ArgumentsOfATaskThatNeverRanAreDestroyedInItsContext) {
  TestLoop loop;
  Order order;
  struct Sayer {
    explicit Sayer(Order& target) : out(&target) {}
    Sayer(Sayer&& other) noexcept : out(std::exchange(other.out, nullptr)) {}
    Sayer& operator=(Sayer&&) = delete;
    ~Sayer() {
      if (out != nullptr) out->add(user.get());
    }
    Order* out;
  };
  Context context;
  context.run([] { user.set("given"); });
  auto task = loop->create_task([](Sayer) -> Coro<> { co_return; }(Sayer(order)), in(context));
  task.cancel();
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "given");
}

}  // namespace
