/// runtime_sleep_test.cpp: sleep: how long, in which order, with which result, and cancelled.

#include <rota/sleep.hpp>
#include <rota/task.hpp>

#include "support/test_loop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using rota::CancelledError;
using rota::Coro;
using rota::EventLoop;
using rota::sleep;
using rota::testing_support::Order;
using rota::testing_support::TestLoop;

using Seconds = std::chrono::duration<double>;

Coro<> sleep_and_say(Order& order, std::chrono::nanoseconds delay, std::string what) {
  co_await sleep(delay);
  order.add(what);
}

// SL01 "sleep(0) yields exactly one loop iteration (after I/O poll)."
TEST(Sleep, SL01ZeroYieldsExactlyOneStep) {
  TestLoop loop;
  Order order;
  auto task = loop->create_task([](Order& out) -> Coro<> {
    for (int i = 0; i < 3; ++i) {
      out.add(std::to_string(i));
      co_await sleep(0s);
    }
  }(order));
  for (std::size_t step = 1; step <= 3; ++step) {
    loop.run_steps(1);
    EXPECT_FALSE(task.done());
  }
  EXPECT_EQ(order.text(), "0 1 2");
  loop.run_steps(1);
  EXPECT_TRUE(task.done());
  EXPECT_EQ(loop.steps(), 4u);
}

TEST(Sleep, SL01TasksThatYieldTakeTurns) {
  TestLoop loop;
  Order order;
  auto turns = [](Order& out, std::string name) -> Coro<> {
    for (int i = 0; i < 3; ++i) {
      out.add(name + std::to_string(i));
      co_await sleep(0s);
    }
  };
  loop->create_task(turns(order, "a"));
  loop->create_task(turns(order, "b"));
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "a0 b0 a1 b1 a2 b2");
  EXPECT_EQ(loop.now(), 0s);
}

// The poll comes between two yields: what another thread posted meanwhile runs in the next step.
TEST(Sleep, SL01ThePollBetweenTwoYieldsSeesWhatOthersPosted) {
  TestLoop loop;
  Order order;
  loop.run([](TestLoop& test, Order& out) -> Coro<> {
    std::thread([&] { test->call_soon_threadsafe(out.adder("posted")); }).join();
    co_await sleep(0s);
    out.add("one");
    co_await sleep(0s);
    out.add("two");
  }(loop, order));
  EXPECT_EQ(order.text(), "one posted two");
}

// SL02 "Negative = 0; NaN -> ValueError."
TEST(Sleep, SL02NegativeIsLikeZero) {
  TestLoop loop;
  Order order;
  loop->create_task(sleep_and_say(order, -5s, "negative"));
  loop->create_task(sleep_and_say(order, 0s, "zero"));
  loop->create_task(sleep_and_say(order, std::chrono::nanoseconds::min(), "least"));
  loop.run_steps(2);
  EXPECT_EQ(order.text(), "negative zero least");
  EXPECT_EQ(loop.now(), 0s);
  loop.run(sleep(Seconds(-std::numeric_limits<double>::infinity())));
  EXPECT_EQ(loop.now(), 0s);
}

TEST(Sleep, SL02NotANumberIsAValueError) {
  EXPECT_THROW((void)sleep(Seconds(std::numeric_limits<double>::quiet_NaN())), rota::ValueError);
  TestLoop loop;
  EXPECT_THROW(loop.run([]() -> Coro<> {
    co_await sleep(Seconds(std::numeric_limits<double>::quiet_NaN()), 1);
  }()),
               rota::ValueError);
}

// SL03 "sleep(delay, result) returns result."
TEST(Sleep, SL03GivesItsResult) {
  TestLoop loop;
  EXPECT_EQ(loop.run(sleep(10s, std::string("slept"))), "slept");
  EXPECT_EQ(loop.now(), 10s);
  EXPECT_EQ(*loop.run(sleep(0s, std::make_unique<int>(3))), 3);
}

// SL04 "Cancelled sleep removes its timer."
TEST(Sleep, SL04ACancelledSleepRemovesItsTimer) {
  TestLoop loop;
  Order order;
  auto task = loop->create_task(sleep_and_say(order, 1h, "slept"));
  loop.run_until_idle();
  EXPECT_FALSE(loop->timers.empty());
  loop.call([&] {
    task.cancel();
    EXPECT_TRUE(loop->timers.empty());
  });
  loop.run_until_idle();
  EXPECT_TRUE(task.cancelled());
  loop.advance(2h);
  EXPECT_EQ(order.text(), "");
}

TEST(Sleep, SL04OthersOfTheSameDeadlineKeepTheirs) {
  TestLoop loop;
  Order order;
  std::vector<rota::Task<>> tasks;
  for (int i = 0; i < 100; ++i)
    tasks.push_back(loop->create_task(sleep_and_say(order, 1s, std::to_string(i))));
  loop.run_until_idle();
  std::string expected;
  loop.call([&] {
    for (std::size_t i = 0; i < 100; ++i) {
      if (i % 7 != 0) tasks[i].cancel();
    }
  });
  for (int i = 0; i < 100; i += 7) expected += (i == 0 ? "" : " ") + std::to_string(i);
  loop.advance(1s);
  EXPECT_EQ(order.text(), expected);
}

TEST(Sleep, ALoopThatClosesTakesTheTimersOfItsSleepersAlong) {
  TestLoop loop;
  Order order;
  auto task = loop->create_task(sleep_and_say(order, 1h, "slept"));
  loop.run_until_idle();
  loop->close();
  EXPECT_TRUE(task.cancelled());
  EXPECT_EQ(order.text(), "");
}

// SL05 "inf / huge timeouts are legal."
TEST(Sleep, SL05InfiniteAndHugeDelaysAreLegal) {
  TestLoop loop;
  std::vector<rota::Task<>> tasks;
  auto nap = [](auto delay) -> Coro<> { co_await sleep(delay); };
  tasks.push_back(loop->create_task(nap(Seconds(std::numeric_limits<double>::infinity()))));
  tasks.push_back(loop->create_task(nap(Seconds(1e300))));
  tasks.push_back(loop->create_task(nap(std::chrono::hours::max())));
  tasks.push_back(loop->create_task(nap(std::chrono::nanoseconds::max())));
  tasks.push_back(loop->create_task(nap(rota::forever)));
  loop.advance(24h * 365 * 100);
  for (auto& task : tasks) {
    EXPECT_FALSE(task.done());
    task.cancel();
  }
  loop.run_until_idle();
  for (auto& task : tasks) EXPECT_TRUE(task.cancelled());
}

// SL06 "Five sleeps from 1e-2 to 1e-10 s need at most 20 loop iterations (no busy spin because of
// rounding down)."
TEST(Sleep, SL06ShortSleepsDoNotSpin) {
  EventLoop loop;  // the real clock
  std::size_t steps = 0;
  rota::LoopHooks hooks;
  hooks.before_step = [&](EventLoop&) { ++steps; };
  loop.set_hooks(std::move(hooks));
  loop.run_until_complete([]() -> Coro<> {
    for (const double seconds : {1e-2, 1e-4, 1e-6, 1e-8, 1e-10}) {
      const auto before = rota::get_running_loop().time();
      co_await sleep(Seconds(seconds));
      EXPECT_GE(rota::get_running_loop().time() - before, Seconds(seconds));
    }
  }());
  EXPECT_LE(steps, 20u);
}

TEST(Sleep, EndsExactlyAtItsDeadlineAndNeverBefore) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    co_await sleep(1ns);
    EXPECT_EQ(test.now(), 1ns);
    co_await sleep(Seconds(1e-10));  // rounds up
    EXPECT_EQ(test.now(), 2ns);
    co_await sleep(24h);
    EXPECT_EQ(test.now(), 24h + 2ns);
  }(loop));
}

TEST(Sleep, WakesInTheOrderOfDeadlinesAndOfArmingWhereTheyAreEqual) {
  TestLoop loop;
  Order order;
  int number = 0;
  for (const auto delay : {3s, 1s, 2s, 1s, 3s, 2s, 1s}) {
    loop->create_task(sleep_and_say(
        order, delay, std::to_string(delay.count()) + ":" + std::to_string(number++)));
  }
  loop.advance(3s);
  EXPECT_EQ(order.text(), "1:1 1:3 1:6 2:2 2:5 3:0 3:4");
}

TEST(Sleep, CancelBeforeItWaitsThrowsAtTheSleep) {
  TestLoop loop;
  Order order;
  auto task = loop->create_task([](Order& out) -> Coro<> {
    rota::current_task().cancel("now");
    try {
      co_await sleep(1h, 5);
    } catch (const CancelledError& error) {
      out.add(error.message());
    }
    EXPECT_TRUE(rota::get_running_loop().timers.empty());
  }(order));
  loop.run(task);
  EXPECT_EQ(order.text(), "now");
}

TEST(Sleep, IsNotMadeAgainByBeingStoredAndAwaitedLater) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    auto nap = sleep(1s);  // the time counts from the await
    co_await sleep(5s);
    co_await std::move(nap);
    EXPECT_EQ(test.now(), 6s);
  }(loop));
}

}  // namespace
