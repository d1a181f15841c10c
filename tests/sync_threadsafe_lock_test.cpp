/// sync_threadsafe_lock_test.cpp: threadsafe::Lock, between loops and threads. What it has in
/// common with rota::Lock is tested by sync_lock_test.cpp, which is built for both.
///
/// MT.. are the sentences on thread-safe variants in the catalogue of behaviours, in their order;
/// MX.. its tests for many loops.

#include <rota/error.hpp>
#include <rota/gather.hpp>
#include <rota/loop.hpp>
#include <rota/run_threadsafe.hpp>
#include <rota/runtime.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>
#include <rota/threadsafe/lock.hpp>

#include "support/child.hpp"
#include "support/loop_thread.hpp"
#include "support/shared_order.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace rota::testing_support;
using rota::Coro;
using rota::RuntimeError;
using rota::sleep;
using rota::threadsafe::Lock;
using testing::HasSubstr;

// --- MT01 --------------------------------------------------------------------------------------

Coro<> count_under(Lock& lock, int& counter, int rounds) {
  for (int round = 0; round < rounds; ++round) {
    const auto held = co_await lock.scoped();
    const int before = counter;
    if (round % 8 == 0) co_await sleep(0s);
    counter = before + 1;
  }
}

Coro<> count_on_all_loops(Lock& lock, int& counter, int rounds) {
  std::vector<Coro<>> all;
  for (const rota::LoopHandle& loop : rota::all_loops()) {
    for (int task = 0; task < 3; ++task) {
      all.push_back(
          wrap_future(run_coroutine_threadsafe(count_under(lock, counter, rounds), loop)));
    }
  }
  co_await rota::gather(std::move(all));
}

// MT01 "Thread-safe lock adds: mutual exclusion across loops"
TEST(ThreadsafeLock, MT01TasksOfAllLoopsAndThreadsExcludeEachOther) {
  Lock lock;
  int counter = 0;
  constexpr int rounds = 2000;
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 2; ++thread) {
    threads.emplace_back([&] {
      for (int round = 0; round < rounds; ++round) {
        lock.acquire_blocking();
        ++counter;
        lock.release();
      }
    });
  }
  rota::run(count_on_all_loops(lock, counter, rounds), {.loops = 4});
  threads.clear();
  EXPECT_EQ(counter, rounds * (2 + 4 * 3));
  EXPECT_FALSE(lock.locked());
}

// "FIFO by enqueue order under one lock word; a waiter is resumed on *its own* loop"
TEST(ThreadsafeLock, MT01WaitersOfLoopsAndThreadsAreServedInTheOrderTheyCame) {
  Lock lock;
  SharedOrder order;
  LoopThread one;
  LoopThread two;
  lock.acquire_blocking();
  const auto a = one.start(use_here<Lock>, std::ref(lock), std::ref(order), "a");
  wait_until_waiting(lock, 1);
  std::jthread b = use_on_thread(lock, order, "b");
  wait_until_waiting(lock, 2);
  const auto c = two.start(use_here<Lock>, std::ref(lock), std::ref(order), "c");
  wait_until_waiting(lock, 3);
  const auto d = one.start(use_here<Lock>, std::ref(lock), std::ref(order), "d");
  wait_until_waiting(lock, 4);
  std::jthread e = use_on_thread(lock, order, "e");
  wait_until_waiting(lock, 5);
  lock.release();
  one.join(d);
  e.join();
  EXPECT_EQ(order.text(), "a b c d e");
  EXPECT_FALSE(lock.locked());
}

// "LK07–LK09 hold when cancel comes from another thread". LK07 "If release happens while the head
// waiter has a pending cancel, the next live waiter gets the lock."
TEST(ThreadsafeLock, MT01AWaiterThatWasCancelledFromElsewhereIsNotInTheWay) {
  Lock lock;
  SharedOrder order;
  LoopThread one;
  LoopThread two;
  lock.acquire_blocking();
  const auto a = one.start(use_here<Lock>, std::ref(lock), std::ref(order), "a");
  wait_until_waiting(lock, 1);
  const auto b = two.start(use_here<Lock>, std::ref(lock), std::ref(order), "b");
  wait_until_waiting(lock, 2);
  a.cancel();
  wait_until_waiting(lock, 1);
  lock.release();
  two.join(b);
  one.join(a);
  EXPECT_THAT(order.text(), testing::AnyOf("a:cancelled b", "b a:cancelled"));
  EXPECT_TRUE(a.cancelled());
  EXPECT_FALSE(lock.locked());
}

// LK08, LK09: exactly one of the cancelled task and the next waiter has the lock at a time, and it
// is passed on. Here by the cancelled one itself: it has the lock already (EV08), and the cancel
// meets it at its next wait.
TEST(ThreadsafeLock, MT01ACancelAfterTheReleaseComesTooLateAndTheLockIsPassedOn) {
  Lock lock;
  SharedOrder order;
  LoopThread one;
  LoopThread two;
  lock.acquire_blocking();
  const auto a = one.start(
      [](Lock& contested, SharedOrder& out) -> Coro<> {
        const auto held = co_await contested.scoped();
        out.add("a");
        co_await sleep(1h);
      },
      std::ref(lock), std::ref(order));
  wait_until_waiting(lock, 1);
  const auto b = two.start(use_here<Lock>, std::ref(lock), std::ref(order), "b");
  wait_until_waiting(lock, 2);
  {
    Blocked blocked(one);
    lock.release();
    EXPECT_TRUE(a.cancel());
    EXPECT_TRUE(lock.locked());
  }
  two.join(b);
  one.join(a);
  EXPECT_EQ(order.text(), "a b");
  EXPECT_TRUE(a.cancelled());
  EXPECT_FALSE(lock.locked());
}

// "destructor with waiters is a programming error that must be detected."
TEST(ThreadsafeLock, MT01ALockThatGoesBeforeItsWaitersEndsTheProgram) {
  const ChildResult result = run_in_child([] {
    std::optional<Lock> lock(std::in_place);
    TestLoop loop;
    loop.run(lock->acquire());
    auto waiting = loop->create_task([](Lock& held) -> Coro<> { co_await held.acquire(); }(*lock));
    loop.run_until_idle();
    lock.reset();
    return 0;
  });
  EXPECT_EQ(result.signal, SIGABRT);
  EXPECT_THAT(result.output, HasSubstr("was destroyed while 1 tasks or threads waited for it"));
}

TEST(ThreadsafeLock, WhoHasGotItMayDestroyIt) {
  LoopThread one;
  LoopThread two;
  for (int round = 0; round < 100; ++round) {
    auto lock = std::make_unique<Lock>();
    Lock& held = *lock;
    held.acquire_blocking();
    const auto last = one.start(
        [](std::unique_ptr<Lock> own) -> Coro<> {
          co_await own->acquire();
          own->release();
        },
        std::move(lock));
    wait_until_waiting(held, 1);
    two.call([&] { held.release(); });
    one.join(last);
  }
}

// LK10 "release() of an unlocked lock raises RuntimeError and changes nothing."
TEST(ThreadsafeLock, LK10ReleaseOfAnUnlockedLockIsAnErrorAnywhere) {
  Lock lock;
  EXPECT_THROW(lock.release(), RuntimeError);
  LoopThread one;
  one.call([&] { EXPECT_THROW(lock.release(), RuntimeError); });
  EXPECT_TRUE(lock.acquire_blocking(0s));
}

// --- plain threads -----------------------------------------------------------------------------

TEST(ThreadsafeLock, AThreadWaitsNoLongerThanItWants) {
  Lock lock;
  EXPECT_TRUE(lock.acquire_blocking(1h));
  EXPECT_FALSE(lock.acquire_blocking(0s));
  EXPECT_FALSE(lock.acquire_blocking(-1s));
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_FALSE(lock.acquire_blocking(2ms));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 2ms);
  EXPECT_EQ(lock.statistics().tasks_waiting, 0u);
  lock.release();
  EXPECT_FALSE(lock.locked());
}

TEST(ThreadsafeLock, AThreadGetsItInTime) {
  Lock lock;
  lock.acquire_blocking();
  bool got = false;
  {
    std::jthread waiting([&] { got = lock.acquire_blocking(rota::forever); });
    wait_until_waiting(lock, 1);
    lock.release();
  }
  EXPECT_TRUE(got);
  EXPECT_TRUE(lock.locked());
}

TEST(ThreadsafeLock, ALoopIsNotBlocked) {
  Lock lock;
  LoopThread one;
  one.call([&] {
    try {
      lock.acquire_blocking();
      ADD_FAILURE();
    } catch (const RuntimeError& error) {
      EXPECT_THAT(error.what(), HasSubstr("co_await lock.acquire()"));
    }
    EXPECT_THROW((void)lock.acquire_blocking(1ms), RuntimeError);
  });
  EXPECT_FALSE(lock.locked());
}

// --- MX07 --------------------------------------------------------------------------------------

// MX07 "Shutdown of one loop while others hold waiters on shared primitives: waiters get a defined
// error; no hang."
TEST(ThreadsafeLock, MX07AWaiterOfALoopThatClosesIsForgotten) {
  Lock lock;
  SharedOrder order;
  LoopThread one;
  LoopThread two;
  lock.acquire_blocking();
  one.start(use_here<Lock>, std::ref(lock), std::ref(order), "a");
  wait_until_waiting(lock, 1);
  const auto b = two.start(use_here<Lock>, std::ref(lock), std::ref(order), "b");
  wait_until_waiting(lock, 2);
  one.close();
  EXPECT_EQ(lock.statistics().tasks_waiting, 1u);
  lock.release();
  two.join(b);
  EXPECT_EQ(order.text(), "b");
  EXPECT_FALSE(lock.locked());
}

TEST(ThreadsafeLock, MX07AWaiterThatHasTheLockWhenItsLoopClosesPassesItOn) {
  Lock lock;
  SharedOrder order;
  LoopThread one;
  LoopThread two;
  lock.acquire_blocking();
  one.start(use_here<Lock>, std::ref(lock), std::ref(order), "a");
  wait_until_waiting(lock, 1);
  one.start(use_here<Lock>, std::ref(lock), std::ref(order), "a too");
  wait_until_waiting(lock, 2);
  const auto b = two.start(use_here<Lock>, std::ref(lock), std::ref(order), "b");
  wait_until_waiting(lock, 3);
  close_unseen(one, [&] { lock.release(); });
  two.join(b);
  EXPECT_EQ(order.text(), "b");
  EXPECT_FALSE(lock.locked());
}

TEST(ThreadsafeLock, MX07WithoutANextTheLockIsFree) {
  Lock lock;
  SharedOrder order;
  LoopThread one;
  lock.acquire_blocking();
  one.start(use_here<Lock>, std::ref(lock), std::ref(order), "a");
  wait_until_waiting(lock, 1);
  close_unseen(one, [&] { lock.release(); });
  EXPECT_EQ(order.text(), "");
  EXPECT_FALSE(lock.locked());
}

// The one that hands over is the loop that closes itself.
TEST(ThreadsafeLock, MX07AlsoIfItWasReleasedOnTheLoopThatCloses) {
  Lock lock;
  SharedOrder order;
  LoopThread one;
  lock.acquire_blocking();
  one.start(use_here<Lock>, std::ref(lock), std::ref(order), "a");
  wait_until_waiting(lock, 1);
  std::jthread b = use_on_thread(lock, order, "b");
  wait_until_waiting(lock, 2);
  one.call([&] {
    lock.release();
    one.loop().stop();
  });
  one.close();
  b.join();
  EXPECT_EQ(order.text(), "b");
}

// A runtime cancels its tasks before it closes its loops: they see it.
TEST(ThreadsafeLock, MX07WhenARuntimeEndsItsWaitersAreCancelled) {
  Lock lock;
  SharedOrder order;
  lock.acquire_blocking();
  rota::run(
      [](Lock& held, SharedOrder& out) -> Coro<> {
        for (const rota::LoopHandle& loop : rota::all_loops())
          (void)run_coroutine_threadsafe(use_here(held, out, "a"), loop);
        while (held.statistics().tasks_waiting != 3) co_await sleep(0s);
      }(lock, order),
      {.loops = 3});
  EXPECT_EQ(order.text(), "a:cancelled a:cancelled a:cancelled");
  lock.release();
  EXPECT_FALSE(lock.locked());
}

}  // namespace
