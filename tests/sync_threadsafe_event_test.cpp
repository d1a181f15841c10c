/// sync_threadsafe_event_test.cpp: threadsafe::Event, between loops and threads. What it has in
/// common with rota::Event is tested by sync_event_test.cpp, which is built for both.

#include <rota/error.hpp>
#include <rota/loop.hpp>
#include <rota/task.hpp>
#include <rota/threadsafe/event.hpp>

#include "support/kernel_proxy.hpp"
#include "support/loop_thread.hpp"
#include "support/shared_order.hpp"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace rota::testing_support;
using rota::Coro;
using rota::RuntimeError;
using rota::threadsafe::Event;

Coro<> wait_for_it(Event& event) { co_await event.wait(); }

/// Counts who wakes its loop; while `slow`, lets him go on only when the loop sleeps again.
class WatchedKernel final : public KernelProxy {
 public:
  WatchedKernel() : KernelProxy(rota::detail::real_kernel()) {}
  int ring_enter(int fd, unsigned to_submit, unsigned min_complete, unsigned flags,
                 const __kernel_timespec* timeout) noexcept override {
    if (min_complete > 0) ++sleeps;
    return KernelProxy::ring_enter(fd, to_submit, min_complete, flags, timeout);
  }
  int ring_doorbell(int fd) noexcept override {
    ++doorbells;
    const int sleeps_before = sleeps;
    const int result = KernelProxy::ring_doorbell(fd);
    if (slow) wait_until([&] { return sleeps > sleeps_before; });
    return result;
  }
  rota::LoopOptions options() {
    rota::LoopOptions options;
    options.kernel = this;
    return options;
  }
  std::atomic<int> sleeps{0};
  std::atomic<int> doorbells{0};
  std::atomic<bool> slow{false};
};
struct WatchedLoop {
  WatchedKernel kernel;
  LoopThread thread{kernel.options()};
};

// MT02 "set() from any thread; waiters of N loops get one cross-loop wake per loop, not per waiter
// (coalesced)." Were they woken one by one, each loop would sleep in between here.
TEST(ThreadsafeEvent, MT02SetWakesEachLoopOnce) {
  Event event;
  std::array<WatchedLoop, 3> loops;
  std::vector<rota::Task<>> tasks;
  for (int task = 0; task < 4; ++task) {
    for (WatchedLoop& loop : loops)
      tasks.push_back(loop.thread.start(wait_for_it, std::ref(event)));
  }
  wait_until_waiting(event, tasks.size());
  for (WatchedLoop& loop : loops) {
    loop.kernel.doorbells = 0;
    loop.kernel.slow = true;
  }
  event.set();
  for (WatchedLoop& loop : loops) {
    loop.kernel.slow = false;
    EXPECT_LE(loop.kernel.doorbells, 1);
  }
  for (const auto& task : tasks) wait_until([&] { return task.done(); });
}

// More loops than one set() takes note of.
TEST(ThreadsafeEvent, MT02AlsoManyLoops) {
  Event event;
  std::array<LoopThread, 20> loops;
  std::vector<rota::Task<>> tasks;
  for (LoopThread& loop : loops) tasks.push_back(loop.start(wait_for_it, std::ref(event)));
  wait_until_waiting(event, tasks.size());
  event.set();
  for (std::size_t i = 0; i < tasks.size(); ++i) loops.at(i).join(tasks[i]);
}

TEST(ThreadsafeEvent, MT02ItMayBeSetFromAThreadALoopAndTheWaitersOwn) {
  for (int setter = 0; setter < 3; ++setter) {
    Event event;
    LoopThread one;
    LoopThread two;
    const auto task = one.start(wait_for_it, std::ref(event));
    wait_until_waiting(event, 1);
    if (setter == 0) event.set();
    if (setter == 1) two.call([&] { event.set(); });
    if (setter == 2) one.call([&] { event.set(); });
    one.join(task);
    EXPECT_TRUE(event.is_set());
  }
}

// EV05 "set() followed at once by clear() still wakes all parked waiters"
TEST(ThreadsafeEvent, EV05SetAndClearWhileALoopIsBusyWakesItsWaiters) {
  Event event;
  LoopThread one;
  const auto task = one.start(wait_for_it, std::ref(event));
  wait_until_waiting(event, 1);
  {
    Blocked blocked(one);
    event.set();
    event.clear();
  }
  one.join(task);
  EXPECT_FALSE(task.cancelled());
  EXPECT_FALSE(event.is_set());
}

// EV08 "set() then cancel of the waiter → in anyio/trio the wait completes (completion wins)"
TEST(ThreadsafeEvent, EV08SetThenCancelFromElsewhereCompletes) {
  Event event;
  LoopThread one;
  const auto task = one.start(wait_for_it, std::ref(event));
  wait_until_waiting(event, 1);
  {
    Blocked blocked(one);
    event.set();
    EXPECT_TRUE(task.cancel());
  }
  one.join(task);
  EXPECT_FALSE(task.cancelled());
}

TEST(ThreadsafeEvent, EV07CancelFromElsewhereThenSetIsACancel) {
  Event event;
  LoopThread one;
  const auto task = one.start(wait_for_it, std::ref(event));
  wait_until_waiting(event, 1);
  task.cancel();
  wait_until_waiting(event, 0);
  event.set();
  one.join(task);
  EXPECT_TRUE(task.cancelled());
}

// What was done before set() is seen; and whoever has seen that it is set may destroy it.
TEST(ThreadsafeEvent, WhoSeesItSetSeesWhatCameBeforeAndMayDestroyIt) {
  struct Answer {
    Event given;
    int value = 0;
  };
  LoopThread one;
  LoopThread two;
  for (int round = 0; round < 200; ++round) {
    auto answer = std::make_unique<Answer>();
    Answer& shared = *answer;
    const auto task = one.start(
        [](std::unique_ptr<Answer> own) -> Coro<int> {
          co_await own->given.wait();
          co_return own->value;
        },
        std::move(answer));
    two.call([&] {
      shared.value = 12;
      shared.given.set();
    });
    one.join(task);
    EXPECT_EQ(task.result(), 12);
  }
}

// --- plain threads -----------------------------------------------------------------------------

TEST(ThreadsafeEvent, ThreadsWaitToo) {
  Event event;
  EXPECT_FALSE(event.wait_blocking(0s));
  EXPECT_FALSE(event.wait_blocking(1ms));
  LoopThread one;
  {
    std::jthread waiting([&] { event.wait_blocking(); });
    std::jthread not_for_ever([&] { EXPECT_TRUE(event.wait_blocking(1h)); });
    wait_until_waiting(event, 2);
    one.call([&] { event.set(); });
  }
  EXPECT_TRUE(event.wait_blocking(0s));
  one.call([&] {
    EXPECT_THROW(event.wait_blocking(), RuntimeError);
    EXPECT_THROW(event.wait_blocking(1ms), RuntimeError);
  });
}

// --- MX07 --------------------------------------------------------------------------------------

TEST(ThreadsafeEvent, MX07ALoopThatClosesTakesItsWaitersAlong) {
  for (const bool set : {false, true}) {
    Event event;
    LoopThread one;
    LoopThread two;
    one.start(wait_for_it, std::ref(event));
    wait_until_waiting(event, 1);
    const auto other = two.start(wait_for_it, std::ref(event));
    wait_until_waiting(event, 2);
    close_unseen(one, [&] {
      if (set) event.set();
    });
    EXPECT_EQ(event.statistics().tasks_waiting, set ? 0u : 1u);
    event.set();
    two.join(other);
  }
}

}  // namespace
