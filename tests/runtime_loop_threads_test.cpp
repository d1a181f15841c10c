/// runtime_loop_threads_test.cpp: what other threads may ask of a loop: calls, in order, none lost, refused once it is closed.

#include <rota/loop.hpp>
#include <rota/task.hpp>

#include "support/loop_thread.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using rota::EventLoop;
using rota::LoopHandle;
using rota::RuntimeError;
using rota::testing_support::LoopThread;
using testing::HasSubstr;

TEST(LoopThreads, CallSoonThreadsafeFromFourThreadsKeepsTheOrderOfEach) {
  LoopThread loop;
  constexpr std::size_t threads = 4;
  constexpr int calls = 25'000;
  std::array<int, threads> next{};
  int mistakes = 0;
  std::latch start(threads);
  std::vector<std::thread> callers;
  for (std::size_t caller = 0; caller < threads; ++caller) {
    callers.emplace_back([&, caller] {
      start.arrive_and_wait();
      for (int i = 0; i < calls; ++i) {
        loop.handle().call_soon_threadsafe([&, caller, i] {
          if (next[caller]++ != i) ++mistakes;
        });
      }
    });
  }
  for (auto& caller : callers) caller.join();
  loop.call([] {});
  for (const int count : next) EXPECT_EQ(count, calls);
  EXPECT_EQ(mistakes, 0);
}

TEST(LoopThreads, ACallWakesALoopThatSleeps) {
  LoopThread loop;
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(loop.call([i] { return i; }), i);  // each waits until it came back
}

TEST(LoopThreads, ACallRunsOnTheLoopsThread) {
  LoopThread loop;
  EXPECT_NE(loop.call([] { return std::this_thread::get_id(); }), std::this_thread::get_id());
  EXPECT_EQ(loop.call([] { return &rota::get_running_loop(); }), &loop.loop());
}

TEST(LoopThreads, TwoLoopsMayCallEachOther) {
  LoopThread first;
  LoopThread second;
  std::latch done(1);
  int rounds = 0;
  std::function<void()> ping;
  std::function<void()> pong;
  ping = [&] { second.handle().call_soon_threadsafe([&] { pong(); }); };
  pong = [&] {
    if (++rounds == 1000) {
      done.count_down();
    } else {
      first.handle().call_soon_threadsafe([&] { ping(); });
    }
  };
  first.handle().call_soon_threadsafe([&] { ping(); });
  done.wait();
  EXPECT_EQ(second.call([&] { return rounds; }), 1000);
  first.call([] {});  // both have left our functions
}

TEST(LoopThreads, StopFromAnotherThreadGoesByACall) {
  EventLoop loop;
  std::thread stopper([handle = loop.handle(), &loop] { handle.call_soon_threadsafe([&loop] { loop.stop(); }); });
  loop.run_forever();
  stopper.join();
}

TEST(LoopThreads, ALoopThatRunsOnAnotherThreadCannotBeRunHere) {
  LoopThread loop;
  loop.call([] {});
  EXPECT_TRUE(loop.loop().is_running());
  try {
    loop.loop().run_forever();
    FAIL() << "no exception";
  } catch (const RuntimeError& error) {
    EXPECT_THAT(error.what(), HasSubstr("already running"));
  }
}

// A call to a loop that closes meanwhile runs, or is destroyed unrun, or is refused: it is never lost and never leaks.
TEST(LoopThreads, CallsThatRaceWithTheCloseRunOrAreDroppedOrAreRefused) {
  for (int round = 0; round < 50; ++round) {
    std::atomic<int> destroyed = 0;
    std::atomic<int> ran = 0;
    std::atomic<int> refused = 0;
    constexpr int calls = 200;
    {
      LoopThread loop;
      std::latch start(3);
      std::vector<std::thread> callers;
      for (int caller = 0; caller < 2; ++caller) {
        callers.emplace_back([&, handle = loop.handle()] {
          start.arrive_and_wait();
          for (int i = 0; i < calls; ++i) {
            auto guard = std::shared_ptr<void>(nullptr, [&](void*) { ++destroyed; });
            try {
              handle.call_soon_threadsafe([&, guard = std::move(guard)] { ++ran; });
            } catch (const RuntimeError& error) {
              EXPECT_STREQ(error.what(), "Event loop is closed");
              ++refused;
            }
          }
        });
      }
      start.arrive_and_wait();
      loop.close();
      for (auto& caller : callers) caller.join();
    }
    EXPECT_EQ(destroyed.load(), 2 * calls);
    EXPECT_LE(ran.load() + refused.load(), 2 * calls);
  }
}

TEST(LoopThreads, HandlesMayBeCopiedAndDroppedOnAnyThread) {
  LoopHandle handle;
  {
    LoopThread loop;
    handle = loop.handle();
    std::vector<std::thread> users;
    for (int i = 0; i < 4; ++i) {
      users.emplace_back([&] {
        for (int k = 0; k < 1000; ++k) {
          const LoopHandle copy = handle;
          EXPECT_EQ(copy.id(), handle.id());
        }
      });
    }
    for (auto& user : users) user.join();
  }
  EXPECT_THROW(handle.call_soon_threadsafe([] {}), RuntimeError);
}

}  // namespace
