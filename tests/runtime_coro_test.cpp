/// runtime_coro_test.cpp: Coro: lazy, moved, awaited once, of any depth, with any result.

#include <rota/coro.hpp>
#include <rota/future.hpp>
#include <rota/sleep.hpp>

#include "support/stress.hpp"
#include "support/test_loop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using rota::Coro;
using rota::testing_support::Order;
using rota::testing_support::sanitized;
using rota::testing_support::TestLoop;

/// Says when it is destroyed; moved-from ones are silent.
struct Guard {
  Guard(Order& order, std::string name) : order_(&order), name_(std::move(name)) {}
  Guard(Guard&& other) noexcept
      : order_(std::exchange(other.order_, nullptr)), name_(other.name_) {}
  Guard& operator=(Guard&&) = delete;
  ~Guard() {
    if (order_ != nullptr) order_->add("~" + name_);
  }

 private:
  Order* order_;
  std::string name_;
};

Coro<> say(Order& order, std::string what, [[maybe_unused]] Guard guard) {
  order.add(what);
  co_return;
}
Coro<int> value(int number) { co_return number; }
Coro<int> value_later(int number) {
  co_await rota::sleep(0s);
  co_return number;
}

// --- laziness and ownership -------------------------------------------------------------------

TEST(Coro, DoesNothingUntilItIsAwaited) {
  TestLoop loop;
  Order order;
  auto coro = say(order, "ran", Guard(order, "argument"));
  order.add("made");
  loop.run(std::move(coro));
  EXPECT_EQ(order.text(), "made ran ~argument");
}

TEST(Coro, DestroyedUnstartedDestroysItsArgumentsAndRunsNothing) {
  Order order;
  {
    auto coro = say(order, "ran", Guard(order, "argument"));
  }
  EXPECT_EQ(order.text(), "~argument");
}

TEST(Coro, AnAwaiterThatIsNeverResumedDestroysTheChild) {
  Order order;
  {
    [[maybe_unused]] auto awaiter = say(order, "ran", Guard(order, "argument")).operator co_await();
  }
  EXPECT_EQ(order.text(), "~argument");
}

TEST(Coro, IsEmptyOnceItWasMovedFrom) {
  Order order;
  auto first = say(order, "ran", Guard(order, "argument"));
  auto second = std::move(first);
  EXPECT_FALSE(static_cast<bool>(first));  // NOLINT(bugprone-use-after-move): what is asked here
  EXPECT_TRUE(static_cast<bool>(second));
  EXPECT_EQ(order.text(), "");
}

TEST(Coro, MoveAssignmentKeepsBothAlive) {
  TestLoop loop;
  Order order;
  auto first = say(order, "one", Guard(order, "1"));
  auto second = say(order, "two", Guard(order, "2"));
  first = std::move(second);
  loop.run(std::move(first));
  EXPECT_EQ(order.text(), "two ~2");
}

TEST(Coro, MoveAssignmentToItselfKeepsIt) {
  TestLoop loop;
  auto coro = value(7);
  auto& same = coro;
  coro = std::move(same);
  EXPECT_EQ(loop.run(std::move(coro)), 7);
}

TEST(Coro, CannotBeCopied) {
  EXPECT_FALSE(std::is_copy_constructible_v<Coro<int>>);
  EXPECT_FALSE(std::is_copy_assignable_v<Coro<int>>);
}

// PEP 492's double await: "Awaiting the same coroutine twice is an error": here it does not
// compile.
TEST(Coro, TA39AnLvalueIsNotAwaitable) {
  EXPECT_FALSE(rota::Awaitable<Coro<int>&>);
  EXPECT_FALSE(rota::Awaitable<const Coro<int>&>);
  EXPECT_TRUE(rota::Awaitable<Coro<int>>);
}

// The arguments live until the end of the full-expression that awaited, the locals only until the
// body ends.
TEST(Coro, LocalsDieWhenTheBodyEndsAndArgumentsBeforeTheNextStatement) {
  TestLoop loop;
  Order order;
  loop.run([](Order& out) -> Coro<> {
    co_await [](Order& inner, [[maybe_unused]] Guard argument) -> Coro<> {
      Guard local(inner, "local");
      inner.add("body");
      co_return;
    }(out, Guard(out, "argument"));
    out.add("next");
  }(order));
  EXPECT_EQ(order.text(), "body ~local ~argument next");
}

TEST(Coro, AwaitOfOneThatNeverWaitsRunsInTheSameStep) {
  TestLoop loop;
  Order order;
  loop->call_soon(order.adder("before"));
  auto task = loop->create_task([](Order& out) -> Coro<> {
    for (int i = 0; i < 3; ++i) out.add(std::to_string(co_await value(i)));
  }(order));
  loop->call_soon(order.adder("after"));
  loop.run_steps(1);
  EXPECT_EQ(order.text(), "before 0 1 2 after");
  EXPECT_TRUE(task.done());
}

// --- results ----------------------------------------------------------------------------------

TEST(Coro, GivesItsValue) {
  TestLoop loop;
  EXPECT_EQ(loop.run(value(5)), 5);
  EXPECT_EQ(loop.run(value_later(6)), 6);
}

TEST(Coro, ResultMayBeMoveOnly) {
  TestLoop loop;
  auto make = [](int number) -> Coro<std::unique_ptr<int>> {
    co_return std::make_unique<int>(number);
  };
  const int sum = loop.run([](auto function) -> Coro<int> {
    std::unique_ptr<int> first = co_await function(1);
    auto second = co_await function(2);
    co_return *first + *second;
  }(make));
  EXPECT_EQ(sum, 3);
}

TEST(Coro, ResultMayBeAReference) {
  TestLoop loop;
  int number = 1;
  auto give = [](int& target) -> Coro<int&> { co_return target; };
  const int* address = loop.run([](auto function, int& target) -> Coro<int*> {
    decltype(auto) reference = co_await function(target);
    static_assert(std::is_same_v<decltype(reference), int&>);
    reference = 42;
    co_return &reference;
  }(give, number));
  EXPECT_EQ(address, &number);
  EXPECT_EQ(number, 42);
}

struct NoDefault {
  explicit NoDefault(int n) : number(n) {}
  NoDefault(NoDefault&&) = default;
  NoDefault& operator=(NoDefault&&) = delete;
  int number;
};

TEST(Coro, ResultNeedsNeitherADefaultConstructorNorAssignment) {
  TestLoop loop;
  const int number = loop.run([]() -> Coro<int> {
    const NoDefault result = co_await []() -> Coro<NoDefault> { co_return NoDefault(9); }();
    co_return result.number;
  }());
  EXPECT_EQ(number, 9);
}

struct Counted {
  explicit Counted(int& alive) : alive_(&alive) { ++*alive_; }
  Counted(Counted&& other) noexcept : alive_(other.alive_) { ++*alive_; }
  Counted& operator=(Counted&&) = delete;
  ~Counted() { --*alive_; }

 private:
  int* alive_;
};

TEST(Coro, AResultThatNobodyTakesIsDestroyedOnce) {
  TestLoop loop;
  int alive = 0;
  loop.run([](int& count) -> Coro<> {
    co_await [](int& inner) -> Coro<Counted> { co_return Counted(inner); }(count);
    EXPECT_EQ(count, 0);
  }(alive));
  EXPECT_EQ(alive, 0);
}

TEST(Coro, ConvertsWhatIsReturnedToTheResultType) {
  TestLoop loop;
  EXPECT_EQ(loop.run([]() -> Coro<std::string> { co_return "text"; }()), "text");
  EXPECT_EQ(loop.run([]() -> Coro<std::vector<int>> { co_return {1, 2, 3}; }()).size(), 3u);
}

// --- exceptions -------------------------------------------------------------------------------

Coro<int> fail_at_depth(Order& order, int depth) {
  Guard guard(order, std::to_string(depth));
  if (depth == 0) throw std::runtime_error("bottom");
  co_return co_await fail_at_depth(order, depth - 1) + 1;
}

TEST(Coro, AnExceptionPassesThroughTheLevelsAndDestroysEachFrame) {
  TestLoop loop;
  Order order;
  try {
    loop.run(fail_at_depth(order, 3));
    FAIL() << "no exception";
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "bottom");
  }
  EXPECT_EQ(order.text(), "~0 ~1 ~2 ~3");
}

TEST(Coro, AnExceptionMayBeCaughtAtAnyLevelAndTheTaskGoesOn) {
  TestLoop loop;
  Order order;
  const int result = loop.run([](Order& out) -> Coro<int> {
    try {
      co_await fail_at_depth(out, 2);
    } catch (const std::runtime_error&) {
      out.add("caught");
    }
    co_return co_await value_later(8);
  }(order));
  EXPECT_EQ(result, 8);
  EXPECT_EQ(order.text(), "~0 ~1 ~2 caught");
}

TEST(Coro, AnExceptionAfterASuspensionReachesTheAwaiterToo) {
  TestLoop loop;
  EXPECT_THROW(loop.run([]() -> Coro<> {
    co_await []() -> Coro<> {
      co_await rota::sleep(1s);
      throw std::out_of_range("late");
    }();
  }()),
               std::out_of_range);
}

TEST(Coro, AnyTypeMayBeThrown) {
  TestLoop loop;
  EXPECT_THROW(loop.run([]() -> Coro<> {
    throw 5;
    co_return;
  }()),
               int);
}

// --- depth and length: the stack does not grow -------------------------------------------------

Coro<int> depth_of(int levels) {
  if (levels == 0) co_return 0;
  co_return co_await depth_of(levels - 1) + 1;
}

TEST(Coro, RecursionMayBeDeeperThanTheStack) {
  TestLoop loop;
  const int levels = sanitized ? 20'000 : 200'000;
  EXPECT_EQ(loop.run(depth_of(levels)), levels);
}

Coro<int> waiting_depth(int levels) {
  if (levels == 0) co_return co_await value_later(0);
  co_return co_await waiting_depth(levels - 1) + 1;
}

TEST(Coro, RecursionMayWaitAtTheBottom) {
  TestLoop loop;
  const int levels = sanitized ? 20'000 : 200'000;
  EXPECT_EQ(loop.run(waiting_depth(levels)), levels);
}

std::uintptr_t stack_pointer() {
  return reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
}

TEST(Coro, TenMillionAwaitsThatNeverWaitDoNotGrowTheStack) {
  TestLoop loop;
  const std::uint64_t awaits = sanitized ? 1'000'000 : 10'000'000;
  const auto [sum, spread] =
      loop.run([](std::uint64_t count) -> Coro<std::pair<std::uint64_t, std::uintptr_t>> {
        std::uint64_t total = 0;
        std::uintptr_t lowest = ~std::uintptr_t{0};
        std::uintptr_t highest = 0;
        for (std::uint64_t i = 0; i < count; ++i) {
          total += static_cast<std::uint64_t>(co_await value(1));
          const std::uintptr_t here = stack_pointer();
          lowest = here < lowest ? here : lowest;
          highest = here > highest ? here : highest;
        }
        co_return std::pair(total, highest - lowest);
      }(awaits));
  EXPECT_EQ(sum, awaits);
  EXPECT_LT(spread, 256u * 1024);  // the trampoline bounds nesting; a leak of one frame an await
                                   // would be hundreds of MiB
}

TEST(Coro, AwaitsOfFinishedFuturesDoNotGrowTheStackEither) {
  TestLoop loop;
  const int sum = loop.run([]() -> Coro<int> {
    const rota::Future<int> future;
    future.set_result(1);
    int total = 0;
    for (int i = 0; i < 1'000'000; ++i) total += co_await future;
    co_return total;
  }());
  EXPECT_EQ(sum, 1'000'000);
}

}  // namespace
