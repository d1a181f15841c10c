/// runtime_clock_test.cpp: durations become nanoseconds that are never early; a loop's time never
/// goes back.

#include <rota/clock.hpp>
#include <rota/error.hpp>
#include <rota/loop.hpp>

#include "support/test_loop.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <ratio>
#include <thread>
#include <type_traits>

namespace {

using namespace std::chrono_literals;
using rota::Duration;
using rota::EventLoop;
using rota::forever;
using rota::TimePoint;
using rota::detail::deadline_after;
using rota::detail::to_nanoseconds;
using rota::testing_support::TestLoop;

using Seconds = std::chrono::duration<double>;
using Picoseconds = std::chrono::duration<std::int64_t, std::pico>;
constexpr double infinity = std::numeric_limits<double>::infinity();

TEST(Clock, IsSteadyAndCountsNanoseconds) {
  EXPECT_TRUE(rota::Clock::is_steady);
  EXPECT_TRUE((std::is_same_v<Duration, std::chrono::nanoseconds>));
  EXPECT_EQ(TimePoint(5s) - TimePoint(3s), 2s);
}

TEST(Clock, WholeUnitsAreExact) {
  EXPECT_EQ(to_nanoseconds(0s), 0ns);
  EXPECT_EQ(to_nanoseconds(7ns), 7ns);
  EXPECT_EQ(to_nanoseconds(3ms), 3'000'000ns);
  EXPECT_EQ(to_nanoseconds(std::chrono::hours(24 * 365 * 200)),
            Duration(std::chrono::hours(24 * 365 * 200)));
  EXPECT_EQ(to_nanoseconds(-3ms), -3'000'000ns);
  EXPECT_EQ(to_nanoseconds(Seconds(1.5)), 1'500'000'000ns);
}

// LO05 "call_later never runs early": so fractions round up.
TEST(Clock, LO05FractionsRoundUp) {
  EXPECT_EQ(to_nanoseconds(Seconds(1e-10)), 1ns);
  EXPECT_EQ(to_nanoseconds(Picoseconds(1)), 1ns);
  EXPECT_EQ(to_nanoseconds(Picoseconds(1000)), 1ns);
  EXPECT_EQ(to_nanoseconds(Picoseconds(1001)), 2ns);
  EXPECT_EQ(to_nanoseconds(Seconds(-1e-10)), 0ns);
}

// SL05 "inf / huge timeouts are legal."
TEST(Clock, SL05WhatIsTooLongSaturates) {
  EXPECT_EQ(to_nanoseconds(Seconds(infinity)), forever);
  EXPECT_EQ(to_nanoseconds(Seconds(1e300)), forever);
  EXPECT_EQ(to_nanoseconds(std::chrono::hours::max()), forever);
  EXPECT_EQ(to_nanoseconds(Duration::max()), forever);
  EXPECT_EQ(to_nanoseconds(Seconds(-infinity)), -forever);
  EXPECT_EQ(to_nanoseconds(std::chrono::hours::min()), -forever);
}

// SL02 "NaN -> ValueError."
TEST(Clock, SL02NotANumberIsAValueError) {
  EXPECT_THROW((void)to_nanoseconds(Seconds(std::numeric_limits<double>::quiet_NaN())),
               rota::ValueError);
}

TEST(Clock, DeadlinesSaturateInsteadOfWrapping) {
  constexpr std::int64_t latest = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(deadline_after(100, 5ns), 105);
  EXPECT_EQ(deadline_after(100, -5ns), 95);
  EXPECT_EQ(deadline_after(100, forever), latest);
  EXPECT_EQ(deadline_after(latest, 1ns), latest);
  EXPECT_LT(deadline_after(100, -forever), 100);
  EXPECT_LT(deadline_after(100, Duration::min()), 100);
}

// LO08 "time() is monotonic."
TEST(Clock, LO08TimeOfARealLoopNeverGoesBack) {
  EventLoop loop;
  TimePoint last = loop.time();
  for (int i = 0; i < 10'000; ++i) {
    const TimePoint now = loop.time();
    ASSERT_GE(now, last);
    last = now;
  }
}

TEST(Clock, AllRealLoopsHaveOneClock) {
  EventLoop first;
  EventLoop second;
  const TimePoint before = first.time();
  const TimePoint between = second.time();
  const TimePoint after = first.time();
  EXPECT_LE(before, between);
  EXPECT_LE(between, after);
}

TEST(Clock, AVirtualClockStartsAtZeroAndMovesOnlyWhenNothingElseCanHappen) {
  TestLoop loop;
  EXPECT_EQ(loop.now(), 0s);
  int ticks = 0;
  std::function<void()> tick = [&] {
    if (++ticks < 1000) loop->call_soon(tick);
  };
  Duration fired{};
  loop->call_later(1h, [&] { fired = loop.now(); });
  loop->call_soon(tick);
  loop.run_until_idle();
  EXPECT_EQ(ticks, 1000);
  EXPECT_EQ(loop.now(), 0s);
  loop.advance(2h);
  EXPECT_EQ(fired, 1h);
  EXPECT_EQ(loop.now(), 2h);
}

// A hold stands for work elsewhere that will come back by the inbox: time must wait for it.
TEST(Clock, AVirtualClockDoesNotJumpOverWorkThatOthersHold) {
  TestLoop loop;
  bool came_back = false;
  Duration when{};
  loop->call_later(1ms, [&] {  // real time passes here: the least that can be told apart
    EXPECT_TRUE(came_back);
    when = loop.now();
    loop->stop();
  });
  loop->add_hold();
  std::thread worker([&, handle = loop->handle()] {
    handle.call_soon_threadsafe([&] {
      came_back = true;
      loop->remove_hold();
    });
  });
  loop->run_forever();
  worker.join();
  EXPECT_EQ(when, 1ms);
}

}  // namespace
