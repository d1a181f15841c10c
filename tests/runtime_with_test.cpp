/// runtime_with_test.cpp: with: entering, the body, leaving; plain and awaitable scopes.

#include <rota/sleep.hpp>
#include <rota/task_group.hpp>
#include <rota/with.hpp>

#include "support/observe.hpp"
#include "support/test_loop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace {

using namespace std::chrono_literals;
using namespace rota::testing_support;
using rota::Coro;
using rota::create_task;
using rota::sleep;
using rota::TaskGroup;
using rota::with;

/// Writes what happens to it; everything is plain.
class PlainScope {
 public:
  explicit PlainScope(Order& order) : order_(order) {}
  PlainScope(PlainScope&&) = default;
  PlainScope& operator=(PlainScope&&) = delete;

  void aenter() { order_.get().add("enter"); }
  void aexit(const std::exception_ptr& exception) {
    order_.get().add("exit(" + word_for(exception) + ")");
  }
  Order& order() { return order_; }

 private:
  std::reference_wrapper<Order> order_;
};

/// Everything is awaited; swallows what it is told to.
class AwaitedScope {
 public:
  AwaitedScope(Order& order, bool swallows) : order_(order), swallows_(swallows) {}
  AwaitedScope(const AwaitedScope&) = delete;
  AwaitedScope& operator=(const AwaitedScope&) = delete;

  Coro<> aenter() {
    co_await sleep(1s);
    order_.add("enter");
  }
  Coro<bool> aexit(std::exception_ptr exception) {
    co_await sleep(1s);
    order_.add("exit(" + word_for(exception) + ")");
    co_return swallows_;
  }

 private:
  Order& order_;
  bool swallows_;
};

TEST(With, EntersRunsTheBodyAndLeaves) {
  TestLoop loop;
  Order order;
  loop.run([](Order& seen) -> Coro<> {
    auto body = [](PlainScope& scope, int a, std::string b) -> Coro<std::string> {
      scope.order().add("body");
      co_return std::to_string(a) + b;
    };
    EXPECT_EQ(co_await with(PlainScope(seen), body, 1, std::string("text")), "1text");
  }(order));
  EXPECT_EQ(order.text(), "enter body exit(none)");
}

TEST(With, DoesNothingBeforeItIsAwaited) {
  TestLoop loop;
  Order order;
  loop.run([](Order& seen) -> Coro<> {
    {
      auto dropped = with(PlainScope(seen), [](PlainScope&) -> Coro<> { co_return; });
    }
    auto later = with(PlainScope(seen), [](PlainScope&) -> Coro<> { co_return; });
    EXPECT_EQ(seen.text(), "");
    co_await std::move(later);
  }(order));
  EXPECT_EQ(order.text(), "enter exit(none)");
}

TEST(With, LeavesAndPassesTheErrorOn) {
  TestLoop loop;
  Order order;
  loop.run([](Order& seen) -> Coro<> {
    co_await observe(seen, "with", with(PlainScope(seen), [](PlainScope&) -> Coro<> {
                       co_await sleep(1s);
                       throw std::runtime_error("error");
                     }));
  }(order));
  EXPECT_EQ(order.text(), "enter exit(error) with:error");
}

TEST(With, LeavesWhenTheBodyIsCancelled) {
  TestLoop loop;
  Order order;
  loop.run([](Order& seen) -> Coro<> {
    auto task =
        create_task(with(PlainScope(seen), [](PlainScope&) -> Coro<> { co_await sleep(1h); }));
    co_await sleep(0s);
    task.cancel();
    co_await observe(seen, "with", task);
    EXPECT_TRUE(task.cancelled());
  }(order));
  EXPECT_EQ(order.text(), "enter exit(cancelled) with:cancelled");
}

TEST(With, AwaitsTheScopeWhereItWantsThat) {
  TestLoop loop;
  Order order;
  loop.run([](Order& seen, TestLoop& test) -> Coro<> {
    AwaitedScope scope(seen, false);  // an lvalue, which cannot be moved
    co_await observe(seen, "with", with(scope, [](AwaitedScope&) -> Coro<int> { co_return 5; }));
    EXPECT_EQ(test.now(), 2s);
    co_await observe(seen, "with", with(scope, []() -> Coro<> {
                       throw std::runtime_error("error");
                       co_return;
                     }));
  }(order, loop));
  EXPECT_EQ(order.text(), "enter exit(none) with=5 enter exit(error) with:error");
}

TEST(With, SwallowsWhatTheScopeSwallows) {
  TestLoop loop;
  Order order;
  loop.run([](Order& seen) -> Coro<> {
    AwaitedScope scope(seen, true);
    auto fails = []() -> Coro<> {
      throw std::runtime_error("error");
      co_return;
    };
    co_await with(scope, fails);
    auto fails_to_give = []() -> Coro<std::optional<int>> {
      throw std::runtime_error("error");
      co_return 1;
    };
    EXPECT_EQ(co_await with(scope, fails_to_give), std::nullopt);
    EXPECT_EQ(co_await with(scope, []() -> Coro<std::optional<int>> { co_return 1; }), 1);
    auto has_nothing_to_give = []() -> Coro<int> {
      throw std::runtime_error("error");
      co_return 1;
    };
    EXPECT_THROW(co_await with(scope, has_nothing_to_give), rota::RuntimeError);
  }(order));
}

/// Fails where it is told to.
struct FailingScope {
  explicit FailingScope(bool early) : fails_on_entry(early) {}
  Coro<> aenter() {
    if (fails_on_entry) throw std::runtime_error("entry");
    co_return;
  }
  bool aexit(const std::exception_ptr&) { throw std::runtime_error("exit"); }
  bool fails_on_entry;
};

TEST(With, AnErrorOfEnteringLeavesNothingToLeave) {
  TestLoop loop;
  Order order;
  loop.run([](Order& seen) -> Coro<> {
    auto body = [](FailingScope&, Order& said) -> Coro<> {
      said.add("body");
      co_return;
    };
    co_await observe(seen, "first", with(FailingScope(true), body, std::ref(seen)));
    co_await observe(seen, "second", with(FailingScope(false), body, std::ref(seen)));
    co_await observe(seen, "third", with(FailingScope(false), []() -> Coro<> {
                       throw std::runtime_error("replaced");
                       co_return;
                     }));
  }(order));
  EXPECT_EQ(order.text(), "first:entry body second:exit third:exit");
}

TEST(With, KeepsScopeBodyAndArgumentsUntilTheEnd) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    auto kept = std::make_shared<int>(0);
    auto body = [](TaskGroup& group, const std::shared_ptr<int>& argument) -> Coro<> {
      group.create_task([](const std::shared_ptr<int>& shared) -> Coro<> {
        co_await sleep(1s);
        EXPECT_EQ(shared.use_count(), 2);
      }(argument));
      co_return;
    };
    auto task = create_task(with(TaskGroup(), body, kept));
    co_await task;
    EXPECT_EQ(kept.use_count(), 1);
    const auto captures = [kept](TaskGroup&) -> Coro<long> {
      co_await sleep(1s);
      co_return kept.use_count();
    };
    EXPECT_EQ(co_await with(TaskGroup(), captures), 3);  // ours, this lambda's, its copy's
  }());
}

TEST(With, TakesReferencesAndMoveOnlyArguments) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    int counter = 0;
    auto body = [](TaskGroup&, int& number, std::unique_ptr<int> owned) -> Coro<int&> {
      number += *owned;
      co_return number;
    };
    int& same = co_await with(TaskGroup(), body, std::ref(counter), std::make_unique<int>(5));
    EXPECT_EQ(&same, &counter);
    EXPECT_EQ(counter, 5);
  }());
}

TEST(With, NestsWithoutBound) {
  TestLoop loop;
  Order order;
  loop.run([](Order& seen) -> Coro<> {
    struct Nest {
      static Coro<int> go(PlainScope& scope, int depth) {
        if (depth == 0) co_return 0;
        co_return 1 + co_await with(PlainScope(scope.order()), &Nest::go, depth - 1);
      }
    };
    EXPECT_EQ(co_await with(PlainScope(seen), &Nest::go, 1000), 1000);
  }(order));
}

TEST(With, SaysWhatAScopeIs) {
  static_assert(rota::Scope<PlainScope>);
  static_assert(rota::Scope<AwaitedScope>);
  static_assert(rota::Scope<TaskGroup>);
  static_assert(!rota::Scope<int>);
  struct NoExit {
    void aenter();
  };
  static_assert(!rota::Scope<NoExit>);
}

}  // namespace
