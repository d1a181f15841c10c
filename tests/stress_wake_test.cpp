/// stress_wake_test.cpp: calls that arrive while a loop goes to sleep. One lost wake and the test
/// hangs; the watchdog says where.

#include <rota/loop.hpp>

#include "support/loop_thread.hpp"
#include "support/stress.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <latch>
#include <random>
#include <thread>
#include <vector>

namespace {

using rota::testing_support::LoopThread;
using rota::testing_support::random_delay;
using rota::testing_support::sanitized;
using rota::testing_support::stress_random;
using rota::testing_support::stress_rounds;

TEST(StressWake, PingPongBetweenTwoLoops) {
  LoopThread first;
  LoopThread second;
  const int rounds = stress_rounds(sanitized ? 10'000 : 100'000);
  std::latch done(1);
  int pings = 0;  // each is touched by one loop
  int pongs = 0;
  std::function<void()> ping;
  std::function<void()> pong;
  ping = [&] {
    ++pings;
    second.handle().call_soon_threadsafe([&] { pong(); });
  };
  pong = [&] {
    if (++pongs == rounds) {
      done.count_down();
    } else {
      first.handle().call_soon_threadsafe([&] { ping(); });
    }
  };
  first.handle().call_soon_threadsafe([&] { ping(); });
  done.wait();
  EXPECT_EQ(second.call([&] { return pongs; }), rounds);  // and both have left our functions
  EXPECT_EQ(first.call([&] { return pings; }), rounds);
}

// One call at a time, each at a random moment after the loop ran out of work: before, in and after
// its way to sleep.
TEST(StressWake, ACallAtARandomMomentOfTheWayToSleep) {
  auto random = stress_random();
  std::atomic<int> answered = 0;
  LoopThread loop;  // last: it uses the above to its end
  const int rounds = stress_rounds(sanitized ? 5'000 : 50'000);
  for (int i = 0; i < rounds; ++i) {
    loop.handle().call_soon_threadsafe([&] {
      answered.fetch_add(1, std::memory_order_release);
      answered.notify_one();
    });
    answered.wait(i, std::memory_order_acquire);
    random_delay(random);
  }
  EXPECT_EQ(answered.load(std::memory_order_acquire), rounds);
}

// The wake of one caller must not be taken for the other's.
TEST(StressWake, TwoCallersThatEachWaitForTheirAnswer) {
  auto random = stress_random();
  LoopThread loop;
  const int rounds = stress_rounds(sanitized ? 3'000 : 30'000);
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 2; ++caller) {
    callers.emplace_back([&loop, rounds, own = std::mt19937_64(random())]() mutable {
      std::atomic<int> answered = 0;
      for (int i = 0; i < rounds; ++i) {
        loop.handle().call_soon_threadsafe([&] {
          answered.fetch_add(1, std::memory_order_release);
          answered.notify_one();
        });
        answered.wait(i, std::memory_order_acquire);
        random_delay(own);
      }
      loop.call([] {});  // so that the last notify_one() is over before `answered` ends
      EXPECT_EQ(answered.load(std::memory_order_acquire), rounds);
    });
  }
  for (auto& caller : callers) caller.join();
}

// Timers and calls together: whichever comes first ends the sleep, and the other is not forgotten.
TEST(StressWake, CallsWhileTimersFallDue) {
  auto random = stress_random();
  std::atomic<int> fired = 0;
  int called = 0;   // touched by the loop
  LoopThread loop;  // last: it uses the above to its end
  const int rounds = stress_rounds(sanitized ? 1'000 : 5'000);
  for (int i = 0; i < rounds; ++i) {
    loop.handle().call_soon_threadsafe([&, delay = std::chrono::nanoseconds(random() % 20'000)] {
      ++called;
      rota::get_running_loop().call_later(delay, [&] {
        fired.fetch_add(1, std::memory_order_release);
        fired.notify_one();
      });
    });
    if (i % 3 == 0) fired.wait(i, std::memory_order_acquire);
    random_delay(random);
  }
  for (int seen = fired.load(std::memory_order_acquire); seen < rounds;
       seen = fired.load(std::memory_order_acquire)) {
    fired.wait(seen, std::memory_order_acquire);
  }
  EXPECT_EQ(loop.call([&] { return called; }), rounds);
}

}  // namespace
