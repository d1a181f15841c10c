/// runtime_task_group_cancel_test.cpp: TaskGroup.cancel(), of Python 3.15.
///
/// The statements quoted are asyncio's, by their numbers in the catalogue of behaviours; the order
/// lists are CPython 3.15's.

#include <rota/task_group.hpp>
#include <rota/with.hpp>

#include "support/observe.hpp"
#include "support/scopes.hpp"
#include "support/test_loop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace {

using namespace std::chrono_literals;
using namespace rota::testing_support;
using rota::CancelledError;
using rota::Coro;
using rota::create_task;
using rota::current_task;
using rota::get_running_loop;
using rota::sleep;
using rota::TaskGroup;
using rota::with;

Coro<> sleeper(rota::Duration delay) { co_await sleep(delay); }
Coro<> yield() { co_await sleep(0s); }

/// What `body(group, args...)` in a group throws, in a word.
template <typename Body, typename... Args>
Coro<std::string> result_of(Body body, Args... args) {
  TaskGroup group;
  co_return co_await result_in(group, body, args...);
}

// TG21 "cancel(): children and body cancelled, group exits with no exception."
TEST(TaskGroup, TG21CancelEndsChildrenAndBodyWithoutAnException) {
  TestLoop loop;
  Order order;
  loop.run([](Order& seen, TestLoop& test) -> Coro<> {
    auto waiting = [](TaskGroup& group, Order& said) -> Coro<> {
      group.create_task(say_when_cancelled(said, "child"));
      get_running_loop().call_later(1s, [&group] { group.cancel(); });
      co_await say_when_cancelled(said, "body");
    };
    EXPECT_EQ(co_await result_of(waiting, std::ref(seen)), "none");
    EXPECT_EQ(test.now(), 1s);
    auto leaving = [](TaskGroup& group, Order& said) -> Coro<> {
      group.create_task(say_when_cancelled(said, "second"));
      co_await yield();
      group.cancel();
    };
    EXPECT_EQ(co_await result_of(leaving, std::ref(seen)), "none");
    EXPECT_EQ(co_await result_of([](TaskGroup& group) -> Coro<> {
                group.cancel();  // no child, and no await: never delivered
                co_return;
              }),
              "none");
    EXPECT_EQ(current_task().cancelling(), 0u);
    co_await yield();
  }(order, loop));
  EXPECT_EQ(order.text(), "child body second");
}

TEST(TaskGroup, TG21TheOrderOfACancelIsAsyncios) {
  TestLoop loop;
  Order order;
  loop.run([](Order& seen) -> Coro<> {
    auto ticks = create_task(ticker(seen, 6));
    auto body = [](TaskGroup& group, Order& said) -> Coro<> {
      group.create_task(say_when_cancelled(said, "x:cancelled"));
      co_await yield();
      group.cancel();
      try {
        co_await yield();
      } catch (const CancelledError&) {
        said.add("body");
        throw;
      }
    };
    co_await create_task(observe(seen, "after", with(TaskGroup(), body, std::ref(seen))));
    co_await ticks;
  }(order));
  EXPECT_EQ(order.text(), "0 1 2 x:cancelled body 3 4 after 5");
}

// TG22 "cancel() is idempotent; after exit a no-op."
TEST(TaskGroup, TG22CancelIsIdempotentAndANoOpAfterExit) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    TaskGroup group;
    EXPECT_EQ(co_await result_in(group,
                                 [](TaskGroup& self) -> Coro<> {
                                   self.create_task(sleeper(1h));
                                   co_await yield();
                                   self.cancel();
                                   self.cancel();
                                   EXPECT_EQ(current_task().cancelling(), 1u);
                                   co_await sleep(1h);
                                 }),
              "none");
    group.cancel();
    EXPECT_EQ(current_task().cancelling(), 0u);
    co_await yield();
  }());
}

// TG23 "cancel() before entry: body cancelled at its first suspension."
TEST(TaskGroup, TG23CancelBeforeEntryCancelsTheBodyAtItsFirstSuspension) {
  TestLoop loop;
  Order order;
  loop.run([](Order& seen) -> Coro<> {
    TaskGroup group;
    group.cancel();
    auto body = [](TaskGroup&, Order& said) -> Coro<> {
      said.add("begins");
      co_await yield();
      said.add("not reached");
    };
    co_await with(std::move(group), body, std::ref(seen));
    seen.add("after");
    EXPECT_EQ(current_task().cancelling(), 0u);
  }(order));
  EXPECT_EQ(order.text(), "begins after");
}

// TG24 "create_task after cancel(): RuntimeError, coroutine destroyed."
TEST(TaskGroup, TG24CreateTaskAfterCancelIsRefused) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    TaskGroup group;
    group.cancel();
    EXPECT_EQ(co_await result_in(group,
                                 [](TaskGroup& self) -> Coro<> {
                                   auto guard = std::make_shared<int>(0);
                                   auto child = [](std::shared_ptr<int>) -> Coro<> { co_return; };
                                   EXPECT_EQ(thrown_by([&] { self.create_task(child(guard)); }),
                                             "TaskGroup is shutting down");
                                   EXPECT_EQ(guard.use_count(), 1);
                                   co_return;
                                 }),
              "none");
  }());
}

// TG25 "cancel() called by a child before its first suspension works."
TEST(TaskGroup, TG25AChildMayCancelBeforeItsFirstSuspension) {
  TestLoop loop;
  Order order;
  loop.run([](Order& seen) -> Coro<> {
    auto body = [](TaskGroup& group, Order& said) -> Coro<> {
      group.create_task([](TaskGroup& parent) -> Coro<> {
        parent.cancel();
        co_await sleep(1h);
      }(group));
      co_await say_when_cancelled(said, "body");
    };
    EXPECT_EQ(co_await result_of(body, std::ref(seen)), "none");
  }(order));
  EXPECT_EQ(order.text(), "body");
  EXPECT_EQ(loop.now(), 0s);
}

// TG26 "An external cancel beside cancel() still propagates, with its message."
TEST(TaskGroup, TG26ACancelFromOutsideBesideCancelPropagates) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    for (const auto& [body_waits, ours_first] :
         {std::pair(true, true), {true, false}, {false, true}, {false, false}}) {
      auto body = [](TaskGroup& group, TaskGroup*& shown, bool waits) -> Coro<> {
        shown = &group;
        group.create_task(sleeper(1h));
        if (waits) co_await sleep(1h);
      };
      TaskGroup* group = nullptr;
      auto task = create_task(with(TaskGroup(), body, std::ref(group), body_waits));
      co_await sleep(1s);
      if (ours_first) group->cancel();
      task.cancel("outside");
      group->cancel();
      std::string message = "(none)";
      try {
        co_await task;
      } catch (const CancelledError& error) {
        message = error.message();
      }
      EXPECT_EQ(message, "outside");
      EXPECT_EQ(task.cancelling(), 1u);
    }
  }());
}

// TG27 "Errors raised before or after cancel() are still aggregated."
TEST(TaskGroup, TG27ErrorsBesideCancelAreAggregated) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    EXPECT_EQ(co_await result_of([](TaskGroup& group) -> Coro<> {
                auto bad = group.create_task(fail_after(0s, "before"));
                while (!bad.done()) co_await yield();
                group.cancel();
              }),
              "group(before)");
    EXPECT_EQ(co_await result_of([](TaskGroup& group) -> Coro<> {
                group.create_task(fail_when_cancelled("after"));
                co_await yield();
                group.cancel();
              }),
              "group(after)");
    EXPECT_EQ(co_await result_of([](TaskGroup& group) -> Coro<> {
                group.cancel();
                throw std::runtime_error("body after");
                co_return;
              }),
              "group(body after)");
    EXPECT_EQ(co_await result_of([](TaskGroup& group) -> Coro<> {
                group.create_task([](TaskGroup& parent) -> Coro<> {
                  co_await yield();
                  parent.cancel();
                }(group));
                throw std::runtime_error("body before");
                co_return;
              }),
              "group(body before)");
    EXPECT_EQ(current_task().cancelling(), 0u);
    co_await yield();
  }());
}

// TG28 "Race pattern 'first result cancels the group' leaves exactly one winner."
TEST(TaskGroup, TG28TheFirstResultCancelsTheGroup) {
  TestLoop loop;
  Order order;
  loop.run([](Order& seen, TestLoop& test) -> Coro<> {
    co_await with(
        TaskGroup(),
        [](TaskGroup& group, Order& said) -> Coro<> {
          for (int i = 3; i > 0; --i) {
            group.create_task([](TaskGroup& parent, Order& winner, int number) -> Coro<> {
              co_await sleep(number * 1s);
              winner.add(std::to_string(number));
              parent.cancel();
            }(group, said, i));
          }
          co_return;
        },
        std::ref(seen));
    EXPECT_EQ(test.now(), 1s);
  }(order, loop));
  EXPECT_EQ(order.text(), "1");
}

}  // namespace
