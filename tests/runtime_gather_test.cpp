/// runtime_gather_test.cpp: gather: order, errors, cancellation, children of other loops.
///
/// The statements quoted are asyncio's, by their numbers in the catalogue of behaviours; the order
/// lists are CPython 3.15's.

#include <rota/gather.hpp>
#include <rota/wait.hpp>

#include "support/loop_thread.hpp"
#include "support/observe.hpp"
#include "support/test_loop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <ranges>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace rota::testing_support;
using rota::CancelledError;
using rota::Coro;
using rota::create_task;
using rota::Future;
using rota::gather;
using rota::return_exceptions;
using rota::RuntimeError;
using rota::shield;
using rota::sleep;
using rota::Task;
using testing::ElementsAre;
using testing::IsEmpty;

Coro<int> value_of(Future<int> future) { co_return co_await future; }
Coro<> sleeper(rota::Duration delay) { co_await sleep(delay); }
Coro<> yield() { co_await sleep(0s); }

// GA01 "Results in argument order, not completion order."
TEST(Gather, GA01ResultsComeInTheOrderOfTheArguments) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    const auto [slow, quick, nothing] =
        co_await gather(give_after(2s, 1), give_after(1s, 2), sleeper(3s));
    EXPECT_EQ(slow, 1);
    EXPECT_EQ(quick, 2);
    static_assert(std::is_same_v<decltype(nothing), const std::monostate>);
  }());
  EXPECT_EQ(loop.now(), 3s);
}

TEST(Gather, GA01AwaiterResumesTwoStepsAfterTheLastChild) {
  TestLoop loop;
  Order order;
  loop.run([](Order& seen) -> Coro<> {
    auto ticks = create_task(ticker(seen, 8));
    auto observer =
        create_task(observe(seen, "g", gather(steps(seen, "a", 1), steps(seen, "b", 2))));
    co_await ticks;
    co_await observer;
  }(order));
  EXPECT_EQ(order.text(), "0 1 a 2 b 3 4 g 5 6 7");
}

TEST(Gather, GA01ARangeGivesAVectorInItsOrder) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    std::vector<Coro<int>> coros;
    for (int i = 0; i < 5; ++i) coros.push_back(give_after((5 - i) * 1s, i));
    const std::vector<int> results = co_await gather(std::move(coros));
    EXPECT_THAT(results, ElementsAre(0, 1, 2, 3, 4));

    auto made =
        std::views::iota(0, 3) | std::views::transform([](int i) { return give_after(1s, i); });
    const std::vector<int> of_view = co_await gather(made);
    EXPECT_THAT(of_view, ElementsAre(0, 1, 2));
    auto odd = std::views::iota(0, 6) | std::views::filter([](int i) { return i % 2 == 1; }) |
               std::views::transform(
                   [](int i) { return give_after(1s, i); });  // its size is not known beforehand
    const std::vector<int> of_filtered = co_await gather(odd);
    EXPECT_THAT(of_filtered, ElementsAre(1, 3, 5));
  }());
}

// GA02 "gather() of nothing gives a done future with []."
TEST(Gather, GA02OfNothingIsDoneAtOnce) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    const std::size_t before = test.steps();
    const auto none = gather();
    EXPECT_TRUE(none.done());
    EXPECT_EQ(co_await none, std::tuple<>());
    const auto empty = gather(std::vector<Coro<int>>());
    EXPECT_TRUE(empty.done());
    EXPECT_THAT(co_await empty, IsEmpty());
    EXPECT_EQ(test.steps(), before);
  }(loop));
}

// GA03 "The same awaitable twice runs once, its result appears twice."
TEST(Gather, GA03TheSameTaskTwiceRunsOnce) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    Order order;
    auto task = create_task(steps(order, "ran", 2));
    const auto [first, second] = co_await gather(task, task);
    EXPECT_EQ(first, 2);
    EXPECT_EQ(second, 2);
    auto other = create_task(steps(order, "again", 3));
    std::vector<Task<int>> tasks{other, task, std::move(other)};
    const auto list = co_await gather(std::move(tasks));
    EXPECT_THAT(list, ElementsAre(3, 2, 3));
    EXPECT_EQ(order.text(), "ran again");
  }());
}

TEST(Gather, GA03AResultThatOthersMayAskForIsCopied) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    auto text = []() -> Coro<std::string> { co_return std::string(100, 'x'); };
    auto task = create_task(text());
    const auto [given] = co_await gather(task);
    EXPECT_EQ(given, task.result());
    std::vector<Task<std::string>> tasks{create_task(text()), create_task(text())};
    const auto copied = co_await gather(tasks);
    EXPECT_EQ(copied[1], tasks[1].result());
    std::vector<Task<std::string>> same{task, task};
    const auto twice = co_await gather(std::move(same));
    EXPECT_EQ(twice[0], twice[1]);
  }());
}

TEST(Gather, MovesResultsThatCannotBeCopied) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    auto make = [](int value) -> Coro<std::unique_ptr<int>> {
      co_return std::make_unique<int>(value);
    };
    auto several = []() -> Coro<std::vector<std::unique_ptr<int>>> {
      co_return std::vector<std::unique_ptr<int>>(2);
    };
    auto [one, two, list] = co_await gather(make(1), create_task(make(2)), create_task(several()));
    EXPECT_EQ(*one, 1);
    EXPECT_EQ(*two, 2);
    EXPECT_EQ(list.size(), 2u);
  }());
}

TEST(Gather, TakesEveryKindOfAwaitable) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    Future<int> future;
    auto task = create_task(give_after(1s, 2));
    int target = 4;
    auto refer = [](int& referred) -> Coro<int&> { co_return referred; };
    auto all = gather(give_after(2s, 1), task, future, sleep(1s, 3), refer(target),
                      gather(give_after(1s, 5)));
    future.set_result(7);
    const auto [coro, from_task, from_future, slept, reference, nested] = co_await std::move(all);
    EXPECT_EQ(coro, 1);
    EXPECT_EQ(from_task, 2);
    EXPECT_EQ(from_future, 7);
    EXPECT_EQ(slept, 3);
    EXPECT_EQ(&reference.get(), &target);
    EXPECT_EQ(std::get<0>(nested), 5);
  }());
}

TEST(Gather, ChildrenStartAtTheCall) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    Order order;
    auto all = gather(steps(order, "a", 0), steps(order, "b", 0));
    EXPECT_EQ(order.text(), "");
    co_await yield();
    EXPECT_EQ(order.text(), "a b");
    co_await all;
  }());
}

TEST(Gather, NeedsARunningLoop) {
  EXPECT_THROW(gather(sleeper(1s)), RuntimeError);
  EXPECT_THROW(gather(std::vector<Coro<int>>()), RuntimeError);
}

// GA04 "First exception goes to the awaiter at once; siblings keep running."
TEST(Gather, GA04TheFirstErrorComesAtOnceAndSiblingsGoOn) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    auto sibling = create_task(give_after(5s, 1));
    auto all = gather(fail_after(1s, "early"), sibling, fail_after(2s, "late"));
    std::string caught;
    try {
      co_await all;
    } catch (const std::runtime_error& error) {
      caught = error.what();
    }
    EXPECT_EQ(caught, "early");
    EXPECT_EQ(test.now(), 1s);
    EXPECT_FALSE(sibling.done());
    EXPECT_FALSE(all.cancel()) << "it is done; its children are not cancelled any more";
    EXPECT_EQ(co_await sibling, 1);
  }(loop));
  EXPECT_EQ(loop.now(), 5s);
}

// GA05 "Later exceptions of siblings are marked retrieved, also when the outer already failed."
TEST(Gather, GA05LaterErrorsOfSiblingsAreNotReported) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    Order order;
    co_await observe(
        order, "g",
        gather(fail_after(1s, "early"), fail_after(2s, "late"), fail_after(3s, "latest")));
    EXPECT_EQ(order.text(), "g:early");
    co_await sleep(5s);
  }());
  EXPECT_THAT(loop.messages(), IsEmpty());
}

TEST(Gather, AnErrorThatNobodyTakesIsReportedOnce) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    gather(fail_after(1s, "early"), fail_after(2s, "late"));  // dropped: the children run on
    co_await sleep(5s);
  }());
  EXPECT_THAT(loop.messages(), ElementsAre("Future exception was never retrieved"));
}

// GA06 "return_exceptions: exceptions appear as results in place."
TEST(Gather, GA06WithReturnExceptionsErrorsAreResults) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    const auto [first, second, third] =
        co_await gather(return_exceptions, fail_after(1s, "one"), give_after(3s, 2), sleeper(1s));
    EXPECT_EQ(word_for(first.error()), "one");
    EXPECT_EQ(second.value(), 2);
    EXPECT_TRUE(third.has_value());
    EXPECT_EQ(test.now(), 3s);
    std::vector<Coro<int>> coros;
    coros.push_back(give_after(1s, 1));
    coros.push_back(fail_after(2s, "two"));
    const auto results = co_await gather(return_exceptions, std::move(coros));
    EXPECT_EQ(results[0].value(), 1);
    EXPECT_EQ(word_for(results[1].error()), "two");
  }(loop));
  EXPECT_THAT(loop.messages(), IsEmpty());
}

// GA07 "A cancelled child makes gather raise CancelledError but the gather future is not
// cancelled()."
TEST(Gather, GA07ACancelledChildDoesNotMakeTheGatherCancelled) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    auto child = create_task(sleeper(1h));
    auto sibling = create_task(give_after(1s, 1));
    auto all = gather(child, sibling);
    child.cancel("enough");
    std::string message = "(none)";
    try {
      co_await all;
    } catch (const CancelledError& error) {
      message = error.message();
    }
    EXPECT_EQ(message, "enough");
    EXPECT_TRUE(all.done());
    EXPECT_FALSE(all.cancelled());
    EXPECT_EQ(word_for(all.exception()), "cancelled");
    EXPECT_FALSE(sibling.done());
    EXPECT_EQ(co_await sibling, 1);
  }());
}

TEST(Gather, GA07WithReturnExceptionsTheCancellationIsAnElement) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    auto child = create_task(sleeper(1h));
    auto all = gather(return_exceptions, child, give_after(1s, 1));
    child.cancel();
    const auto [first, second] = co_await all;
    EXPECT_EQ(word_for(first.error()), "cancelled");
    EXPECT_EQ(second.value(), 1);
  }());
}

// GA08 "Cancelling gather cancels all unfinished children."
TEST(Gather, GA08CancelReachesTheUnfinishedChildren) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    auto done = create_task(give_after(1s, 1));
    auto first = create_task(sleeper(1h));
    auto second = create_task(sleeper(2h));
    auto all = gather(done, first, second);
    co_await sleep(2s);
    EXPECT_TRUE(all.cancel("stop"));
    EXPECT_FALSE(all.done()) << "it waits for its children";
    std::string message;
    try {
      co_await all;
    } catch (const CancelledError& error) {
      message = error.message();
    }
    EXPECT_EQ(message, "stop");
    EXPECT_EQ(done.result(), 1);
    EXPECT_EQ(outcome_of(first), "cancelled");
    EXPECT_EQ(outcome_of(second), "cancelled");
    EXPECT_FALSE(all.cancelled());
  }());
}

TEST(Gather, GA08OrderOfACancelIsAsyncios) {
  TestLoop loop;
  Order order;
  loop.run([](Order& seen) -> Coro<> {
    auto ticks = create_task(ticker(seen, 8));
    auto all = gather(sleeper(10s), sleeper(10s));
    auto observer = create_task(observe(seen, "g", all));
    co_await yield();
    seen.add(all.cancel() ? "True" : "False");
    co_await ticks;
    co_await observer;
  }(order));
  EXPECT_EQ(order.text(), "0 True 1 2 3 g:cancelled 4 5 6 7");
}

TEST(Gather, GA08ACancelOfTheAwaitingTaskIsPassedOn) {
  TestLoop loop;
  Order order;
  loop.run([](Order& seen) -> Coro<> {
    auto ticks = create_task(ticker(seen, 8));
    auto observer = create_task(observe(seen, "g", gather(sleeper(10s), sleeper(10s))));
    co_await yield();
    co_await yield();
    seen.add(observer.cancel() ? "True" : "False");
    co_await ticks;
    co_await observer;
  }(order));
  EXPECT_EQ(order.text(), "0 1 True 2 3 4 g:cancelled 5 6 7");
  EXPECT_EQ(loop.now(), 0s);
}

// GA09 "cancel() on gather whose children are all done returns false."
TEST(Gather, GA09CancelComesTooLateOnceAllChildrenAreDone) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    Future<int> first;
    Future<int> second;
    auto all = gather(first, second);
    first.set_result(1);
    second.set_result(2);
    EXPECT_FALSE(all.cancel());
    EXPECT_FALSE(all.done()) << "the reports are queued";
    co_await yield();
    EXPECT_TRUE(all.done());
    EXPECT_EQ(all.result(), std::tuple(1, 2));
    EXPECT_FALSE(all.cancel());
  }());
}

// GA10 "With return_exceptions a cancelled gather still ends in CancelledError, not in a list."
TEST(Gather, GA10ACancelledGatherIsNoListEvenWithReturnExceptions) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    auto all = gather(return_exceptions, sleeper(1h), sleeper(1h));
    co_await yield();
    EXPECT_TRUE(all.cancel());
    std::string caught;
    try {
      co_await all;
    } catch (const CancelledError&) {
      caught = "cancelled";
    }
    EXPECT_EQ(caught, "cancelled");
    EXPECT_FALSE(all.cancelled());

    auto stubborn = []() -> Coro<int> {
      try {
        co_await sleep(1h);
      } catch (const CancelledError&) {
        co_return 1;
      }
      co_return 0;
    };
    auto suppressed = gather(return_exceptions, stubborn());
    co_await yield();
    EXPECT_TRUE(suppressed.cancel("stop"));
    co_await sleep(1s);
    EXPECT_EQ(outcome_of(suppressed), "cancelled") << "although the child returned";
  }());
}

// GA11, D10: children of several loops are allowed.
TEST(GatherAcrossLoops, GA11ChildrenMayBelongToOtherLoops) {
  TestLoop loop;  // first: other threads may still wake it while their loops end
  LoopThread first;
  LoopThread second;
  const Future<int> gate;
  auto here = first.start(value_of, gate);
  auto there = second.start([]() -> Coro<std::string> { co_return "text"; });
  loop.run([](Task<int> a, Task<std::string> b, Future<int> opened, LoopThread& owner) -> Coro<> {
    auto all = gather(a, b, give_after(0s, 3));
    EXPECT_FALSE(all.done());
    owner.handle().call_soon_threadsafe([opened] { opened.set_result(1); });
    const auto [number, text, local] = co_await all;
    EXPECT_EQ(number, 1);
    EXPECT_EQ(text, "text");
    EXPECT_EQ(local, 3);
    EXPECT_TRUE(gather(a, b).done()) << "what is done already needs no message";
  }(here, there, gate, first));
}

TEST(GatherAcrossLoops, GA11CancelReachesChildrenOnOtherLoops) {
  TestLoop loop;  // first: other threads may still wake it while their loops end
  LoopThread other;
  auto child = other.start([] { return sleeper(1h); });
  loop.run([](Task<> foreign) -> Coro<> {
    auto all = gather(return_exceptions, foreign, sleeper(1h));
    auto waiting = create_task(all);
    co_await yield();
    co_await yield();
    waiting.cancel();
    std::string caught;
    try {
      co_await waiting;
    } catch (const CancelledError&) {
      caught = "cancelled";
    }
    EXPECT_EQ(caught, "cancelled");
    EXPECT_TRUE(foreign.cancelled()) << "it ends when all have ended";
  }(child));
}

TEST(GatherAcrossLoops, GA11AFutureOfALoopThatClosesFailsTheGather) {
  TestLoop loop;  // first: other threads may still wake it while their loops end
  auto other = std::make_unique<LoopThread>();
  const Future<int> never;
  other->call([&] { never.add_done_callback([](const Future<int>&) {}); });  // binds it there
  loop.run([](Future<int> lost, std::unique_ptr<LoopThread>& owner) -> Coro<> {
    auto plain = gather(lost);
    auto results = gather(return_exceptions, lost);
    owner = nullptr;
    std::string text;
    try {
      co_await plain;
    } catch (const RuntimeError& error) {
      text = error.what();
    }
    EXPECT_EQ(text, "Future will never be done: its event loop is closed");
    EXPECT_FALSE(std::get<0>(co_await results).has_value());
    auto late = gather(return_exceptions, lost);  // closed already
    EXPECT_FALSE(std::get<0>(co_await std::move(late)).has_value());
  }(never, other));
}

TEST(GatherAcrossLoops, MayBeAwaitedFromAnotherLoop) {
  TestLoop loop;  // first: other threads may still wake it while their loops end
  LoopThread other;
  const Future<int> gate;
  auto all = other.call([&] { return gather(gate, give_after(0s, 2)); });
  loop.run([](rota::Gather<std::tuple<int, int>> outer, Future<int> opened,
              LoopThread& owner) -> Coro<> {
    owner.handle().call_soon_threadsafe([opened] { opened.set_result(1); });
    const auto [first, second] = co_await outer;
    EXPECT_EQ(first, 1);
    EXPECT_EQ(second, 2);
  }(all, gate, other));
}

TEST(GatherAcrossLoops, LosesNothingWhenItsOwnLoopClosesFirst) {
  LoopThread other;
  const Future<int> gate;
  auto child = other.start(value_of, gate);
  {
    rota::EventLoop loop;
    loop.set_exception_handler([](rota::EventLoop&, const rota::ExceptionContext&) {});
    loop.run_until_complete([](Task<int> foreign) -> Coro<> {
      gather(foreign, sleeper(1h));
      co_await yield();
    }(child));
  }
  other.call([&] { gate.set_result(1); });
  other.join(child);
  EXPECT_EQ(child.result(), 1);
}

// GA12 "gather over shields: cancelling leaves the inner tasks running."
TEST(Gather, GA12OverShieldsLeavesTheInnerTasksRunning) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    auto first = create_task(give_after(1s, 1));
    auto second = create_task(give_after(1s, 2));
    auto all = gather(shield(first), shield(second));
    co_await yield();
    EXPECT_TRUE(all.cancel());
    std::string caught;
    try {
      co_await all;
    } catch (const CancelledError&) {
      caught = "cancelled";
    }
    EXPECT_EQ(caught, "cancelled");
    EXPECT_FALSE(first.done());
    EXPECT_EQ(co_await first, 1);
    EXPECT_EQ(co_await second, 2);
  }());
}

// GA13 "shield over gather protects all."
TEST(Gather, GA13UnderAShieldIsProtected) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    auto first = create_task(give_after(1s, 1));
    auto second = create_task(give_after(1s, 2));
    auto outer = shield(gather(first, second));
    co_await yield();
    EXPECT_TRUE(outer.cancel());
    EXPECT_EQ(outcome_of(outer), "cancelled");
    co_await sleep(2s);
    EXPECT_EQ(first.result(), 1);
    EXPECT_EQ(second.result(), 2);
  }());
}

// --- lifetime ----------------------------------------------------------------------------------

TEST(Gather, LeavesNothingBehindWhenTheLoopCloses) {
  TestLoop loop;
  const Future<int> never;
  auto waiting = loop->create_task([](Future<int> future) -> Coro<> {
    co_await gather(future, sleeper(1h), gather(sleeper(2h)));
  }(never));
  loop.run_until_idle();
  loop->close();
  EXPECT_TRUE(waiting.cancelled());
  EXPECT_FALSE(never.done());
}

TEST(Gather, GA08MayBeCancelledBetweenTwoRunsOfItsLoop) {
  TestLoop loop;
  auto all = loop.run([]() -> Coro<rota::Gather<std::tuple<int, int>>> {
    co_return gather(give_after(1h, 1), shield(give_after(1h, 2)));
  }());
  EXPECT_TRUE(all.cancel());
  loop.run_until_idle();
  EXPECT_EQ(outcome_of(all), "cancelled");
}

TEST(Gather, CopiesOfTheHandleMeanTheSameGather) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    auto all = gather(give_after(1s, 1));
    auto copy = all;
    EXPECT_EQ(all, copy);
    int calls = 0;
    all.add_done_callback(
        [&](const Future<std::tuple<int>>& done) { calls += std::get<0>(done.result()); });
    co_await copy;
    EXPECT_TRUE(all.done());
    co_await yield();
    EXPECT_EQ(calls, 1);
  }());
}

}  // namespace
