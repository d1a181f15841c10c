/// runtime_wait_test.cpp: wait_for and shield.
///
/// The statements quoted are asyncio's, by their numbers in the catalogue of behaviours; the order
/// lists are CPython 3.15's.

#include <rota/wait.hpp>

#include "support/loop_thread.hpp"
#include "support/observe.hpp"
#include "support/test_loop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace {

using namespace std::chrono_literals;
using namespace rota::testing_support;
using rota::CancelledError;
using rota::Coro;
using rota::create_task;
using rota::current_task;
using rota::Future;
using rota::RuntimeError;
using rota::shield;
using rota::sleep;
using rota::Task;
using rota::wait_for;
using testing::ElementsAre;
using testing::IsEmpty;

Coro<int> value_of(Future<int> future) { co_return co_await future; }
Coro<> sleeper(rota::Duration delay) { co_await sleep(delay); }
Coro<> yield() { co_await sleep(0s); }

/// Sleeps for `delay`; if cancelled, takes `clean_up` to end, and then gives `late`, fails, or ends
/// cancelled.
enum class Ending { value, error, cancelled };
Coro<int> stubborn(rota::Duration delay, rota::Duration clean_up, Ending ending) {
  bool cancelled = false;
  try {
    co_await sleep(delay);
  } catch (const CancelledError&) {
    cancelled = true;
  }
  if (!cancelled) co_return 1;
  co_await sleep(clean_up);
  if (ending == Ending::error) throw std::runtime_error("in clean-up");
  if (ending == Ending::cancelled) throw CancelledError("at last");
  co_return 2;
}

// --- wait_for ----------------------------------------------------------------------------------

// WF01 "timeout none = plain await."
TEST(WaitFor, WF01WithoutALimitItIsAPlainAwait) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    EXPECT_EQ(co_await wait_for(give_after(24h, 1)), 1);
    EXPECT_EQ(co_await wait_for(give_after(24h, 2), std::nullopt), 2);
    EXPECT_EQ(co_await word_of(wait_for(fail_after(1h, "error"))), ":error");
    auto waiting = create_task(wait_for(sleeper(1h)));
    co_await yield();
    waiting.cancel();
    EXPECT_EQ(co_await word_of(waiting), ":cancelled");
  }());
}

// WF02 "In time: result/exception passes."
TEST(WaitFor, WF02InTimeTheResultOrErrorPasses) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    EXPECT_EQ(co_await wait_for(give_after(1s, 1), 2s), 1);
    EXPECT_EQ(co_await word_of(wait_for(fail_after(1s, "error"), 2s)), ":error");
    co_await wait_for(sleeper(1s), 2s);
    auto task = create_task(give_after(1s, 3));
    EXPECT_EQ(co_await wait_for(task, 2s), 3);
    EXPECT_EQ(task.result(), 3);
    auto pointer = []() -> Coro<std::unique_ptr<int>> { co_return std::make_unique<int>(4); };
    EXPECT_EQ(*co_await wait_for(pointer(), 1s), 4);
    EXPECT_EQ(*co_await wait_for(create_task(pointer()), 1s), 4);
    EXPECT_EQ(co_await wait_for(sleep(1s, 5), 1500ms), 5);
    EXPECT_EQ(test.now(), 5s);
    EXPECT_EQ(test->timers.size(), 0u);
  }(loop));
}

// WF03 "Expired: the inner is cancelled, and wait_for waits until it has really finished, then
// TimeoutError."
TEST(WaitFor, WF03WaitsForTheCancelledInnerToEnd) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    EXPECT_EQ(co_await word_of(wait_for(stubborn(1h, 20s, Ending::cancelled), 1s)), ":timeout");
    EXPECT_EQ(test.now(), 21s);
    auto task = create_task(stubborn(1h, 20s, Ending::cancelled));
    EXPECT_EQ(co_await word_of(wait_for(task, 1s)), ":timeout");
    EXPECT_EQ(test.now(), 42s);
    EXPECT_TRUE(task.cancelled());
    EXPECT_EQ(current_task().cancelling(), 0u);
  }(loop));
}

// WF04 "timeout <= 0 with a done future: its result."
TEST(WaitFor, WF04WithoutTimeADoneFutureGivesItsResult) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    Future<int> future;
    future.set_result(1);
    const std::size_t before = test.steps();
    EXPECT_EQ(co_await wait_for(future, 0s), 1);
    EXPECT_EQ(co_await wait_for(future, -1s), 1);
    auto failed = create_task(fail_after(0s, "error"));
    EXPECT_EQ(test.steps(), before) << "nothing was waited for";
    co_await sleep(1s);
    EXPECT_EQ(co_await word_of(wait_for(failed, 0s)), ":error");
    Future<int> cancelled;
    cancelled.cancel();
    EXPECT_EQ(co_await word_of(wait_for(cancelled, 0s)), ":cancelled");
  }(loop));
}

// WF05 "timeout <= 0 with a coroutine: the body never starts, TimeoutError."
TEST(WaitFor, WF05WithoutTimeACoroutineNeverStarts) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    bool started = false;
    auto body = [](bool& flag) -> Coro<> {
      flag = true;
      co_return;
    };
    EXPECT_EQ(co_await word_of(wait_for(body(started), 0s)), ":timeout");
    EXPECT_EQ(co_await word_of(wait_for(body(started), -5s)), ":timeout");
    EXPECT_FALSE(started);
    EXPECT_EQ(co_await word_of(wait_for(sleep(1s, 1), 0s)), ":timeout");
  }());
  EXPECT_EQ(loop.now(), 0s);
}

// WF06 "timeout <= 0 with a running task: it is cancelled and awaited."
TEST(WaitFor, WF06WithoutTimeARunningTaskIsCancelledAndAwaited) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    auto task = create_task(stubborn(1h, 20s, Ending::cancelled));
    co_await yield();
    EXPECT_EQ(co_await word_of(wait_for(task, 0s)), ":timeout");
    EXPECT_TRUE(task.cancelled());
    EXPECT_EQ(test.now(), 20s);
    auto late = create_task(stubborn(1h, 0s, Ending::value));
    co_await yield();
    EXPECT_EQ(co_await wait_for(late, 0s), 2);
    Future<int> future;
    EXPECT_EQ(co_await word_of(wait_for(future, 0s)), ":timeout");
    EXPECT_TRUE(future.cancelled());
  }(loop));
}

TEST(WaitFor, WF06TheOrderIsAsyncios) {
  TestLoop loop;
  Order order;
  loop.run([](Order& seen) -> Coro<> {
    auto ticks = create_task(ticker(seen, 8));
    auto inner = create_task(sleeper(100s));
    auto observer = create_task(observe(seen, "w", wait_for(inner, 0s)));
    co_await ticks;
    co_await observer;
  }(order));
  EXPECT_EQ(order.text(), "0 1 2 3 w:timeout 4 5 6 7");
}

TEST(WaitFor, WF06ACancelEndsThatWaitAndIsNotPassedOnAgain) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    auto task = create_task(stubborn(1h, 20s, Ending::value));
    co_await yield();
    auto waiting = create_task(wait_for(task, 0s));
    co_await sleep(5s);
    EXPECT_EQ(task.cancelling(), 1u);
    waiting.cancel();
    EXPECT_EQ(co_await word_of(waiting), ":cancelled");
    EXPECT_EQ(test.now(), 5s);
    EXPECT_EQ(task.cancelling(), 1u);
    EXPECT_EQ(co_await task, 2);
  }(loop));
}

// WF07 "Inner suppresses the cancel and returns a value after the timeout: that value is returned,
// no TimeoutError."
TEST(WaitFor, WF07ALateValueIsGiven) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    EXPECT_EQ(co_await wait_for(stubborn(1h, 5s, Ending::value), 1s), 2);
    EXPECT_EQ(test.now(), 6s);
    auto task = create_task(stubborn(1h, 5s, Ending::value));
    EXPECT_EQ(co_await wait_for(task, 1s), 2);
    EXPECT_EQ(current_task().cancelling(), 0u);
    co_await yield();
  }(loop));
}

// WF08 "Inner raises another exception during cancel: that exception."
TEST(WaitFor, WF08AnErrorOfTheCleanUpIsGiven) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    EXPECT_EQ(co_await word_of(wait_for(stubborn(1h, 5s, Ending::error), 1s)), ":in clean-up");
    EXPECT_EQ(co_await word_of(wait_for(create_task(stubborn(1h, 5s, Ending::error)), 1s)),
              ":in clean-up");
  }());
}

// WF09 "External cancel of the waiter cancels the inner; CancelledError to the caller."
TEST(WaitFor, WF09ACancelFromOutsideReachesTheInner) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    auto inner = create_task(stubborn(1h, 5s, Ending::cancelled));
    auto waiting = create_task(wait_for(inner, 1h));
    co_await sleep(1s);
    waiting.cancel();
    EXPECT_EQ(co_await word_of(waiting), ":cancelled");
    EXPECT_TRUE(waiting.cancelled());
    EXPECT_TRUE(inner.cancelled());
    EXPECT_EQ(test.now(), 6s);
  }(loop));
}

// WF10 "Inner future finished in the same tick as the timeout: result wins."
TEST(WaitFor, WF10AResultThatIsThereBeforeTheDeadlineWins) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    Future<int> future;
    auto waiting = create_task(wait_for(future, 200ms));
    co_await yield();
    future.set_result(1);
    test->kernel->jump_to(500'000'000);  // the timer falls due in the step in which the waiter runs
    EXPECT_EQ(co_await waiting, 1);
    co_await sleep(1s);
    EXPECT_EQ(waiting.cancelling(), 0u);
  }(loop));
}

// WF11 "Inner finished in the same tick as an external cancel: CancelledError wins and the inner's
// result stays in the inner future."
TEST(WaitFor, WF11ACancelBesideTheResultWinsAndTheResultStaysInTheInner) {
  TestLoop loop;
  Order order;
  loop.run([](Order& seen) -> Coro<> {
    Future<int> future;
    auto waiting = create_task(observe(seen, "w", wait_for(future, 10s)));
    co_await yield();
    future.set_result(1);
    waiting.cancel();
    co_await yield();
    co_await yield();
    EXPECT_EQ(future.result(), 1);

    auto inner = create_task(give_after(1s, 2));
    auto task = create_task(wait_for(inner, 10s));
    while (!inner.done()) co_await sleep(100ms);
    task.cancel();
    EXPECT_EQ(co_await word_of(task), ":cancelled");
    EXPECT_EQ(inner.result(), 2);
  }(order));
  EXPECT_EQ(order.text(), "w:cancelled");
}

// WF13 "The inner task being cancelled by itself: CancelledError, not TimeoutError."
TEST(WaitFor, WF13AnInnerThatIsCancelledByOthersIsNoTimeout) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    auto inner = create_task(sleeper(1h));
    auto waiting = create_task(wait_for(inner, 10s));
    co_await yield();
    inner.cancel();
    EXPECT_EQ(co_await word_of(waiting), ":cancelled");
    EXPECT_EQ(co_await word_of(wait_for(
                  []() -> Coro<> {
                    current_task().cancel();
                    co_await sleep(1s);
                  }(),
                  10s)),
              ":cancelled");
    current_task().uncancel();
  }());
}

// WF14 "Shielded inner: timeout leaves it running."
TEST(WaitFor, WF14AShieldedInnerGoesOn) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    auto inner = create_task(give_after(10s, 1));
    EXPECT_EQ(co_await word_of(wait_for(shield(inner), 1s)), ":timeout");
    EXPECT_EQ(test.now(), 1s);
    EXPECT_EQ(co_await word_of(wait_for(shield(inner), 0s)), ":timeout");
    EXPECT_FALSE(inner.done());
    EXPECT_EQ(co_await inner, 1);
    EXPECT_EQ(test.now(), 10s);
  }(loop));
}

// --- shield ------------------------------------------------------------------------------------

// SH01 "Result, exception and cancellation of the inner pass through."
TEST(Shield, SH01TheOutcomeOfTheInnerPassesThrough) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    EXPECT_EQ(co_await shield(give_after(1s, 1)), 1);
    EXPECT_EQ(co_await word_of(shield(fail_after(1s, "error"))), ":error");
    co_await shield(sleeper(1s));
    auto inner = create_task(sleeper(1h));
    auto outer = shield(inner);
    co_await yield();
    inner.cancel();
    EXPECT_EQ(co_await word_of(outer), ":cancelled");
    EXPECT_TRUE(outer.cancelled());
    auto pointer = []() -> Coro<std::unique_ptr<int>> { co_return std::make_unique<int>(2); };
    EXPECT_EQ(*co_await shield(pointer()), 2);
    auto kept = create_task(give_after(1s, 3));
    EXPECT_EQ(co_await shield(kept), 3);
    EXPECT_EQ(kept.result(), 3);
  }());
  EXPECT_THAT(loop.messages(), IsEmpty());
}

TEST(Shield, SH01TheAwaiterResumesTwoStepsAfterTheInner) {
  TestLoop loop;
  Order order;
  loop.run([](Order& seen) -> Coro<> {
    auto ticks = create_task(ticker(seen, 8));
    auto observer = create_task([](Order& within) -> Coro<> {
      co_await observe(within, "s", shield(steps(within, "a", 1)));
    }(seen));
    co_await ticks;
    co_await observer;
  }(order));
  EXPECT_EQ(order.text(), "0 1 2 a 3 4 s=1 5 6 7");
}

// SH02 "Cancelling the outer leaves the inner running to its end."
TEST(Shield, SH02CancellingTheOuterLeavesTheInnerRunning) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    auto inner = create_task(give_after(10s, 1));
    auto outer = shield(inner);
    co_await yield();
    EXPECT_TRUE(outer.cancel());
    EXPECT_TRUE(outer.cancelled());
    EXPECT_EQ(inner.cancelling(), 0u);
    EXPECT_EQ(co_await inner, 1);
    co_await yield();
    EXPECT_TRUE(outer.cancelled());
    EXPECT_FALSE(outer.cancel());
  }());
}

TEST(Shield, SH02TheInnersErrorIsReportedWhenNobodyElseTakesIt) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    auto outer = shield(fail_after(1s, "error"));
    co_await yield();
    outer.cancel();
    co_await sleep(2s);
  }());
  loop.run_until_idle();
  EXPECT_THAT(loop.messages(), ElementsAre("Task exception was never retrieved"));
}

TEST(Shield, SH02ACancelledOuterLeavesNothingAtTheInner) {
  // A task that is asked again and again with a time limit must not gather dead shields.
  TestLoop loop;
  loop.run([]() -> Coro<> {
    auto inner = create_task(give_after(1h, 1));
    for (int i = 0; i < 3; ++i)
      EXPECT_EQ(co_await word_of(wait_for(shield(inner), 1s)), ":timeout");
    EXPECT_TRUE(inner.base()->waiters().empty());
  }());
}

TEST(Shield, SH02MayBeCancelledBetweenTwoRunsOfItsLoop) {
  TestLoop loop;
  auto inner = loop->create_task(give_after(1s, 1));
  auto outer =
      loop.run([](Task<int> kept) -> Coro<rota::Shield<int>> { co_return shield(kept); }(inner));
  EXPECT_TRUE(outer.cancel());
  EXPECT_TRUE(outer.cancelled());
  EXPECT_TRUE(inner.base()->waiters().empty());
  EXPECT_EQ(loop.run(inner), 1);
}

// SH03 "An already-done inner is returned unchanged."
TEST(Shield, SH03OfADoneInnerIsDone) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    Future<int> future;
    future.set_result(1);
    const std::size_t before = test.steps();
    auto outer = shield(future);
    EXPECT_TRUE(outer.done());
    EXPECT_EQ(co_await outer, 1);
    EXPECT_EQ(test.steps(), before);
    Future<int> failed;
    failed.set_exception(std::runtime_error("error"));
    EXPECT_EQ(co_await word_of(shield(failed)), ":error");
    Future<int> cancelled;
    cancelled.cancel();
    EXPECT_TRUE(shield(cancelled).cancelled());
  }(loop));
}

// SH05 "Awaiting shield in a cancelled task raises CancelledError at once."
TEST(Shield, SH05ACancelledTaskDoesNotWaitForTheInner) {
  TestLoop loop;
  Order order;
  loop.run([](Order& seen) -> Coro<> {
    auto ticks = create_task(ticker(seen, 8));
    auto observer = create_task([](Order& within) -> Coro<> {
      co_await observe(within, "s", shield(steps(within, "a", 3)));
    }(seen));
    co_await yield();
    co_await yield();
    seen.add(observer.cancel() ? "True" : "False");
    co_await ticks;
    co_await observer;
  }(order));
  EXPECT_EQ(order.text(), "0 1 True 2 s:cancelled 3 4 a 5 6 7");
}

TEST(Shield, SH05ATaskCancelledBeforeTheAwaitDoesNotWaitEither) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    auto inner = create_task(give_after(10s, 1));
    auto task = create_task([](Task<int> kept) -> Coro<> {
      current_task().cancel();
      co_await shield(kept);
    }(inner));
    EXPECT_EQ(co_await word_of(task), ":cancelled");
    EXPECT_EQ(test.now(), 0s);
    EXPECT_EQ(co_await inner, 1);
  }(loop));
}

// SH06 "The runtime must keep the shielded inner alive after the outer is gone."
TEST(Shield, SH06TheRuntimeKeepsTheInner) {
  TestLoop loop;
  Order order;
  loop.run([](Order& seen) -> Coro<> {
    EXPECT_EQ(co_await word_of(wait_for(shield(steps(seen, "inner", 5)), 0s)), ":timeout");
    co_await sleep(1s);
  }(order));
  EXPECT_EQ(order.text(), "inner");
}

TEST(Shield, NeedsARunningLoop) { EXPECT_THROW((void)shield(sleeper(1s)), RuntimeError); }

TEST(Shield, LeavesNothingBehindWhenTheLoopCloses) {
  TestLoop loop;
  const Future<int> never;
  auto waiting =
      loop->create_task([](Future<int> future) -> Coro<> { co_await shield(future); }(never));
  auto forgotten = loop->create_task([](Future<int> future) -> Coro<> {
    (void)shield(future);
    co_await yield();
  }(never));
  loop.run_until_idle();
  loop->close();
  EXPECT_TRUE(waiting.cancelled());
  EXPECT_TRUE(forgotten.done());
}

// --- across loops ------------------------------------------------------------------------------

TEST(WaitForAcrossLoops, WF02TheResultOfAForeignTaskPasses) {
  TestLoop loop;  // first: other threads may still wake it while their loops end
  LoopThread other;
  const Future<int> gate;
  auto foreign = other.start(value_of, gate);
  loop.run([](Task<int> task, Future<int> opened, LoopThread& owner) -> Coro<> {
    auto waiting = create_task(wait_for(task));
    co_await yield();
    owner.handle().call_soon_threadsafe([opened] { opened.set_result(1); });
    EXPECT_EQ(co_await waiting, 1);
    EXPECT_EQ(co_await wait_for(task, 0s), 1);
  }(foreign, gate, other));
}

/// wait_for on a loop whose clock stands still while it waits for another loop: it is moved by
/// hand.
template <typename T>
Coro<std::string> wait_for_abroad(TestLoop& loop, Task<T> task, rota::Duration delay) {
  auto waiting = create_task(wait_for(std::move(task), delay));
  co_await yield();
  co_await yield();
  loop->kernel->jump_to(delay.count());
  co_return co_await word_of(waiting);
}

TEST(WaitForAcrossLoops, WF03AForeignTaskIsCancelledAndAwaited) {
  TestLoop loop;  // first: other threads may still wake it while their loops end
  LoopThread other;
  for (const auto limit : {rota::Duration(1s), rota::Duration(0s)}) {
    auto foreign = other.start([] { return sleeper(1h); });
    loop.run([](TestLoop& test, Task<> task, rota::Duration delay) -> Coro<> {
      EXPECT_EQ(co_await wait_for_abroad(test, task, delay), ":timeout");
      EXPECT_TRUE(task.cancelled());
    }(loop, foreign, limit));
  }
}

TEST(WaitForAcrossLoops, WF07AForeignTasksLateValueIsGiven) {
  TestLoop loop;  // first: other threads may still wake it while their loops end
  LoopThread other;
  for (const auto limit : {rota::Duration(1s), rota::Duration(0s)}) {
    auto foreign = other.start([] { return stubborn(1h, 0s, Ending::value); });
    other.settle();
    other.settle();  // it has begun
    loop.run([](TestLoop& test, Task<int> task, rota::Duration delay) -> Coro<> {
      EXPECT_EQ(co_await wait_for_abroad(test, task, delay), "=2");
    }(loop, foreign, limit));
  }
}

TEST(ShieldAcrossLoops, SH01TheOutcomeOfAForeignTaskPassesThrough) {
  TestLoop loop;  // first: other threads may still wake it while their loops end
  LoopThread other;
  const Future<int> gate;
  auto foreign = other.start(value_of, gate);
  loop.run([](Task<int> task, Future<int> opened, LoopThread& owner) -> Coro<> {
    auto outer = shield(task);
    owner.handle().call_soon_threadsafe([opened] { opened.set_result(1); });
    EXPECT_EQ(co_await std::move(outer), 1);
    EXPECT_EQ(co_await shield(task), 1);
  }(foreign, gate, other));
}

TEST(ShieldAcrossLoops, SH02AForeignTaskGoesOnAndLetsGoOfTheShield) {
  LoopThread other;
  const Future<int> gate;
  auto foreign = other.start(value_of, gate);
  {
    rota::EventLoop loop;
    loop.run_until_complete([](Task<int> task) -> Coro<> {
      for (int i = 0; i < 3; ++i) {
        auto waiting = create_task(shield(task));
        co_await yield();
        co_await yield();
        waiting.cancel();
        EXPECT_EQ(co_await word_of(waiting), ":cancelled");
      }
    }(foreign));
  }
  other.call([] {});  // the last message to let go has arrived before this one
  EXPECT_TRUE(other.call([&] { return foreign.base()->waiters().empty(); }));
  EXPECT_EQ(foreign.cancelling(), 0u);
  other.call([&] { gate.set_result(1); });
  other.join(foreign);
  EXPECT_EQ(foreign.result(), 1);
}

TEST(ShieldAcrossLoops, AFutureOfALoopThatClosesFailsTheShield) {
  TestLoop loop;  // first: other threads may still wake it while their loops end
  auto other = std::make_unique<LoopThread>();
  const Future<int> never;
  other->call([&] { never.add_done_callback([](const Future<int>&) {}); });  // binds it there
  loop.run([](Future<int> lost, std::unique_ptr<LoopThread>& owner) -> Coro<> {
    auto outer = shield(lost);
    owner = nullptr;
    EXPECT_EQ(co_await word_of(outer), ":Future will never be done: its event loop is closed");
    EXPECT_EQ(co_await word_of(wait_for(lost, 0s)),
              ":Future will never be done: its event loop is closed");
  }(never, other));
}

}  // namespace
