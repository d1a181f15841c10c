/// contract_co_await_test.cpp: which forms of a co_await expression the compiler translates
/// correctly.
///
/// g++ 12 destroys twice, at the end of a co_await expression, every temporary in it that is an
/// aggregate with non-trivial members or a lambda with such captures by value. The first half are
/// the forms that are right on every compiler that rota supports, so rota's interfaces and examples
/// keep to them. The second half are the forms that g++ 12 gets wrong; they are tested where they
/// are right. The user's page about it is runtime/safe_co_await.md.

#include "support/contract_coroutine.hpp"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace {

using rota::testing_support::expect_five;
using rota::testing_support::Lazy;
using rota::testing_support::Tracked;

// --- what is called ---------------------------------------------------------------------------

Lazy value(Tracked tracked) { co_return Tracked(tracked.number); }
Lazy by_reference(const Tracked& tracked) { co_return Tracked(tracked.number); }
Lazy fail(Tracked tracked) {
  if (tracked.number > 0) throw std::runtime_error("on purpose");
  co_return tracked;
}

template <typename Function>
Lazy call(Function function) {
  co_return Tracked(function());
}
template <typename Function>
Lazy call_forwarded(Function&& function) {
  co_return Tracked(function());
}
template <typename Function, typename... Args>
Lazy call_with(Function function, Args... args) {
  co_return Tracked(function(args...));
}
int number_of(const Tracked& tracked) { return tracked.number; }

Lazy sum_of_all(Lazy first, Lazy second, Lazy third) {
  const Tracked a = co_await std::move(first);
  const Tracked b = co_await std::move(second);
  const Tracked c = co_await std::move(third);
  co_return Tracked(a.number + b.number + c.number);
}

/// Options as rota writes them: with a constructor, hence no aggregate.
struct Options {
  explicit Options(Tracked t, int n = 3) : tracked(std::move(t)), count(n) {}
  Tracked tracked;
  int count;
};
Lazy with_options(Options options) { co_return Tracked(options.tracked.number + options.count); }

struct Message {
  int key;
  Tracked body;
};

class Queue {
 public:
  Lazy put(Message message) { co_return Tracked(message.key + message.body.number); }
  Lazy put_reference(Message&& message) { return put(std::move(message)); }
  template <typename... Args>
  Lazy emplace(Args... args) {
    return put(Message{std::move(args)...});
  }
};

// --- right on every compiler ------------------------------------------------------------------

TEST(CoAwait, TakesANamedLambdaByMoveOrCopy) {
  expect_five([]() -> Lazy {
    Tracked x(5);
    auto lambda = [x] { return x.number; };
    co_return co_await call(std::move(lambda));
  });
  expect_five([]() -> Lazy {
    Tracked x(5);
    auto lambda = [x] { return x.number; };
    co_return co_await call(lambda);
  });
}

TEST(CoAwait, TakesTheCoroutineFromAnEarlierStatement) {
  expect_five([]() -> Lazy {
    Tracked x(5);
    auto coroutine = call([x] { return x.number; });
    co_return co_await std::move(coroutine);
  });
}

TEST(CoAwait, TakesALambdaWhoseCapturesAreTrivial) {
  expect_five([]() -> Lazy {
    Tracked x(5);
    co_return co_await call([&x] { return x.number; });
  });
  expect_five([]() -> Lazy {
    int x = 5;
    co_return co_await call([x] { return x; });
  });
}

TEST(CoAwait, TakesAFunctionAndItsArgumentsApart) {
  expect_five([]() -> Lazy {
    Tracked x(5);
    co_return co_await call(std::bind_front(number_of, x));
  });
  expect_five([]() -> Lazy {
    Tracked x(5);
    co_return co_await call_with([](const Tracked& t) { return t.number; }, x);
  });
}

TEST(CoAwait, TakesAnAggregateThatHasAName) {
  expect_five([]() -> Lazy {
    Queue queue;
    Message message{2, Tracked(3)};
    co_return co_await queue.put(std::move(message));
  });
  expect_five([]() -> Lazy {
    Queue queue;
    auto put = queue.put(Message{2, Tracked(3)});
    co_return co_await std::move(put);
  });
}

TEST(CoAwait, TakesTheMembersOfAnAggregateForEmplace) {
  expect_five([]() -> Lazy {
    Queue queue;
    co_return co_await queue.emplace(2, Tracked(3));
  });
}

TEST(CoAwait, TakesTemporariesOfClassesWithConstructors) {
  expect_five([]() -> Lazy { co_return co_await with_options(Options(Tracked(2), 3)); });
  expect_five([]() -> Lazy { co_return co_await value(Tracked(5)); });
  expect_five([]() -> Lazy { co_return co_await by_reference(Tracked(5)); });
  expect_five([]() -> Lazy {
    auto get = [](std::unique_ptr<Tracked> p) -> Lazy { co_return *p; };
    co_return co_await get(std::make_unique<Tracked>(5));
  });
  expect_five([]() -> Lazy {
    auto first = [](std::vector<Tracked> v, std::optional<Tracked> o,
                    const std::string& s) -> Lazy {
      co_return Tracked(v.front().number + o->number + static_cast<int>(s.size()) - 40);
    };
    co_return co_await first(std::vector<Tracked>(1, Tracked(2)),
                             std::optional<Tracked>(Tracked(3)), std::string(40, 'x'));
  });
}

TEST(CoAwait, TakesOtherCoroutines) {
  expect_five([]() -> Lazy {
    co_return co_await sum_of_all(value(Tracked(1)), value(Tracked(1)), value(Tracked(3)));
  });
}

TEST(CoAwait, StandsInConditionsLoopsAndSwitches) {
  expect_five([]() -> Lazy {
    if (auto r = co_await value(Tracked(5)); r.number == 5) co_return r;
    co_return Tracked(0);
  });
  expect_five([]() -> Lazy {
    int n = 0;
    while ((co_await value(Tracked(n))).number < 5) ++n;
    co_return Tracked(n);
  });
  expect_five([]() -> Lazy {
    switch ((co_await value(Tracked(2))).number) {
      case 2:
        co_return Tracked(5);
      default:
        co_return Tracked(0);
    }
  });
  expect_five([]() -> Lazy {
    const bool both =
        (co_await value(Tracked(1))).number == 1 && (co_await value(Tracked(2))).number == 2;
    co_return Tracked(both ? 5 : 0);
  });
}

TEST(CoAwait, StandsInArgumentsAndBindings) {
  expect_five([]() -> Lazy {
    auto sum = [](const Tracked& a, const Tracked& b) { return a.number + b.number; };
    co_return Tracked(sum(co_await value(Tracked(2)), co_await value(Tracked(3))));
  });
  expect_five([]() -> Lazy {
    auto [a, b] = std::pair{co_await value(Tracked(2)), co_await value(Tracked(3))};
    co_return Tracked(a.number + b.number);
  });
  expect_five([]() -> Lazy {
    std::optional<Tracked> result;
    result.emplace(co_await value(Tracked(5)));
    co_return *result;
  });
}

TEST(CoAwait, DestroysItsTemporariesWhenItThrows) {
  expect_five([]() -> Lazy {
    try {
      co_await fail(Tracked(1));
    } catch (const std::runtime_error&) {
      co_return Tracked(5);
    }
    co_return Tracked(0);
  });
}

// A loop of awaits must not grow the stack: symmetric transfer has to be a tail call in every
// build.
TEST(CoAwait, TransfersWithoutGrowingTheStack) {
  expect_five([]() -> Lazy {
    auto step = []() -> Lazy { co_return Tracked(1); };
    for (int i = 0; i < 200'000; ++i) co_await step();
    co_return Tracked(5);
  });
}

// --- wrong on g++ 12 --------------------------------------------------------------------------

// Compiled out there and not expected to fail: a double destruction is undefined behaviour, it may
// crash the test.
#if defined(__clang__) || __GNUC__ >= 13

TEST(CoAwaitNotOnGcc12, TakesATemporaryLambdaWithCaptures) {
  expect_five([]() -> Lazy {
    Tracked x(5);
    co_return co_await call([x] { return x.number; });
  });
  expect_five([]() -> Lazy {
    Tracked x(5);
    co_return co_await call_forwarded([x] { return x.number; });
  });
  expect_five([]() -> Lazy {
    auto p = std::make_unique<int>(5);
    co_return co_await call([p = std::move(p)] { return *p; });
  });
  expect_five([]() -> Lazy {
    co_return co_await call(
        [p = std::pair<std::string, int>(std::string(40, 'x'), 5)] { return p.second; });
  });
}

TEST(CoAwaitNotOnGcc12, TakesATemporaryLambdaAsStdFunction) {
  auto call_function = [](std::function<int()> function) -> Lazy { co_return Tracked(function()); };
  expect_five([=]() -> Lazy {
    Tracked x(5);
    co_return co_await call_function([x] { return x.number; });
  });
  expect_five([=]() -> Lazy {
    Tracked x(5);
    co_return co_await call_function(std::function<int()>([x] { return x.number; }));
  });
}

template <typename Function>
class CallAwaiter {
 public:
  explicit CallAwaiter(Function function) : function_(std::move(function)) {}
  bool await_ready() const noexcept { return true; }
  void await_suspend(std::coroutine_handle<> /*awaiter*/) const noexcept {}
  Tracked await_resume() { return Tracked(function_()); }

 private:
  Function function_;
};

TEST(CoAwaitNotOnGcc12, TakesATemporaryLambdaForAnAwaiterOrAPlainFunction) {
  expect_five([]() -> Lazy {
    Tracked x(5);
    co_return co_await CallAwaiter([x] { return x.number; });
  });
  expect_five([]() -> Lazy {
    auto plain = [](auto function) { return call(std::move(function)); };
    Tracked x(5);
    co_return co_await plain([x] { return x.number; });
  });
}

TEST(CoAwaitNotOnGcc12, TakesACoroutineLambdaCalledOnTheSpot) {
  expect_five([]() -> Lazy {
    Tracked x(5);
    co_return co_await [x]() -> Lazy { co_return x; }();  // NOLINT: the lambda outlives the await
  });
}

struct AggregateOptions {
  Tracked tracked;
  int count = 3;
};

TEST(CoAwaitNotOnGcc12, TakesTemporaryAggregates) {
  auto by_value = [](AggregateOptions o) -> Lazy { co_return Tracked(o.tracked.number + o.count); };
  auto by_const_reference = [](const AggregateOptions& o) -> Lazy {
    co_return Tracked(o.tracked.number + o.count);
  };
  auto array = [](std::array<Tracked, 2> a) -> Lazy {
    co_return Tracked(a[0].number + a[1].number);
  };
  expect_five([=]() -> Lazy {
    co_return co_await by_value(AggregateOptions{.tracked = Tracked(2), .count = 3});
  });
  expect_five([=]() -> Lazy {
    co_return co_await by_const_reference(AggregateOptions{.tracked = Tracked(2)});
  });
  expect_five([=]() -> Lazy { co_return co_await array({Tracked(2), Tracked(3)}); });
}

TEST(CoAwaitNotOnGcc12, TakesATemporaryMessage) {
  expect_five([]() -> Lazy {
    Queue queue;
    co_return co_await queue.put(Message{2, Tracked(3)});
  });
  expect_five([]() -> Lazy {
    Queue queue;
    co_return co_await queue.put({2, Tracked(3)});
  });
  expect_five([]() -> Lazy {
    Queue queue;
    co_return co_await queue.put_reference(Message{2, Tracked(3)});
  });
}

TEST(CoAwaitNotOnGcc12, StandsInBothBranchesOfAConditional) {
  for (const bool first : {true, false}) {
    expect_five([=]() -> Lazy {
      auto result = first ? co_await value(Tracked(5)) : co_await value(Tracked(5));
      co_return result;
    });
  }
}

struct Two {
  Tracked first;
  Tracked second;
};

TEST(CoAwaitNotOnGcc12, InitialisesAnAggregate) {
  expect_five([]() -> Lazy {
    Two two{co_await value(Tracked(1)), co_await value(Tracked(4))};
    co_return Tracked(two.first.number + two.second.number);
  });
}

#endif

// --- not even compiled by g++ 12 and 13 -------------------------------------------------------

#if defined(__clang__) || __GNUC__ >= 14

TEST(CoAwaitNotOnGcc13, TakesAnInitialiserList) {
  auto sum = [](std::vector<Tracked> v) -> Lazy {
    co_return Tracked(v.at(0).number + v.at(1).number);
  };
  expect_five([=]() -> Lazy { co_return co_await sum({Tracked(1), Tracked(4)}); });
  expect_five([]() -> Lazy {
    std::vector<Tracked> v{co_await value(Tracked(1)), co_await value(Tracked(4))};
    co_return Tracked(v.at(0).number + v.at(1).number);
  });
}

#endif

}  // namespace
