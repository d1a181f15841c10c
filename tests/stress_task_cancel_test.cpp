/// stress_task_cancel_test.cpp: one task, and a thread that cancels it at a random moment.
///
/// The cancel meets the task new, ready, running, asleep, waiting on a future, on a task, on a
/// future of another loop, or done. Every round must end (no wake is lost), in one outcome that
/// fits what the body saw, with every cancel counted once.

#include <rota/future.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>

#include "support/loop_thread.hpp"
#include "support/stress.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <random>
#include <thread>

namespace {

using namespace std::chrono_literals;
using rota::CancelledError;
using rota::Coro;
using rota::create_task;
using rota::Future;
using rota::sleep;
using rota::Task;
using rota::testing_support::LoopThread;
using rota::testing_support::random_delay;
using rota::testing_support::stress_random;
using rota::testing_support::stress_rounds;

enum class Kind : std::uint8_t {
  returns,
  yields,
  sleeps,
  waits_on_future,
  waits_on_task,
  waits_abroad,
  refuses,
  sleeps_for_ever,  ///< These two end by the cancel or not at all.
  waits_for_ever,
  all
};

bool ends_only_by_cancel(Kind kind) {
  return kind == Kind::sleeps_for_ever || kind == Kind::waits_for_ever;
}

/// What the body of a round saw. The loop's plain data.
struct Seen {
  int started = 0;
  int returned = 0;
  int cancelled = 0;  ///< CancelledErrors that passed through or were caught.
};

/// Hands each round's task to the canceller, and its report back.
struct Exchange {
  std::atomic<int> round{0};  ///< The driver stores; the canceller waits for the next. -1: the end.
  Task<int> task;             ///< Published by `round`.
  std::uint64_t delay_seed = 0;
  int times = 0;     ///< How often to cancel.
  int accepted = 0;  ///< How many said true: published by the message that ends the round.
};

Future<int> set_soon(int yields) {
  const Future<int> future;
  create_task([](Future<int> target, int turns) -> Coro<> {
    for (int i = 0; i < turns; ++i) co_await sleep(0s);
    if (!target.done()) target.set_result(1);
  }(future, yields));
  return future;
}

Coro<int> yield_and_give(int yields) {
  for (int i = 0; i < yields; ++i) co_await sleep(0s);
  co_return 1;
}

/// A future of `other`'s loop, which is set there after a while.
Coro<Future<int>> future_of(LoopThread& other, int yields) {
  const Future<Future<int>> made;
  other.handle().call_soon_threadsafe([made, yields, home = rota::get_running_loop().handle()] {
    const Future<int> future = set_soon(yields);
    future.remove_done_callback(future.add_done_callback([](const Future<int>&) {}));  // binds it
    home.call_soon_threadsafe([made, future] { made.set_result(future); });
  });
  co_return co_await made;
}

Coro<int> body_of(Kind kind, int length, Future<int> abroad, Seen& seen) {
  ++seen.started;
  try {
    switch (kind) {
      case Kind::returns:
        break;
      case Kind::yields:
        co_await yield_and_give(length);
        break;
      case Kind::sleeps:
        co_await sleep(std::chrono::microseconds(length));
        break;
      case Kind::waits_on_future:
        co_await set_soon(length);
        break;
      case Kind::waits_on_task:
        co_await create_task(yield_and_give(length));
        break;
      case Kind::waits_abroad:
        co_await abroad;
        break;
      case Kind::sleeps_for_ever:
        co_await yield_and_give(length % 8);
        co_await sleep(1h);
        break;
      case Kind::waits_for_ever:
        co_await yield_and_give(length % 8);
        co_await Future<>();
        break;
      case Kind::refuses:
      case Kind::all:
        for (int i = 0; i <= length; ++i) {
          try {
            co_await sleep(std::chrono::microseconds(i % 3));
          } catch (const CancelledError&) {
            ++seen.cancelled;
          }
        }
        break;
    }
  } catch (const CancelledError&) {
    ++seen.cancelled;
    throw;
  }
  ++seen.returned;
  co_return 1;
}

void check(Kind kind, const Seen& seen, const Exchange& exchange) {
  const Task<int>& task = exchange.task;
  ASSERT_TRUE(task.done());
  ASSERT_EQ(task.cancelling(), static_cast<std::uint64_t>(exchange.accepted));
  ASSERT_FALSE(task.cancel());
  if (exchange.accepted == 0) {
    ASSERT_EQ(seen.cancelled, 0);
  }
  if (task.cancelled()) {
    ASSERT_GT(exchange.accepted, 0);
    ASSERT_EQ(seen.returned, 0);
    ASSERT_EQ(seen.cancelled, seen.started == 0 ? 0 : 1);
  } else {
    ASSERT_EQ(task.result(), 1);
    ASSERT_EQ(seen.started, 1);
    ASSERT_EQ(seen.returned, 1);
    ASSERT_LE(seen.cancelled, kind == Kind::refuses ? exchange.accepted : 0);
  }
}

/// Gives how many rounds ended cancelled.
Coro<int> drive(Kind only, int rounds, std::mt19937_64& random, LoopThread& other,
                Exchange& exchange, Future<>*& round_ended) {
  int ended_cancelled = 0;
  for (int round = 1; round <= rounds && !testing::Test::HasFatalFailure(); ++round) {
    const Kind kind =
        only == Kind::all ? static_cast<Kind>(random() % static_cast<unsigned>(Kind::all)) : only;
    const int length =
        static_cast<int>(random() % (std::uint64_t{1} << (random() % 8)));  // mostly short
    Future<int> abroad;
    if (kind == Kind::waits_abroad) abroad = co_await future_of(other, length);
    Seen seen;
    Future<> ended;
    round_ended = &ended;
    exchange.accepted = 0;
    exchange.times = static_cast<int>(random() % 4);
    if (ends_only_by_cancel(kind)) exchange.times = std::max(exchange.times, 1);
    exchange.delay_seed = random();
    exchange.task = create_task(body_of(kind, length, abroad, seen));
    exchange.round.store(round, std::memory_order_release);
    random_delay(random);  // time for a cancel before the first step
    try {
      co_await exchange.task;
    } catch (const CancelledError&) {
    }
    co_await ended;
    check(kind, seen, exchange);
    if (exchange.task.cancelled()) ++ended_cancelled;
    exchange.task = {};
  }
  exchange.round.store(-1, std::memory_order_release);
  co_return ended_cancelled;
}

void cancel_rounds(Exchange& exchange, LoopThread& loop, Future<>*& round_ended) {
  for (int last = 0;;) {
    // Not wait(): who has to be woken comes when the task is long done.
    int round = last;
    for (int turns = 0; round == last; round = exchange.round.load(std::memory_order_acquire)) {
      if (++turns % 1000 == 0) std::this_thread::yield();
    }
    last = round;
    if (last == -1) return;
    std::mt19937_64 random(exchange.delay_seed);
    int accepted = 0;
    for (int i = 0; i < exchange.times; ++i) {
      random_delay(random);
      const bool alive = i % 2 == 0 ? exchange.task.cancel() : exchange.task.cancel("stress");
      if (alive) ++accepted;
    }
    loop.handle().call_soon_threadsafe([&, accepted] {
      exchange.accepted = accepted;
      round_ended->set_result();
    });
  }
}

void run_rounds(Kind kind, int rounds) {
  auto random = stress_random();
  LoopThread loop;
  LoopThread other;
  Exchange exchange;
  Future<>* round_ended = nullptr;
  std::thread canceller([&] { cancel_rounds(exchange, loop, round_ended); });
  const auto driver = loop.call(
      [&] { return create_task(drive(kind, rounds, random, other, exchange, round_ended)); });
  loop.join(driver);
  canceller.join();
  const int ended_cancelled = driver.result();
  std::printf("cancelled: %d of %d\n", ended_cancelled, rounds);
  if (ends_only_by_cancel(kind)) {
    EXPECT_EQ(ended_cancelled, rounds);
  } else {
    EXPECT_LT(ended_cancelled, rounds);  // a quarter of the rounds has no cancel
  }
  if (kind == Kind::all) {
    EXPECT_GT(ended_cancelled, 0);
  }
  loop.call([&] { EXPECT_TRUE(loop.loop().timers.empty()); });
}

TEST(StressTaskCancel, ATaskThatReturns) { run_rounds(Kind::returns, stress_rounds(2000)); }
TEST(StressTaskCancel, ATaskThatYields) { run_rounds(Kind::yields, stress_rounds(2000)); }
TEST(StressTaskCancel, ATaskThatSleeps) { run_rounds(Kind::sleeps, stress_rounds(2000)); }
TEST(StressTaskCancel, ATaskThatWaitsOnAFuture) {
  run_rounds(Kind::waits_on_future, stress_rounds(2000));
}
TEST(StressTaskCancel, ATaskThatWaitsOnATask) {
  run_rounds(Kind::waits_on_task, stress_rounds(2000));
}
TEST(StressTaskCancel, ATaskThatWaitsOnAFutureOfAnotherLoop) {
  run_rounds(Kind::waits_abroad, stress_rounds(2000));
}
TEST(StressTaskCancel, ATaskThatRefuses) { run_rounds(Kind::refuses, stress_rounds(2000)); }
TEST(StressTaskCancel, ATaskThatSleepsForEver) {
  run_rounds(Kind::sleeps_for_ever, stress_rounds(2000));
}
TEST(StressTaskCancel, ATaskThatWaitsForEver) {
  run_rounds(Kind::waits_for_ever, stress_rounds(2000));
}
TEST(StressTaskCancel, AllOfThese) { run_rounds(Kind::all, stress_rounds(2000)); }

}  // namespace
