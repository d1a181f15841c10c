/// runtime_task_group_scope_test.cpp: TaskGroup: misuse, counts, what stays behind.
///
/// The statements quoted are asyncio's, by their numbers in the catalogue of behaviours; the order
/// lists are CPython 3.15's.

#include <rota/context.hpp>
#include <rota/future.hpp>
#include <rota/task_group.hpp>
#include <rota/timeout.hpp>
#include <rota/with.hpp>

#include "support/observe.hpp"
#include "support/scopes.hpp"
#include "support/test_loop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

namespace {

using namespace std::chrono_literals;
using namespace rota::testing_support;
using rota::CancelledError;
using rota::Coro;
using rota::create_task;
using rota::current_task;
using rota::Future;
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

// TG11 "create_task before entry, after exit, or while shutting down: RuntimeError, and the
// coroutine is destroyed without running."
TEST(TaskGroup, TG11ACoroutineThatComesAtTheWrongTimeIsDestroyedUnrun) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    bool ran = false;
    auto guard = std::make_shared<int>(0);
    auto child = [](bool& flag, std::shared_ptr<int>) -> Coro<> {
      flag = true;
      co_return;
    };
    auto refused = [&](TaskGroup& group) {
      const std::string word = thrown_by([&] { group.create_task(child(ran, guard)); });
      EXPECT_EQ(guard.use_count(), 1) << "its arguments are destroyed";
      return word;
    };
    TaskGroup group;
    EXPECT_EQ(refused(group), "TaskGroup has not been entered");
    std::string while_shutting_down;
    auto body = [](TaskGroup& self, decltype(refused)& refuse, std::string& word) -> Coro<> {
      self.create_task(fail_after(0s, "error"));
      try {
        co_await sleep(1h);
      } catch (const CancelledError&) {
        word = refuse(self);
      }
    };
    EXPECT_EQ(co_await result_in(group, body, std::ref(refused), std::ref(while_shutting_down)),
              "group(error)");
    EXPECT_EQ(while_shutting_down, "TaskGroup is shutting down");
    EXPECT_EQ(refused(group), "TaskGroup is finished");
    co_await yield();
    EXPECT_FALSE(ran);
  }());
}

// TG12 "Entering twice: RuntimeError; no parent task: RuntimeError."
TEST(TaskGroup, TG12IsEnteredOnceAndInATask) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    auto nothing = [](TaskGroup&) -> Coro<> { co_return; };
    TaskGroup group;
    EXPECT_EQ(co_await result_in(group, nothing), "none");
    EXPECT_EQ(co_await result_in(group, nothing), "TaskGroup has already been entered");
    TaskGroup active;
    auto again = [](TaskGroup& self, decltype(nothing) inner) -> Coro<> {
      EXPECT_EQ(co_await result_in(self, inner), "TaskGroup has already been entered");
    };
    EXPECT_EQ(co_await result_in(active, again, nothing), "none");
  }());
  loop.call([] {
    EXPECT_EQ(thrown_by([] { TaskGroup().aenter(); }),
              "TaskGroup cannot determine the parent task");
  });
  EXPECT_EQ(thrown_by([] { TaskGroup().aenter(); }), "no running event loop");
}

// TG13 "An exception thrown by a nested scope's exit inside the body is combined with child errors,
// and cancelling()==0 after."
struct FailsOnExit {
  void aenter() {}
  void aexit(const std::exception_ptr&) { throw std::runtime_error("exit"); }
};
TEST(TaskGroup, TG13AnErrorOfANestedExitJoinsTheAggregate) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    EXPECT_EQ(co_await result_of([](TaskGroup& group) -> Coro<> {
                group.create_task(fail_after(1s, "child"));
                co_await with(FailsOnExit(), []() -> Coro<> { co_await sleep(1h); });
              }),
              "group(child,exit)");
    EXPECT_EQ(current_task().cancelling(), 0u);
    co_await yield();
  }());
}

// TG14 "The parent's cancelling level before the group is the same after it."
TEST(TaskGroup, TG14TheCountBeforeTheGroupIsTheCountAfterIt) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    auto task = create_task([]() -> Coro<> {
      try {
        co_await sleep(1h);
      } catch (const CancelledError&) {
      }
      EXPECT_EQ(current_task().cancelling(), 1u);
      EXPECT_EQ(co_await result_of([](TaskGroup& group) -> Coro<> {
                  group.create_task(fail_after(1s, "child"));
                  co_return;
                }),
                "group(child)");
      EXPECT_EQ(current_task().cancelling(), 1u);
    }());
    co_await yield();
    task.cancel();
    EXPECT_EQ(co_await word_of(task), ":cancelled")
        << "the cancel from before is due again, as in asyncio";
  }());
}

// TG15 "Both nested groups cancelled by one external cancel: one CancelledError."
TEST(TaskGroup, TG15OneCancelOfNestedGroupsIsOneCancelledError) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    auto task = create_task(with(TaskGroup(), [](TaskGroup& outer) -> Coro<> {
      outer.create_task(sleeper(1h));
      co_await with(TaskGroup(), [](TaskGroup& inner) -> Coro<> {
        inner.create_task(sleeper(1h));
        co_return;
      });
    }));
    co_await sleep(1s);
    task.cancel();
    EXPECT_EQ(co_await word_of(task), ":cancelled");
    EXPECT_EQ(task.cancelling(), 1u);
  }());
}

// TG16 "Child error and external cancel together: aggregate raised inside, and the later await
// still sees the cancel."
TEST(TaskGroup, TG16AnErrorAndACancelTogetherAreBothSeen) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    Order order;
    auto scope = [](Order& said) -> Coro<> {
      said.add(co_await result_of([](TaskGroup& group) -> Coro<> {
        group.create_task(fail_after(1s, "error"));
        co_await sleep(1h);
      }));
      said.add(std::to_string(current_task().cancelling()));
      co_await sleep(1h);
    };
    auto task = create_task(scope(order));
    co_await yield();
    get_running_loop().call_later(1s, [task] { task.cancel(); });
    EXPECT_EQ(co_await word_of(task), ":cancelled");
    EXPECT_EQ(order.text(), "group(error) 1");
  }());
}

// TG17 "Finished children are dropped at once (no growth in long-lived groups)."
TEST(TaskGroup, TG17FinishedChildrenAreDropped) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    co_await with(TaskGroup(), [](TaskGroup& group) -> Coro<> {
      auto guard = std::make_shared<int>(0);
      for (int i = 0; i < 10; ++i) {
        group.create_task(
            [](std::shared_ptr<int> kept) -> Coro<std::shared_ptr<int>> { co_return kept; }(guard));
      }
      EXPECT_EQ(guard.use_count(), 11);
      co_await sleep(1s);
      EXPECT_EQ(guard.use_count(), 1) << "no child, and no result of one";
    });
  }());
}

// TG19 "A group's internal cancel never leaks to code after the group."
TEST(TaskGroup, TG19TheGroupsOwnCancelDoesNotLeakOut) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    // The error comes while nothing waits: the cancel is never delivered inside the group.
    EXPECT_EQ(co_await result_of([](TaskGroup& group) -> Coro<> {
                Future<int> done;
                done.set_result(1);
                auto bad = group.create_task(fail_after(0s, "error"));
                while (!bad.done()) co_await yield();
                co_await done;
              }),
              "group(error)");
    EXPECT_EQ(current_task().cancelling(), 0u);
    for (int i = 0; i < 3; ++i) co_await yield();
    co_await sleep(1s);
  }());
}

// D19: also when the task has caught a cancel before. (asyncio 3.15 throws it at the next await
// here.)
TEST(TaskGroup, TG19AnUndeliveredCancelOfTheGroupDoesNotLeakAfterACaughtOne) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    auto task = create_task([]() -> Coro<> {
      try {
        co_await sleep(1h);
      } catch (const CancelledError&) {
      }
      EXPECT_EQ(co_await result_of([](TaskGroup& group) -> Coro<> {
                  group.cancel();
                  co_return;
                }),
                "none");
      EXPECT_EQ(current_task().cancelling(), 1u);
      co_await yield();
    }());
    co_await yield();
    task.cancel();
    EXPECT_EQ(co_await word_of(task), "");
  }());
}

// TG20 "name= and context= reach the child."
TEST(TaskGroup, TG20NameAndContextReachTheChild) {
  static rota::ContextVar<int> number("number", 0);
  TestLoop loop;
  loop.run([]() -> Coro<> {
    rota::Context context = rota::copy_context();
    context.run([] { number.set(5); });
    co_await with(
        TaskGroup(),
        [](TaskGroup& group, rota::Context& given) -> Coro<> {
          auto named = group.create_task(sleeper(1s), {"the name"});
          EXPECT_EQ(named.name(), "the name");
          rota::TaskOptions options;
          options.context = &given;
          auto within = group.create_task([]() -> Coro<int> { co_return number.get(); }(), options);
          EXPECT_EQ(co_await within, 5);
        },
        std::ref(context));
  }());
}

// TG29 "A long wait in the group re-cancels the parent after absorbing, to keep the count (so a
// nested timeout sees it)."
TEST(TaskGroup, TG29ATimeoutAroundAGroupWhoseChildFailsSeesItsOwnCancel) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    Order order;
    auto within = []() -> Coro<> {
      // Absorbs the aggregate; the timeout's cancel was delivered in the group and is due again
      // here.
      EXPECT_EQ(co_await result_of([](TaskGroup& group) -> Coro<> {
                  group.create_task(fail_when_cancelled("child"));
                  co_return;
                }),
                "group(child)");
      co_await sleep(1h);
    };
    co_await observe(order, "t", rota::timeout(1s, within()));
    EXPECT_EQ(order.text(), "t:timeout");
    EXPECT_EQ(current_task().cancelling(), 0u);
  }());
  EXPECT_EQ(loop.now(), 1s);
}

// --- lifetime ----------------------------------------------------------------------------------

TEST(TaskGroup, LeavesNothingBehindWhenTheLoopCloses) {
  TestLoop loop;
  auto body_waits = loop->create_task(with(TaskGroup(), [](TaskGroup& group) -> Coro<> {
    group.create_task(sleeper(1h));
    group.create_task(sleeper(2h));
    co_await sleep(3h);
  }));
  auto exit_waits = loop->create_task(with(TaskGroup(), [](TaskGroup& group) -> Coro<> {
    group.create_task(sleeper(1h));
    co_return;
  }));
  loop.run_until_idle();
  loop->close();
  EXPECT_TRUE(body_waits.cancelled());
  EXPECT_TRUE(exit_waits.cancelled());
}

TEST(TaskGroup, ManyChildrenEndInAnyOrder) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    int ended = 0;
    auto body = [](TaskGroup& group, int& count) -> Coro<> {
      for (int i = 0; i < 100; ++i) {
        group.create_task([](int delay, int& counter) -> Coro<> {
          co_await sleep(delay * 1ms);
          ++counter;
        }((i * 37) % 100, count));
      }
      co_return;
    };
    co_await with(TaskGroup(), body, std::ref(ended));
    EXPECT_EQ(ended, 100);
  }());
}

}  // namespace
