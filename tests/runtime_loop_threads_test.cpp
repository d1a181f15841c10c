/// runtime_loop_threads_test.cpp: what other threads may ask of a loop: calls, in order, none lost,
/// refused once it is closed.

#include <rota/detail/kernel.hpp>
#include <rota/loop.hpp>
#include <rota/task.hpp>

#include "support/loop_thread.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <latch>
#include <memory>
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
  for (int i = 0; i < 1000; ++i)
    EXPECT_EQ(loop.call([i] { return i; }), i);  // each waits until it came back
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
  std::thread stopper(
      [handle = loop.handle(), &loop] { handle.call_soon_threadsafe([&loop] { loop.stop(); }); });
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

/// The real kernel, with a count of the doorbells that were rung; each says afterwards that it
/// failed, if asked to.
class DoorbellKernel final : public rota::detail::Kernel {
 public:
  std::atomic<int> rung{0};
  int answer = 0;

  int ring_doorbell(int fd) noexcept override {
    rung.fetch_add(1, std::memory_order_relaxed);
    const int result = real_.ring_doorbell(fd);
    return answer != 0 ? answer : result;
  }
  int ring_setup(unsigned entries, io_uring_params& params,
                 rota::detail::RingMemory& memory) noexcept override {
    return real_.ring_setup(entries, params, memory);
  }
  int ring_enter(int fd, unsigned to_submit, unsigned min_complete, unsigned flags,
                 const __kernel_timespec* timeout) noexcept override {
    return real_.ring_enter(fd, to_submit, min_complete, flags, timeout);
  }
  int ring_register(int fd, unsigned opcode, void* argument, unsigned count) noexcept override {
    return real_.ring_register(fd, opcode, argument, count);
  }
  void ring_exit(rota::detail::RingMemory& memory) noexcept override { real_.ring_exit(memory); }
  std::int64_t now() noexcept override { return real_.now(); }
  void back_off(std::int64_t nanoseconds) noexcept override { real_.back_off(nanoseconds); }
  std::int64_t send(int fd, const void* data, std::size_t bytes, int flags) noexcept override {
    return real_.send(fd, data, bytes, flags);
  }
  std::int64_t sendmsg(int fd, const void* header, int flags) noexcept override {
    return real_.sendmsg(fd, header, flags);
  }
  std::int64_t recv(int fd, void* data, std::size_t bytes, int flags) noexcept override {
    return real_.recv(fd, data, bytes, flags);
  }
  int accept(int fd, void* address, unsigned* address_bytes, int flags) noexcept override {
    return real_.accept(fd, address, address_bytes, flags);
  }
  int shutdown(int fd, int how) noexcept override { return real_.shutdown(fd, how); }
  int close(int fd) noexcept override { return real_.close(fd); }
  int make_doorbell() noexcept override { return real_.make_doorbell(); }

 private:
  rota::detail::Kernel& real_ = rota::detail::real_kernel();
};

rota::LoopOptions over(DoorbellKernel& kernel) {
  rota::LoopOptions options;
  options.kernel = &kernel;
  return options;
}

TEST(LoopThreads, CallsToALoopThatDoesNotSleepRingNoDoorbell) {
  DoorbellKernel kernel;
  EventLoop loop(over(kernel));
  int calls = 0;
  loop.call_soon([&] {
    std::thread([&] {
      for (int i = 0; i < 100'000; ++i) loop.call_soon_threadsafe([&] { ++calls; });
    }).join();
    EXPECT_EQ(kernel.rung.load(std::memory_order_relaxed), 0);
    loop.call_soon([&] { loop.stop(); });
  });
  loop.run_forever();
  EXPECT_EQ(calls, 100'000);
}

TEST(LoopThreads, ASleepCostsAtMostOneDoorbell) {
  DoorbellKernel kernel;
  EventLoop loop(over(kernel));
  int sleeps = 0;
  rota::LoopHooks hooks;
  hooks.on_idle = [&](EventLoop&) { ++sleeps; };
  loop.set_hooks(std::move(hooks));
  int calls = 0;
  std::thread caller([&, handle = loop.handle()] {
    for (int i = 0; i < 20'000; ++i) handle.call_soon_threadsafe([&] { ++calls; });
    handle.call_soon_threadsafe([&] { loop.stop(); });
  });
  loop.run_forever();
  caller.join();
  EXPECT_EQ(calls, 20'000);
  EXPECT_LE(kernel.rung.load(std::memory_order_relaxed), sleeps + 1);
}

// LO29 "EAGAIN on write is ignored": the counter is full, so the doorbell rings already.
TEST(LoopThreads, LO29ADoorbellThatIsFullIsNoError) {
  DoorbellKernel kernel;
  kernel.answer = -EAGAIN;
  EventLoop loop(over(kernel));
  std::thread caller(
      [&, handle = loop.handle()] { handle.call_soon_threadsafe([&] { loop.stop(); }); });
  loop.run_forever();
  caller.join();
}

// A call to a loop that closes meanwhile runs, or is destroyed unrun, or is refused: it is never
// lost and never leaks.
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
