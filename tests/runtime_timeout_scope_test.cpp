/// runtime_timeout_scope_test.cpp: the Timeout scope itself: reschedule, misuse, clean-up,
/// lifetime.
///
/// The statements quoted are asyncio's, by their numbers in the catalogue of behaviours; the order
/// lists are CPython 3.15's.

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
#include <limits>
#include <optional>
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
using rota::Future;
using rota::get_running_loop;
using rota::sleep;
using rota::TaskGroup;
using rota::timeout;
using rota::Timeout;
using rota::TimeoutError;
using rota::TimePoint;
using rota::with;

constexpr auto sleep_ten = [](Timeout&) -> Coro<> { co_await sleep(10s); };

// TO12 "reschedule(when) moves or disables; when() reads."
TEST(Timeout, TO12RescheduleMovesOrDisables) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    Timeout later(1s);
    auto postpone = [](Timeout& self) -> Coro<> {
      self.reschedule(TimePoint(5s));
      EXPECT_EQ(self.when(), TimePoint(5s));
      co_await sleep(1h);
    };
    EXPECT_EQ(co_await result_in(later, postpone), "timeout");
    EXPECT_EQ(test.now(), 5s);
    EXPECT_EQ(later.when(), TimePoint(5s));

    Timeout never(1s);
    auto disable = [](Timeout& self) -> Coro<> {
      self.reschedule(std::nullopt);
      EXPECT_EQ(self.when(), std::nullopt);
      co_await sleep(10s);
    };
    EXPECT_EQ(co_await result_in(never, disable), "none");
    EXPECT_EQ(test.now(), 15s);

    auto sooner = [](Timeout& self) -> Coro<> {
      self.reschedule(get_running_loop().time() - 1s);
      self.reschedule(get_running_loop().time() + 1s);  // takes the queued one back
      co_await sleep(0s);
      co_await sleep(1h);
    };
    EXPECT_EQ(co_await result_of(timeout(1h), sooner), "timeout");
    EXPECT_EQ(test.now(), 16s);
  }(loop));
}

TEST(Timeout, TO12AnotherTaskMayReschedule) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    Timeout scope(1h);
    auto hurry = create_task([](Timeout& other) -> Coro<> {
      co_await sleep(1s);
      other.reschedule(TimePoint(3s));
    }(scope));
    EXPECT_EQ(co_await result_in(scope, [](Timeout&) -> Coro<> { co_await sleep(2h); }), "timeout");
    EXPECT_EQ(test.now(), 3s);
    co_await hurry;
  }(loop));
}

// TO13 "reschedule before entry, when expiring, expired or finished: RuntimeError."
TEST(Timeout, TO13RescheduleNeedsAnActiveScope) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    auto message = [](Timeout& scope) {
      return thrown_by([&] { scope.reschedule(std::nullopt); });
    };
    Timeout scope(1s);
    EXPECT_EQ(message(scope), "Timeout has not been entered");
    std::string expiring;
    auto body = [](Timeout& self, std::string& seen) -> Coro<> {
      try {
        co_await sleep(10s);
      } catch (const CancelledError&) {
        seen = thrown_by([&] { self.reschedule(std::nullopt); });
        throw;
      }
    };
    EXPECT_EQ(co_await result_in(scope, body, std::ref(expiring)), "timeout");
    EXPECT_EQ(expiring, "Cannot change state of expiring Timeout");
    EXPECT_EQ(message(scope), "Cannot change state of expired Timeout");
    Timeout finished(1s);
    EXPECT_EQ(co_await result_in(finished, [](Timeout&) -> Coro<> { co_return; }), "none");
    EXPECT_EQ(message(finished), "Cannot change state of finished Timeout");
  }());
}

// TO14 "Enter twice: RuntimeError; outside a task: RuntimeError."
TEST(Timeout, TO14IsEnteredOnceAndInATask) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    Timeout scope(1s);
    EXPECT_EQ(co_await result_in(scope, [](Timeout&) -> Coro<> { co_return; }), "none");
    EXPECT_EQ(co_await result_in(scope, sleep_ten), "Timeout has already been entered");
    Timeout twice(1s);
    EXPECT_EQ(co_await result_in(
                  twice, [](Timeout& self) -> Coro<> { co_return co_await with(self, sleep_ten); }),
              "Timeout has already been entered");
  }());
  loop.call([] {
    EXPECT_EQ(thrown_by([] { timeout(1s).aenter(); }), "Timeout should be used inside a task");
  });
  EXPECT_EQ(thrown_by([] { (void)timeout(1s); }), "no running event loop");
  EXPECT_EQ(thrown_by([] { timeout(std::nullopt).aenter(); }),
            "Timeout should be used inside a task");
}

TEST(Timeout, TO14RejectsNotANumber) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    const std::chrono::duration<double> nan(std::numeric_limits<double>::quiet_NaN());
    EXPECT_THROW((void)timeout(nan), rota::ValueError);
    EXPECT_EQ(co_await result_of(timeout(std::chrono::duration<double>(0.5)), sleep_ten),
              "timeout");
  }());
  EXPECT_EQ(loop.now(), 500ms);
}

// TO15 "A timeout inside `finally` of a cancelled block works."
TEST(Timeout, TO15WorksInTheCleanUpOfACancelledBlock) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    std::string inner;
    auto body = [](Timeout&, std::string& seen) -> Coro<> {
      std::exception_ptr exception;
      try {
        co_await sleep(10s);
      } catch (...) {
        exception = std::current_exception();
      }
      seen = co_await result_of(timeout(1s), sleep_ten);
      std::rethrow_exception(exception);
    };
    EXPECT_EQ(co_await result_of(timeout(1s), body, std::ref(inner)), "timeout");
    EXPECT_EQ(inner, "timeout");
    EXPECT_EQ(test.now(), 2s);
  }(loop));
}

// TO16 "TaskGroup inside timeout: child errors during the timeout's cancel leave as the group
// error, not as TimeoutError."
TEST(Timeout, TO16ErrorsOfAGroupInsideWinOverTheTimeout) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    auto body = [](Timeout&) -> Coro<> {
      co_await with(TaskGroup(), [](TaskGroup& group) -> Coro<> {
        group.create_task([]() -> Coro<> {
          try {
            co_await sleep(10s);
          } catch (const CancelledError&) {
            throw std::runtime_error("in clean-up");
          }
        }());
        co_await sleep(10s);
      });
    };
    EXPECT_EQ(co_await result_of(timeout(1s), body), "group(in clean-up)");
    EXPECT_EQ(current_task().cancelling(), 0u);
    co_await sleep(0s);
  }());
}

// TO17 "The body sees CancelledError at its await and must let it pass; the caller sees
// TimeoutError."
TEST(Timeout, TO17TheBodySeesACancelTheCallerATimeout) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    Order order;
    auto waits = [](Timeout&, Order& seen) -> Coro<> {
      const Future<int> never;
      auto observed = [](Order& said, Future<int> future) -> Coro<> {
        try {
          co_await future;
        } catch (const CancelledError&) {
          said.add(future.cancelled() ? "both" : "body");
          throw;
        }
      };
      co_await observed(seen, never);
    };
    order.add(co_await result_of(timeout(1s), waits, std::ref(order)));
    EXPECT_EQ(order.text(), "both timeout");
  }());
}

// TO18 "TimeoutError carries the cancellation as its cause."
TEST(Timeout, TO18TheCancellationIsNestedInTheTimeoutError) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    std::string nested;
    try {
      co_await timeout(1s, sleep(10s));
    } catch (const TimeoutError& error) {
      nested = thrown_by([&] { std::rethrow_if_nested(error); });
    }
    EXPECT_EQ(nested, "cancelled");
  }());
}

// --- lifetime ----------------------------------------------------------------------------------

TEST(Timeout, LeavesNothingBehindWhenTheLoopCloses) {
  TestLoop loop;
  auto waiting = loop->create_task(timeout(1h, sleep(2h)));
  auto expired = loop->create_task(timeout(0s, sleep(2h)));
  loop.run_steps(1);  // the second one's deadline is queued
  loop->close();
  EXPECT_TRUE(waiting.cancelled());
  EXPECT_TRUE(expired.cancelled());
}

TEST(Timeout, TimeBeginsWithTheAwait) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    auto limited = timeout(2s, sleep(1s));
    co_await sleep(5s);
    co_await std::move(limited);
    EXPECT_EQ(test.now(), 6s);
  }(loop));
}

}  // namespace
