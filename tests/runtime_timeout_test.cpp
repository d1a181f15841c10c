/// runtime_timeout_test.cpp: timeout: deadlines, nesting, and whose cancellation becomes
/// TimeoutError.
///
/// The statements quoted are asyncio's, by their numbers in the catalogue of behaviours; the order
/// lists are CPython 3.15's.

#include <rota/future.hpp>
#include <rota/timeout.hpp>
#include <rota/with.hpp>

#include "support/observe.hpp"
#include "support/scopes.hpp"
#include "support/test_loop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <coroutine>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
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
using rota::timeout;
using rota::Timeout;
using rota::timeout_at;
using rota::TimeoutError;
using rota::TimePoint;
using rota::with;

constexpr auto sleep_ten = [](Timeout&) -> Coro<> { co_await sleep(10s); };

// TO01 "Deadline passes inside the block: body cancelled, TimeoutError outside, expired() true."
TEST(Timeout, TO01TheBodyIsCancelledAndTimeoutErrorLeaves) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    bool cancelled = false;
    Timeout scope(1s);
    EXPECT_EQ(scope.when(), TimePoint(1s));
    auto body = [](Timeout&, bool& seen) -> Coro<> {
      try {
        co_await sleep(10s);
      } catch (const CancelledError&) {
        seen = true;
        throw;
      }
    };
    EXPECT_EQ(co_await result_in(scope, body, std::ref(cancelled)), "timeout");
    EXPECT_TRUE(cancelled);
    EXPECT_TRUE(scope.expired());
    EXPECT_EQ(test.now(), 1s);

    Timeout at = timeout_at(test->time() + 2s);
    EXPECT_EQ(co_await result_in(at, sleep_ten), "timeout");
    EXPECT_TRUE(at.expired());
    EXPECT_EQ(test.now(), 3s);
  }(loop));
}

TEST(Timeout, TO01TheShortFormGivesTheResultOrTimeoutError) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    EXPECT_EQ(co_await timeout(2s, give_after(1s, 5)), 5);
    std::string text;
    try {
      co_await timeout(1s, give_after(2s, 5));
    } catch (const TimeoutError& error) {
      text = error.what();
    }
    EXPECT_EQ(text, "timed out");
    Future<int> future;
    auto task = create_task(give_after(1s, 6));
    EXPECT_EQ(co_await timeout(2s, task), 6);
    EXPECT_EQ(task.result(), 6) << "an lvalue keeps its result";
    EXPECT_EQ(co_await timeout(1s, sleep(0s, 7)), 7);
    co_await timeout(1s, sleep(0s));
  }());
}

// TO02 "No deadline (None) never expires."
TEST(Timeout, TO02WithoutADeadlineItNeverExpires) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    Timeout plain;
    Timeout none = timeout(std::nullopt);
    Timeout at_none = timeout_at(std::nullopt);
    for (Timeout* scope : {&plain, &none, &at_none}) {
      EXPECT_EQ(scope->when(), std::nullopt);
      EXPECT_EQ(co_await result_in(*scope, sleep_ten), "none");
      EXPECT_FALSE(scope->expired());
    }
  }());
}

// TO03 "Finishes before: no exception, timer removed."
TEST(Timeout, TO03WhatFinishesBeforeLeavesNoTimer) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    Timeout scope(10s);
    auto body = [](Timeout&, TestLoop& running) -> Coro<> {
      co_await sleep(1s);
      EXPECT_EQ(running->timers.size(), 1u);
    };
    EXPECT_EQ(co_await result_in(scope, body, std::ref(test)), "none");
    EXPECT_FALSE(scope.expired());
    EXPECT_EQ(test->timers.size(), 0u);
    EXPECT_EQ(test.now(), 1s);
  }(loop));
}

// TO04 "0, negative or past deadlines fire at the first suspension, even sleep(0); a body without
// suspension completes."
TEST(Timeout, TO04PastDeadlinesFireAtTheFirstSuspension) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    co_await sleep(5s);
    auto yields = [](Timeout&) -> Coro<> { co_await sleep(0s); };
    EXPECT_EQ(co_await result_of(timeout(0s), yields), "timeout");
    EXPECT_EQ(co_await result_of(timeout(-1s), yields), "timeout");
    EXPECT_EQ(co_await result_of(timeout_at(TimePoint(1s)), yields), "timeout");
    EXPECT_EQ(co_await result_of(timeout(0s), sleep_ten), "timeout");

    auto busy = [](Timeout&) -> Coro<> { co_return; };
    Timeout scope(0s);
    EXPECT_EQ(co_await result_in(scope, busy), "none");
    EXPECT_FALSE(scope.expired());
    co_await sleep(0s);  // the entry that was queued finds no scope
    EXPECT_EQ(current_task().cancelling(), 0u);
  }());
  EXPECT_EQ(loop.now(), 5s);
}

TEST(Timeout, TO04TheOrderOfAPastDeadlineIsAsyncios) {
  TestLoop loop;
  Order order;
  loop.run([](Order& seen) -> Coro<> {
    auto ticks = create_task(ticker(seen, 6));
    auto body = [](Timeout&, Order& in) -> Coro<> {
      in.add("in");
      bool cancelled = false;
      try {
        co_await sleep(0s);
      } catch (const CancelledError&) {
        cancelled = true;
        in.add("cancelled");
        throw;
      }
      EXPECT_TRUE(cancelled);
    };
    co_await create_task(observe(seen, "to", with(timeout(0s), body, std::ref(seen))));
    co_await ticks;
  }(order));
  EXPECT_EQ(order.text(), "0 in 1 cancelled to:timeout 2 3 4 5");
}

TEST(Timeout, TO04ADeadlineThatFallsDueQueuesBehindWhatIsReady) {
  // The future is set in the step before the deadline: its waiter is ready when the timer fires,
  // and runs first.
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    Future<int> future;
    auto waiting = create_task(timeout(1s, future));
    co_await sleep(0s);
    future.set_result(5);
    test->kernel->jump_to(2'000'000'000);
    EXPECT_EQ(co_await waiting, 5);
  }(loop));
}

TEST(Timeout, TO04WhatIsSetInTheStepOfTheDeadlineComesTooLate) {
  TestLoop loop;
  Order order;
  loop.run([](TestLoop& test, Order& seen) -> Coro<> {
    Future<int> future;
    test->call_at(TimePoint(1s), [future] { future.set_result(1); });
    co_await observe(seen, "first", timeout(1s, future));
  }(loop, order));
  EXPECT_EQ(
      order.text(),
      "first:timeout");  // as CPython: the wake-up is queued, and the cancel comes before it runs
}

// TO05 "Outer deadline passes while the inner's body is busy: TimeoutError only at the outer, the
// inner is not expired and lets CancelledError pass."
TEST(Timeout, TO05TheOuterDeadlinePassesThroughTheInner) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    Timeout outer(1s);
    Timeout inner(2s);
    auto body = [](Timeout&, Timeout& within, TestLoop& clock) -> Coro<> {
      auto busy = [](Timeout&, TestLoop& running) -> Coro<> {
        running->kernel->jump_to(1'500'000'000);  // no await while the outer deadline passes
        co_await sleep(0s);
        co_await sleep(10s);
      };
      EXPECT_EQ(co_await result_in(within, busy, std::ref(clock)), "cancelled");
      throw CancelledError();
    };
    EXPECT_EQ(co_await result_in(outer, body, std::ref(inner), std::ref(test)), "timeout");
    EXPECT_TRUE(outer.expired());
    EXPECT_FALSE(inner.expired());
  }(loop));
}

// TO06 "Same deadline in both scopes: both expired() are true, the inner lets CancelledError
// through, TimeoutError leaves only the outermost."
TEST(Timeout, TO06SameDeadlinesMakeOneTimeoutErrorAtTheOutermost) {
  TestLoop loop;
  Order order;
  loop.run([](Order& seen) -> Coro<> {
    Timeout outer = timeout_at(TimePoint(1s));
    Timeout inner = timeout_at(TimePoint(1s));
    auto body = [](Timeout&, Timeout& within, Order& said) -> Coro<> {
      std::exception_ptr exception;
      try {
        co_await with(within, sleep_ten);
      } catch (...) {
        exception = std::current_exception();
      }
      said.add("inner:" + word_for(exception));
      std::rethrow_exception(exception);
    };
    seen.add("outer:" + co_await result_in(outer, body, std::ref(inner), std::ref(seen)));
    EXPECT_TRUE(outer.expired());
    EXPECT_TRUE(inner.expired());
    EXPECT_EQ(current_task().cancelling(), 0u);
  }(order));
  EXPECT_EQ(order.text(), "inner:cancelled outer:timeout");
}

// TO07 "A foreign exception raised in the body passes unchanged, also when raised after expiry
// during clean-up."
TEST(Timeout, TO07OtherErrorsPassUnchanged) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    auto fails = [](Timeout&) -> Coro<> { co_await fail_after(0s, "foreign"); };
    EXPECT_EQ(co_await result_of(timeout(1s), fails), "foreign");
    Timeout scope(1s);
    auto cleans_up = [](Timeout&) -> Coro<> {
      try {
        co_await sleep(10s);
      } catch (const CancelledError&) {
        throw std::runtime_error("in clean-up");
      }
    };
    EXPECT_EQ(co_await result_in(scope, cleans_up), "in clean-up");
    EXPECT_TRUE(scope.expired());
    EXPECT_EQ(current_task().cancelling(), 0u);
    co_await sleep(0s);
  }());
}

// TO08 "External cancel inside an unexpired block stays CancelledError."
TEST(Timeout, TO08ACancelFromOutsideStaysACancel) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    auto task = create_task(timeout(1h, sleep(2h)));
    co_await sleep(1s);
    task.cancel("outside");
    std::string message;
    try {
      co_await task;
    } catch (const CancelledError& error) {
      message = error.message();
    }
    EXPECT_EQ(message, "outside");
    EXPECT_TRUE(task.cancelled());
  }());
}

TEST(Timeout, TO08ACancelBesideTheExpiryWinsOverIt) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    Order order;
    auto task = create_task(observe(order, "t", timeout(1s, sleep(2h))));
    co_await sleep(0s);
    get_running_loop().call_at(TimePoint(1s),
                               [task] { task.cancel(); });  // after the scope's timer
    co_await task;
    EXPECT_EQ(order.text(), "t:cancelled");
    EXPECT_EQ(task.cancelling(), 1u);
  }());
}

// TO09 "After the block the task is not left cancelled (count restored)."
TEST(Timeout, TO09TheCountIsRestored) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    EXPECT_EQ(co_await result_of(timeout(1s), sleep_ten), "timeout");
    EXPECT_EQ(current_task().cancelling(), 0u);
    co_await sleep(1s);
    co_await sleep(0s);
  }());
}

// TO10 "The decision is count based: TimeoutError only if uncancel() is back at the count seen on
// entry; so it works in a task that was cancelled earlier and caught it."
TEST(Timeout, TO10WorksInATaskThatCaughtACancelBefore) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    auto task = create_task([]() -> Coro<std::string> {
      try {
        co_await sleep(1h);
      } catch (const CancelledError&) {
      }
      EXPECT_EQ(current_task().cancelling(), 1u);
      const std::string within = co_await result_of(timeout(1s), sleep_ten);
      EXPECT_EQ(current_task().cancelling(), 1u);
      co_return within;
    }());
    co_await sleep(0s);
    task.cancel();
    EXPECT_EQ(co_await task, "timeout");
  }());
}

TEST(Timeout, TO10ACancelInsideATimeoutAfterACaughtOneStaysACancel) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    auto task = create_task([]() -> Coro<std::string> {
      try {
        co_await sleep(1h);
      } catch (const CancelledError&) {
      }
      co_return co_await result_of(timeout(1h), [](Timeout&) -> Coro<> {
        current_task().cancel();  // a second one
        co_await sleep(10s);
      });
    }());
    co_await sleep(0s);
    task.cancel();
    EXPECT_EQ(co_await task, "cancelled");
  }());
}

// TO11 "Body swallows the cancel: no TimeoutError, expired() still true."
TEST(Timeout, TO11ABodyThatSwallowsTheCancelGetsAway) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    Timeout scope(1s);
    auto swallows = [](Timeout&) -> Coro<> {
      try {
        co_await sleep(10s);
      } catch (const CancelledError&) {
      }
    };
    EXPECT_EQ(co_await result_in(scope, swallows), "none");
    EXPECT_TRUE(scope.expired());
    EXPECT_EQ(current_task().cancelling(), 0u);
    co_await sleep(0s);
  }());
}

/// A completion that cannot be undone: it comes a step later, and a cancel does not cost it.
struct FinalCompletion {
  explicit FinalCompletion() = default;
  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  void await_suspend(std::coroutine_handle<Promise> handle) {
    task = handle.promise().task;
    task->requeue(handle);
  }
  void await_resume() const { task->overtake_cancel(); }

  rota::detail::TaskBase* task = nullptr;
};

// D19: leaving takes back the scope's own cancel if it was never delivered, also when others are
// left in the count.
TEST(Timeout, TO11ACancelThatTheBodyNeverSawIsTakenBack) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    auto task = create_task([]() -> Coro<> {
      for (const std::uint64_t caught : {0u, 1u}) {
        Timeout scope(0s);
        EXPECT_EQ(co_await result_in(scope, [](Timeout&) -> Coro<> { co_await FinalCompletion(); }),
                  "none");
        EXPECT_TRUE(scope.expired());
        EXPECT_EQ(current_task().cancelling(), caught);
        co_await sleep(0s);
        if (caught == 1) break;
        try {
          co_await sleep(1h);
        } catch (const CancelledError&) {
        }
      }
    }());
    co_await sleep(1s);
    task.cancel();
    EXPECT_EQ(co_await word_of(task), "");
  }());
}

}  // namespace
