/// runtime_loop_test.cpp: EventLoop: its step, its running and stopping, its end.
///
/// The statements quoted are asyncio's, by their numbers in the catalogue of behaviours. Handles
/// and timers: runtime_callback_test.cpp; threads: runtime_loop_threads_test.cpp.

#include <rota/future.hpp>
#include <rota/loop.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>

#include "support/test_loop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <latch>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using rota::Coro;
using rota::EventLoop;
using rota::Future;
using rota::RuntimeError;
using rota::sleep;
using rota::testing_support::Order;
using rota::testing_support::TestLoop;
using testing::ElementsAre;
using testing::HasSubstr;

Coro<int> value(int number) { co_return number; }
Coro<int> value_after(std::chrono::nanoseconds delay, int number) {
  co_await sleep(delay);
  co_return number;
}

/// What `function` throws as a RuntimeError.
template <typename Function>
std::string runtime_error_of(Function function) {
  try {
    function();
  } catch (const RuntimeError& error) {
    return error.what();
  }
  return "(no RuntimeError)";
}

// --- the step ----------------------------------------------------------------------------------

// LO01 "call_soon is FIFO; each callback runs once."
TEST(Loop, LO01CallSoonIsFirstInFirstOutAndEachRunsOnce) {
  TestLoop loop;
  std::vector<int> order;
  std::vector<int> expected;
  for (int i = 0; i < 1000; ++i) {
    loop->call_soon([&, i] { order.push_back(i); });
    expected.push_back(i);
  }
  loop.run_steps(3);
  EXPECT_EQ(order, expected);
}

// LO02 "Callbacks added by callbacks run in the next tick, after an I/O poll and due timers. (M: a,
// b, t0, a2)"
TEST(Loop, LO02CallbacksAddedByCallbacksRunInTheNextStepAfterDueTimers) {
  TestLoop loop;
  Order order;
  loop->call_soon([&] {
    order.add("a");
    loop->call_soon(order.adder("a2"));
  });
  loop->call_soon(order.adder("b"));
  loop->call_later(0s, order.adder("t0"));
  loop.run_steps(1);
  EXPECT_EQ(order.text(), "a b t0");
  loop.run_steps(1);
  EXPECT_EQ(order.text(), "a b t0 a2");
}

TEST(Loop, LO02ACallbackThatAddsItselfForEverDoesNotKeepATimerFromFiring) {
  EventLoop loop;  // the real clock, which goes on meanwhile
  bool fired = false;
  std::function<void()> again = [&] {
    if (!fired) loop.call_soon(again);
  };
  loop.call_soon(again);
  loop.call_later(1ms, [&] {
    fired = true;
    loop.stop();
  });
  loop.run_forever();
  EXPECT_TRUE(fired);
}

TEST(Loop, LO02WhatAnotherThreadPostedRunsAfterWhatWasReadyAndBeforeWhatBecomesReady) {
  TestLoop loop;
  Order order;
  loop->call_soon([&] {
    order.add("a");
    loop->call_soon(order.adder("a2"));
  });
  std::thread([&] { loop->call_soon_threadsafe(order.adder("posted")); }).join();
  loop->call_soon(order.adder("b"));
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "a b posted a2");
}

TEST(Loop, CallSoonThreadsafeFromTheOwnLoopIsCallSoon) {
  TestLoop loop;
  Order order;
  loop->call_soon([&] {
    loop->call_soon(order.adder("1"));
    loop->call_soon_threadsafe(order.adder("2"));
    loop->call_soon(order.adder("3"));
    loop->handle().call_soon_threadsafe(order.adder("4"));
    loop->call_soon(order.adder("5"));
  });
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "1 2 3 4 5");
}

// --- running and stopping ----------------------------------------------------------------------

// LO11 "stop() ends after the current tick; callbacks added in that tick run at the next run."
TEST(Loop, LO11StopEndsAfterThePresentStep) {
  TestLoop loop;
  Order order;
  loop->call_soon([&] {
    order.add("stop");
    loop->stop();
    loop->call_soon(order.adder("next-run"));
  });
  loop->call_soon(order.adder("same-step"));
  loop->run_forever();
  EXPECT_EQ(order.text(), "stop same-step");
  EXPECT_FALSE(loop->is_running());
  loop.run_steps(1);
  EXPECT_EQ(order.text(), "stop same-step next-run");
}

// LO12 "stop() before run_forever -> exactly one tick."
TEST(Loop, LO12StopBeforeTheRunIsExactlyOneStep) {
  TestLoop loop;
  Order order;
  loop->call_soon([&] {
    order.add("first");
    loop->call_soon(order.adder("second"));
  });
  loop->stop();
  loop->run_forever();
  EXPECT_EQ(order.text(), "first");
  EXPECT_EQ(loop.steps(), 1u);
  loop->stop();
  loop->run_forever();
  EXPECT_EQ(order.text(), "first second");
  EXPECT_EQ(loop.steps(), 2u);
}

TEST(Loop, LO12AStoppedLoopWithNothingReadyDoesNotSleep) {
  TestLoop loop;
  bool fired = false;
  loop->call_later(1h, [&] { fired = true; });
  loop.run_steps(3);
  EXPECT_FALSE(fired);
  EXPECT_EQ(loop.now(), 0s);
}

// LO14 "run_until_complete returns the result; nested call -> RuntimeError."
TEST(Loop, LO14RunUntilCompleteReturnsTheResult) {
  TestLoop loop;
  EXPECT_EQ(loop->run_until_complete(value(1)), 1);
  auto task = loop->create_task(value(2));
  EXPECT_EQ(loop->run_until_complete(task), 2);
  EXPECT_EQ(loop->run_until_complete(task), 2);  // done already
  const Future<int> future;
  loop->call_soon([&] { future.set_result(3); });
  EXPECT_EQ(loop->run_until_complete(future), 3);
  EXPECT_EQ(loop->run_until_complete(sleep(1s, 4)), 4);
  loop->run_until_complete(sleep(0s));
  EXPECT_THROW(loop->run_until_complete([]() -> Coro<> {
    throw std::out_of_range("its error");
    co_return;
  }()),
               std::out_of_range);
}

TEST(Loop, LO14ANestedRunIsARuntimeError) {
  TestLoop loop;
  std::vector<std::string> errors;
  loop.call([&] {
    errors.push_back(runtime_error_of([&] { loop->run_until_complete(value(1)); }));
    errors.push_back(runtime_error_of([&] { loop->run_forever(); }));
  });
  EXPECT_THAT(errors, ElementsAre(HasSubstr("already running"), HasSubstr("already running")));
  EXPECT_EQ(loop.run(value(5)), 5);  // it still works
}

// asyncio's run_until_complete adds its own callback after those that are there, so they have run
// when it returns.
TEST(Loop, LO14CallbacksOfTheFutureThatWereAddedBeforeHaveRunWhenItReturns) {
  TestLoop loop;
  Order order;
  rota::Task<int> task;
  loop.call([&] {
    task = rota::create_task(value_after(1s, 1));
    task.add_done_callback([&](const rota::Task<int>&) { order.add("callback"); });
  });
  EXPECT_EQ(loop.run(task), 1);
  EXPECT_EQ(order.text(), "callback");
}

// LO15 "stop during run_until_complete -> RuntimeError "stopped before Future completed"."
TEST(Loop, LO15StopDuringRunUntilCompleteIsARuntimeError) {
  TestLoop loop;
  loop->call_later(1s, [&] { loop->stop(); });
  const Future<int> never;
  EXPECT_THAT(runtime_error_of([&] { loop->run_until_complete(never); }),
              HasSubstr("stopped before Future completed"));
}

// LO16 "run_until_complete removes its done callback even when it leaves by exception, so the next
// run is not stopped early."
TEST(Loop, LO16ARunThatWasStoppedLeavesNothingThatStopsTheNext) {
  TestLoop loop;
  Order order;
  const Future<int> future;
  loop->call_soon([&] { loop->stop(); });
  EXPECT_THROW(loop->run_until_complete(future), RuntimeError);
  loop->call_soon([&] { future.set_result(1); });
  loop->call_later(1s, [&] {
    order.add("still running");
    loop->stop();
  });
  loop->run_forever();
  EXPECT_EQ(order.text(), "still running");
}

TEST(Loop, LO16AfterAnInterruptToo) {
  TestLoop loop;
  Order order;
  const Future<int> future;
  loop->call_soon([&] { loop->interrupt(2); });
  EXPECT_THROW(loop->run_until_complete(future), rota::KeyboardInterrupt);
  loop->call_soon([&] { future.set_result(1); });
  loop->call_later(1s, [&] {
    order.add("still running");
    loop->stop();
  });
  loop->run_forever();
  EXPECT_EQ(order.text(), "still running");
}

// LO17 "A future of another loop -> ValueError."
TEST(Loop, LO17RunningUntilAFutureOfAnotherLoopIsAValueError) {
  TestLoop other;
  TestLoop loop;
  auto task = other->create_task(value(1));
  EXPECT_THROW(loop->run_until_complete(task), rota::ValueError);
  Future<int> future;
  other.call([&] { future.add_done_callback([](const Future<int>&) {}); });
  EXPECT_THROW(loop->run_until_complete(future), rota::ValueError);
  EXPECT_EQ(other.run(task), 1);
  other.call([&] { future.cancel(); });
  other.run_until_idle();
}

// LO18 "Running a loop inside a running loop of the same thread -> RuntimeError."
TEST(Loop, LO18RunningALoopInsideARunningOneIsARuntimeError) {
  TestLoop outer;
  TestLoop inner;
  std::string error;
  outer.call([&] { error = runtime_error_of([&] { inner->run_forever(); }); });
  EXPECT_THAT(error, HasSubstr("Cannot run the event loop while another loop is running"));
  EXPECT_EQ(inner.run(value(1)), 1);
}

TEST(Loop, MayBeMadeOnOneThreadAndRunOnAnother) {
  EventLoop loop;
  int result = 0;
  std::thread([&] {
    result = loop.run_until_complete(value_after(1us, 7));
    loop.close();  // as all that is not marked "any": on its own thread
  }).join();
  EXPECT_EQ(result, 7);
}

// A loop belongs to the first thread that runs it.
TEST(Loop, BelongsToTheFirstThreadThatRanIt) {
  EventLoop loop;
  std::latch ran(1);
  std::latch tried(1);
  std::thread owner([&] {
    loop.run_until_complete(value(1));
    ran.count_down();
    tried.wait();
    loop.close();
  });
  ran.wait();
  EXPECT_THROW(loop.run_until_complete(value(2)), RuntimeError);
  tried.count_down();
  owner.join();
}

TEST(Loop, SaysWhetherItRuns) {
  TestLoop loop;
  bool inside = false;
  EXPECT_FALSE(loop->is_running());
  loop.call([&] { inside = loop->is_running(); });
  EXPECT_TRUE(inside);
  EXPECT_FALSE(loop->is_running());
}

// --- closing -----------------------------------------------------------------------------------

// LO19 "close() idempotent; of a running loop -> RuntimeError; every scheduling call after close ->
// RuntimeError "Event loop is closed"."
TEST(Loop, LO19CloseIsIdempotent) {
  TestLoop loop;
  EXPECT_FALSE(loop->is_closed());
  loop->close();
  EXPECT_TRUE(loop->is_closed());
  loop->close();
  EXPECT_TRUE(loop->is_closed());
}

TEST(Loop, LO19CloseOfARunningLoopIsARuntimeError) {
  TestLoop loop;
  std::string error;
  loop.call([&] { error = runtime_error_of([&] { loop->close(); }); });
  EXPECT_NE(error, "(no RuntimeError)");
  EXPECT_FALSE(loop->is_closed());
  EXPECT_EQ(loop.run(value(1)), 1);
}

TEST(Loop, LO19EverySchedulingCallAfterCloseIsARuntimeError) {
  TestLoop loop;
  const rota::LoopHandle handle = loop->handle();
  loop->close();
  const std::vector<std::function<void()>> calls = {
      [&] { loop->call_soon([] {}); },
      [&] { loop->call_later(1s, [] {}); },
      [&] { loop->call_at(rota::TimePoint(1s), [] {}); },
      [&] { loop->call_soon_threadsafe([] {}); },
      [&] { handle.call_soon_threadsafe([] {}); },
      [&] { loop->create_task(value(1)); },
      [&] { loop->run_forever(); },
      [&] { loop->run_until_complete(value(1)); },
  };
  for (const auto& call : calls) EXPECT_EQ(runtime_error_of(call), "Event loop is closed");
}

TEST(Loop, LO19ARefusedCallbackIsDestroyed) {
  TestLoop loop;
  const rota::LoopHandle handle = loop->handle();
  loop->close();
  auto token = std::make_shared<int>(1);
  EXPECT_THROW(loop->call_soon([token] {}), RuntimeError);
  EXPECT_THROW(loop->call_later(1s, [token] {}), RuntimeError);
  EXPECT_THROW(handle.call_soon_threadsafe([token] {}), RuntimeError);
  EXPECT_EQ(token.use_count(), 1);
}

TEST(Loop, LO19ARunnableThingThatADestructorSchedulesWhileClosingIsRefused) {
  TestLoop loop;
  std::string error;
  auto guard = std::shared_ptr<void>(
      nullptr, [&](void*) { error = runtime_error_of([&] { loop->call_soon([] {}); }); });
  loop->call_soon([guard = std::move(guard)] {});
  loop->close();
  EXPECT_EQ(error, "Event loop is closed");
}

TEST(Loop, TheHandleOfALoopOutlivesIt) {
  rota::LoopHandle handle;
  EXPECT_FALSE(static_cast<bool>(handle));
  {
    EventLoop loop;
    handle = loop.handle();
    EXPECT_EQ(handle, loop.handle());
    EXPECT_EQ(handle.id(), loop.handle().id());
  }
  const std::uint64_t id = handle.id();
  EventLoop next;
  EXPECT_NE(next.handle().id(), id);
  EXPECT_NE(next.handle(), handle);
  EXPECT_THROW(handle.call_soon_threadsafe([] {}), RuntimeError);
}

// LO20 "get_running_loop outside -> RuntimeError; inside, the loop."
TEST(Loop, LO20GetRunningLoop) {
  EXPECT_THAT(runtime_error_of([] { rota::get_running_loop(); }),
              HasSubstr("no running event loop"));
  TestLoop loop;
  EventLoop* in_callback = nullptr;
  EventLoop* in_task = nullptr;
  loop.call([&] { in_callback = &rota::get_running_loop(); });
  loop.run([](EventLoop*& found) -> Coro<> {
    co_await sleep(0s);
    found = &rota::get_running_loop();
  }(in_task));
  EXPECT_EQ(in_callback, &*loop);
  EXPECT_EQ(in_task, &*loop);
  EXPECT_THROW(rota::get_running_loop(), RuntimeError);
}

TEST(Loop, StatsCountWhatItDid) {
  TestLoop loop;
  loop.run_steps(3);
  const rota::LoopStats before = loop->stats();
  EXPECT_EQ(before.steps_total, 3u);
  EXPECT_EQ(before.tasks, 0u);
  auto task = loop->create_task([]() -> Coro<> { co_await sleep(1s); }());
  loop.run_steps(1);
  const rota::LoopStats waiting = loop->stats();
  EXPECT_EQ(waiting.tasks, 1u);
  EXPECT_EQ(waiting.timers, 1u);
  EXPECT_EQ(waiting.tasks_resumed_total, 1u);
  loop.run(task);
  const rota::LoopStats after = loop->stats();
  EXPECT_EQ(after.tasks, 0u);
  EXPECT_EQ(after.timers, 0u);
  EXPECT_EQ(after.tasks_resumed_total, 2u);
  EXPECT_EQ(after.loop_id, loop->handle().id());
}

}  // namespace
