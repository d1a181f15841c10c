/// runtime_callback_test.cpp: Handle and TimerHandle: what they keep, when they fire, and how they
/// are cancelled.
///
/// The statements quoted are asyncio's, by their numbers in the catalogue of behaviours; D.. are
/// rota's decisions.

#include <rota/loop.hpp>

#include "support/loop_thread.hpp"
#include "support/test_loop.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <latch>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using rota::EventLoop;
using rota::Handle;
using rota::TimePoint;
using rota::TimerHandle;
using rota::testing_support::LoopThread;
using rota::testing_support::Order;
using rota::testing_support::TestLoop;

using Seconds = std::chrono::duration<double>;

// --- calls -------------------------------------------------------------------------------------

TEST(Callback, KeepsItsArgumentsByValue) {
  TestLoop loop;
  Order order;
  std::string text = "before";
  loop->call_soon([&](const std::string& copy,
                      std::unique_ptr<int> owned) { order.add(copy + std::to_string(*owned)); },
                  text, std::make_unique<int>(5));
  text = "after";
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "before5");
}

TEST(Callback, MayBeMoveOnlyOrAFunctionOrAMember) {
  TestLoop loop;
  Order order;
  loop->call_soon([&, owned = std::make_unique<int>(1)] { order.add(std::to_string(*owned)); });
  loop->call_soon(+[](Order* out) { out->add("function"); }, &order);
  loop->call_soon(&Order::add, &order, std::string("member"));
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "1 function member");
}

TEST(Callback, ItsResultIsIgnored) {
  TestLoop loop;
  int calls = 0;
  loop->call_soon([&] { return ++calls; });
  loop.run_until_idle();
  EXPECT_EQ(calls, 1);
}

TEST(Callback, IsDestroyedAfterItHasRun) {
  TestLoop loop;
  auto token = std::make_shared<int>(1);
  const Handle handle = loop->call_soon([token] {});
  EXPECT_EQ(token.use_count(), 2);
  loop.run_until_idle();
  EXPECT_EQ(token.use_count(), 1);
  EXPECT_FALSE(handle.cancelled());
}

TEST(Callback, ThatNeverRanIsDestroyedWhenTheLoopCloses) {
  TestLoop loop;
  auto token = std::make_shared<int>(1);
  loop->call_soon([token] {});
  loop->call_later(1s, [token] {});
  loop->call_soon_threadsafe([token] {});
  EXPECT_EQ(token.use_count(), 4);
  loop->close();
  EXPECT_EQ(token.use_count(), 1);
}

// --- cancel ------------------------------------------------------------------------------------

// LO03 "Handle.cancel before the run -> never called; cancel is idempotent."
TEST(Handle, LO03ACancelledCallbackIsNeverCalled) {
  TestLoop loop;
  Order order;
  loop->call_soon(order.adder("a"));
  const Handle handle = loop->call_soon(order.adder("b"));
  loop->call_soon(order.adder("c"));
  EXPECT_FALSE(handle.cancelled());
  EXPECT_TRUE(handle.cancel());
  EXPECT_TRUE(handle.cancelled());
  EXPECT_FALSE(handle.cancel());
  EXPECT_TRUE(handle.cancelled());
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "a c");
}

TEST(Handle, LO03CancelByAnEarlierCallbackOfTheSameStep) {
  TestLoop loop;
  Order order;
  std::vector<Handle> handles;
  loop->call_soon([&] { EXPECT_TRUE(handles.at(0).cancel()); });
  handles.push_back(loop->call_soon(order.adder("never")));
  loop->call_soon(order.adder("last"));
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "last");
}

TEST(Handle, LO03CancelAfterTheRunReturnsFalse) {
  TestLoop loop;
  const Handle handle = loop->call_soon([] {});
  loop.run_until_idle();
  EXPECT_FALSE(handle.cancel());
  EXPECT_FALSE(handle.cancelled());
}

TEST(Handle, LO03CancelByTheCallbackItselfReturnsFalse) {
  TestLoop loop;
  std::vector<Handle> handles;
  bool cancelled = true;
  auto token = std::make_shared<int>(1);
  handles.push_back(loop->call_soon([&, token] {
    cancelled = handles.at(0).cancel();
    EXPECT_EQ(token.use_count(), 2);  // not destroyed under its feet
  }));
  loop.run_until_idle();
  EXPECT_FALSE(cancelled);
}

// LO04 "A cancelled handle drops its callback and arguments at once."
TEST(Handle, LO04ACancelledHandleDropsItsCallbackAndArgumentsAtOnce) {
  TestLoop loop;
  auto token = std::make_shared<int>(1);
  const Handle soon = loop->call_soon([](const std::shared_ptr<int>&) {}, token);
  const Handle threadsafe = loop->call_soon_threadsafe([token] {});
  EXPECT_EQ(token.use_count(), 3);
  soon.cancel();
  EXPECT_EQ(token.use_count(), 2);
  threadsafe.cancel();
  EXPECT_EQ(token.use_count(), 1);
}

TEST(Handle, ADestructorThatCancelsItsOwnHandleAgainFindsItCancelled) {
  TestLoop loop;
  std::vector<Handle> handles;
  bool again = true;
  auto guard = std::shared_ptr<void>(nullptr, [&](void*) { again = handles.at(0).cancel(); });
  handles.push_back(loop->call_soon([guard = std::move(guard)] {}));
  EXPECT_TRUE(handles.at(0).cancel());
  EXPECT_FALSE(again);
}

TEST(Handle, CopiesMeanTheSameCallback) {
  TestLoop loop;
  Order order;
  Handle first = loop->call_soon(order.adder("first"));
  const Handle second = loop->call_soon(order.adder("second"));
  const Handle copy = first;
  first = second;
  EXPECT_TRUE(copy.cancel());
  EXPECT_FALSE(first.cancelled());
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "second");
}

TEST(Handle, OutlivesItsLoop) {
  std::vector<Handle> handles;
  {
    EventLoop loop;
    handles.push_back(loop.call_soon([] {}));
    handles.push_back(loop.call_later(1h, [] {}));
    handles.push_back(loop.call_soon_threadsafe([] {}));
  }
  for (const Handle& handle : handles) EXPECT_FALSE(handle.cancel());
}

// --- timers ------------------------------------------------------------------------------------

// LO05 "call_later never runs early; at most one clock granule early is treated as due."
TEST(TimerHandle, LO05NeverFiresEarlyOnTheRealClock) {
  EventLoop loop;
  int fired = 0;
  for (const auto delay : {1us, 1000us, 50us, 3us, 700us, 0us}) {
    const TimePoint due = loop.time() + delay;
    loop.call_later(delay, [&loop, &fired, due] {
      EXPECT_GE(loop.time(), due);
      if (++fired == 6) loop.stop();
    });
  }
  loop.run_forever();
  EXPECT_EQ(fired, 6);
}

TEST(TimerHandle, LO05FiresExactlyAtItsTimeOnAVirtualClock) {
  TestLoop loop;
  std::vector<rota::Duration> times;
  for (const auto delay : {1s, 3600s, 60s})
    loop->call_later(delay, [&] { times.push_back(loop.now()); });
  loop->call_later(Seconds(1e-10), [&] { times.push_back(loop.now()); });
  loop.advance(2h);
  EXPECT_EQ(times, (std::vector<rota::Duration>{1ns, 1s, 60s, 3600s}));
}

// LO32 "Cached time: uv loops update the time before timers after a long callback": here nothing is
// cached.
TEST(TimerHandle, LO32ADelayCountsFromTheCallAlsoAfterALongCallback) {
  EventLoop loop;
  TimePoint due;
  loop.call_soon([&] {
    const TimePoint end = loop.time() + 3ms;
    while (loop.time() < end) {
    }
    due = loop.time() + 1ms;
    loop.call_later(1ms, [&] {
      EXPECT_GE(loop.time(), due);
      loop.stop();
    });
  });
  loop.run_forever();
}

// LO06 "Negative delays run soon, ordered by their time."
TEST(TimerHandle, LO06NegativeDelaysRunSoonInTheOrderOfTheirTime) {
  TestLoop loop;
  Order order;
  loop.advance(10s);
  loop->call_later(-1s, order.adder("-1"));
  loop->call_later(-2s, order.adder("-2"));
  loop->call_later(0s, order.adder("0"));
  loop->call_later(-3s, order.adder("-3"));
  loop.run_steps(1);
  EXPECT_EQ(order.text(), "-3 -2 -1 0");
}

TEST(TimerHandle, LO06BeforeTheClocksZeroToo) {
  TestLoop loop;
  Order order;
  loop->call_later(-1s, order.adder("-1"));
  loop->call_later(-2s, order.adder("-2"));
  loop->call_later(Seconds(-std::numeric_limits<double>::infinity()), order.adder("-inf"));
  loop.run_steps(1);
  EXPECT_EQ(order.text(), "-inf -2 -1");
}

// LO07 "Timers of equal time have no promised order": here they fire in the order of the calls
// (D15).
TEST(TimerHandle, LO07EqualDeadlinesFireInTheOrderOfTheCalls) {
  TestLoop loop;
  Order order;
  std::string expected;
  std::vector<TimerHandle> handles;
  for (int i = 0; i < 200; ++i)
    handles.push_back(loop->call_later(1s, order.adder(std::to_string(i))));
  loop.call([&] {
    for (std::size_t i = 0; i < handles.size(); i += 3) handles[i].cancel();
  });
  for (int i = 0; i < 200; ++i) {
    if (i % 3 != 0) expected += (expected.empty() ? "" : " ") + std::to_string(i);
  }
  loop.advance(1s);
  EXPECT_EQ(order.text(), expected);
}

// LO08 "time() is monotonic; call_at uses it."
TEST(TimerHandle, LO08CallAtUsesTheLoopsClock) {
  TestLoop loop;
  rota::Duration fired{};
  loop.advance(100s);
  const TimerHandle handle = loop->call_at(loop->time() + 5s, [&] { fired = loop.now(); });
  EXPECT_EQ(handle.when(), TimePoint(105s));
  loop.advance(10s);
  EXPECT_EQ(fired, 105s);
}

TEST(TimerHandle, LO08CallAtInThePastFiresInTheNextStep) {
  TestLoop loop;
  Order order;
  loop.advance(100s);
  loop->call_at(TimePoint(50s), order.adder("past"));
  loop.run_steps(1);
  EXPECT_EQ(order.text(), "past");
}

// LO09 "TimerHandle.when() stays readable after firing/cancel; timers compare by when."
TEST(TimerHandle, LO09WhenStaysReadable) {
  TestLoop loop;
  const TimerHandle fires = loop->call_later(2s, [] {});
  const TimerHandle cancelled = loop->call_later(3s, [] {});
  loop.call([&] { cancelled.cancel(); });
  loop.advance(5s);
  EXPECT_EQ(fires.when(), TimePoint(2s));
  EXPECT_EQ(cancelled.when(), TimePoint(3s));
  EXPECT_TRUE(cancelled.cancelled());
  EXPECT_FALSE(fires.cancelled());
  EXPECT_LT(fires.when(), cancelled.when());
}

// LO10 "Cancelled timers are purged when more than 100 are scheduled and more than half are
// cancelled": here at once.
TEST(TimerHandle, LO10CancelledTimersAreTakenOutAtOnce) {
  TestLoop loop;
  auto token = std::make_shared<int>(1);
  std::vector<TimerHandle> handles;
  for (int i = 0; i < 1000; ++i)
    handles.push_back(loop->call_later(std::chrono::hours(i + 1), [token] {}));
  EXPECT_EQ(token.use_count(), 1001);
  loop.call([&] {
    for (const TimerHandle& handle : handles) EXPECT_TRUE(handle.cancel());
    EXPECT_TRUE(loop->timers.empty());
  });
  EXPECT_EQ(token.use_count(), 1);
  EXPECT_EQ(loop.now(), 0s);
}

TEST(TimerHandle, LO03CancelReturnsFalseAfterFiringAndWhenRepeated) {
  TestLoop loop;
  Order order;
  const TimerHandle fires = loop->call_later(1s, order.adder("fired"));
  const TimerHandle cancelled = loop->call_later(1s, order.adder("never"));
  loop.call([&] {
    EXPECT_TRUE(cancelled.cancel());
    EXPECT_FALSE(cancelled.cancel());
  });
  loop.advance(2s);
  loop.call([&] { EXPECT_FALSE(fires.cancel()); });
  EXPECT_EQ(order.text(), "fired");
}

TEST(TimerHandle, LO03CancelInTheStepInWhichItIsDue) {
  TestLoop loop;
  Order order;
  std::vector<TimerHandle> handles;
  loop->call_later(1s, [&] {
    order.add("first");
    EXPECT_TRUE(handles.at(0).cancel());
  });
  handles.push_back(loop->call_later(1s, order.adder("second")));
  loop.advance(2s);
  EXPECT_EQ(order.text(), "first");
}

TEST(TimerHandle, LO03CancelBeforeTheLoopRuns) {
  TestLoop loop;
  Order order;
  const TimerHandle handle = loop->call_later(1s, order.adder("never"));
  EXPECT_TRUE(handle.cancel());
  EXPECT_TRUE(handle.cancelled());
  EXPECT_FALSE(handle.cancel());
  loop.advance(2s);
  EXPECT_EQ(order.text(), "");
}

TEST(TimerHandle, CancelAsAPlainHandleTakesEffectToo) {
  TestLoop loop;
  Order order;
  auto token = std::make_shared<int>(1);
  const Handle handle = loop->call_later(1s, [&, token] { order.add("never"); });
  loop.call([&] { EXPECT_TRUE(handle.cancel()); });
  EXPECT_EQ(token.use_count(), 1);
  loop.advance(2s);
  EXPECT_EQ(order.text(), "");
}

// --- from other threads ------------------------------------------------------------------------

// D20 "Handle::cancel returns false while the callback runs elsewhere; it never blocks."
TEST(Handle, D20CancelReturnsFalseWhileTheCallbackRunsElsewhereAndDoesNotBlock) {
  LoopThread thread;
  std::latch running(1);
  std::latch cancel_returned(1);
  auto token = std::make_shared<int>(1);
  const Handle handle = thread.handle().call_soon_threadsafe([&, token] {
    running.count_down();
    cancel_returned.wait();  // so a cancel that waited for us would never return
    EXPECT_GE(token.use_count(), 2);
  });
  running.wait();
  EXPECT_FALSE(handle.cancel());
  EXPECT_FALSE(handle.cancelled());
  cancel_returned.count_down();
  thread.call([] {});
  EXPECT_FALSE(handle.cancel());
  EXPECT_EQ(token.use_count(), 1);
}

TEST(Handle, D20CancelFromAnotherThreadBeforeTheRunDropsTheCallback) {
  LoopThread thread;
  std::latch running(1);
  std::latch go_on(1);
  thread.handle().call_soon_threadsafe([&] {
    running.count_down();
    go_on.wait();
  });
  running.wait();
  auto token = std::make_shared<int>(1);
  bool ran = false;
  const Handle handle = thread.handle().call_soon_threadsafe([&, token] { ran = true; });
  EXPECT_TRUE(handle.cancel());
  EXPECT_EQ(token.use_count(), 1);
  go_on.count_down();
  thread.call([] {});
  EXPECT_FALSE(ran);
}

TEST(Handle, D20CancelThatRacesWithTheRunEitherCancelsOrFindsThatItRan) {
  LoopThread thread;
  int cancelled = 0;
  std::atomic<int> ran = 0;
  constexpr int rounds = 2000;
  for (int i = 0; i < rounds; ++i) {
    const Handle handle =
        thread.handle().call_soon_threadsafe([&] { ran.fetch_add(1, std::memory_order_relaxed); });
    if (i % 2 == 0) std::this_thread::yield();
    if (handle.cancel()) ++cancelled;
  }
  thread.call([] {});
  EXPECT_EQ(cancelled + ran.load(std::memory_order_relaxed), rounds);
}

}  // namespace
