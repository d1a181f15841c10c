/// runtime_future_test.cpp: Future: set once, awaited often, reported when nobody looks at its
/// error.
///
/// The statements quoted are asyncio's, by their numbers in the catalogue of behaviours. Futures
/// between loops: runtime_task_threads_test.cpp.

#include <rota/context.hpp>
#include <rota/future.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>

#include "support/outcome.hpp"
#include "support/test_loop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>

namespace {

using namespace std::chrono_literals;
using rota::CancelledError;
using rota::Coro;
using rota::create_task;
using rota::Future;
using rota::InvalidStateError;
using rota::RuntimeError;
using rota::sleep;
using rota::testing_support::message_of;
using rota::testing_support::Order;
using rota::testing_support::TestLoop;
using testing::HasSubstr;
using testing::IsEmpty;

// --- states ------------------------------------------------------------------------------------

// FU01 "New: pending; result()/exception() raise InvalidStateError."
TEST(Future, FU01ANewOneIsPending) {
  const Future<int> future;
  EXPECT_FALSE(future.done());
  EXPECT_FALSE(future.cancelled());
  EXPECT_THROW((void)future.result(), InvalidStateError);
  EXPECT_THROW((void)future.exception(), InvalidStateError);
}

TEST(Future, FU01OnceSetItHasAResult) {
  TestLoop loop;
  loop.call([] {
    const Future<std::string> future;
    future.set_result("text");
    EXPECT_TRUE(future.done());
    EXPECT_FALSE(future.cancelled());
    EXPECT_EQ(future.result(), "text");
    EXPECT_EQ(future.result(), "text");
    EXPECT_EQ(future.exception(), nullptr);
    const Future<> nothing;
    nothing.set_result();
    EXPECT_TRUE(nothing.done());
    nothing.result();
  });
}

TEST(Future, FU01OnceItFailedItHasAnException) {
  TestLoop loop;
  loop.call([] {
    const Future<int> future;
    future.set_exception(std::runtime_error("broken"));
    EXPECT_TRUE(future.done());
    EXPECT_FALSE(future.cancelled());
    EXPECT_THROW((void)future.result(), std::runtime_error);
    EXPECT_THROW(std::rethrow_exception(future.exception()), std::runtime_error);
    const Future<int> by_pointer;
    by_pointer.set_exception(std::make_exception_ptr(std::out_of_range("far")));
    EXPECT_THROW((void)by_pointer.result(), std::out_of_range);
  });
}

TEST(Future, MayBeSetAndReadOutsideOfEveryLoop) {
  const Future<int> future;
  future.set_result(5);
  EXPECT_EQ(future.result(), 5);
}

// FU02 "set_result/set_exception when done or cancelled -> InvalidStateError."
TEST(Future, FU02SettingADoneOneIsAnInvalidStateError) {
  TestLoop loop;
  loop.call([] {
    Future<int> set;
    set.set_result(1);
    Future<int> failed;
    failed.set_exception(std::runtime_error("first"));
    Future<int> cancelled;
    cancelled.cancel();
    for (const Future<int>& future : {set, failed, cancelled}) {
      EXPECT_THROW(future.set_result(2), InvalidStateError);
      EXPECT_THROW(future.set_exception(std::logic_error("second")), InvalidStateError);
    }
    EXPECT_EQ(set.result(), 1);
    EXPECT_THROW((void)failed.result(), std::runtime_error);
    EXPECT_TRUE(cancelled.cancelled());
  });
}

// FU03 "cancel() returns true once, false when done; result() then raises CancelledError."
TEST(Future, FU03CancelReturnsTrueOnce) {
  TestLoop loop;
  loop.call([] {
    const Future<int> future;
    EXPECT_TRUE(future.cancel("why"));
    EXPECT_TRUE(future.done());
    EXPECT_TRUE(future.cancelled());
    EXPECT_FALSE(future.cancel());
    EXPECT_FALSE(future.cancel("again"));
    EXPECT_EQ(message_of(future), "why");
    EXPECT_THROW((void)future.exception(), CancelledError);
    const Future<int> set;
    set.set_result(1);
    EXPECT_FALSE(set.cancel());
    EXPECT_EQ(set.result(), 1);
  });
}

TEST(Future, SettingACancelledErrorCancelsIt) {
  TestLoop loop;
  loop.call([] {
    const Future<int> future;
    future.set_exception(CancelledError("as an exception"));
    EXPECT_TRUE(future.cancelled());
    EXPECT_EQ(message_of(future), "as an exception");
  });
}

TEST(Future, ResultMayBeMoveOnlyAndIsSharedByReference) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    const Future<std::unique_ptr<int>> future;
    future.set_result(std::make_unique<int>(4));
    const std::unique_ptr<int>& first = co_await future;
    const std::unique_ptr<int>& second = co_await future;
    EXPECT_EQ(&first, &second);
    EXPECT_EQ(*first, 4);
  }());
}

TEST(Future, CopiesMeanTheSameFuture) {
  TestLoop loop;
  loop.call([] {
    const Future<int> future;
    const Future<int> copy =
        future;  // NOLINT(performance-unnecessary-copy-initialization): what is tested
    EXPECT_EQ(copy, future);
    EXPECT_NE(Future<int>(), future);
    future.set_result(1);
    EXPECT_EQ(copy.result(), 1);
  });
}

// --- callbacks ---------------------------------------------------------------------------------

rota::ContextVar<std::string> who("who", "nobody");

// FU05 "Callbacks run through call_soon (never inline), in the order added, with the context of add
// time."
TEST(Future, FU05CallbacksRunThroughCallSoonInTheOrderAdded) {
  TestLoop loop;
  Order order;
  Future<int> future;
  loop.call([&] {
    loop->call_soon(order.adder("earlier"));
    future.add_done_callback([&](const Future<int>& done) {
      EXPECT_EQ(done, future);
      order.add("first");
    });
    future.add_done_callback([&](const Future<int>&) { order.add("second"); });
    future.set_result(1);
    EXPECT_EQ(order.text(), "");
    loop->call_soon(order.adder("later"));
  });
  loop.run_steps(1);
  EXPECT_EQ(order.text(), "earlier first second later");
}

TEST(Future, FU05CallbacksRunAfterAnExceptionAndACancelToo) {
  TestLoop loop;
  Order order;
  Future<int> failed;
  Future<int> cancelled;
  loop.call([&] {
    failed.add_done_callback([&](const Future<int>& done) {
      EXPECT_NE(done.exception(), nullptr);
      order.add("failed");
    });
    cancelled.add_done_callback([&](const Future<int>& done) {
      EXPECT_TRUE(done.cancelled());
      order.add("cancelled");
    });
    failed.set_exception(std::runtime_error("x"));
    cancelled.cancel();
  });
  loop.run_steps(1);
  EXPECT_EQ(order.text(), "failed cancelled");
}

TEST(Future, FU05CallbacksRunInTheContextOfTheirAdding) {
  TestLoop loop;
  Order order;
  Future<int> future;
  auto add = [&](const std::string& name) {
    who.set(name);
    future.add_done_callback([&](const Future<int>&) { order.add(who.get()); });
  };
  loop.call([&] { add("one"); });
  loop.call([&] { add("two"); });
  loop.call([&] {
    who.set("setter");
    future.set_result(1);
  });
  loop.run_steps(1);
  EXPECT_EQ(order.text(), "one two");
}

// FU06 "Same callback added twice runs twice; remove returns the number removed and removes all
// copies": here every adding has an id of its own.
TEST(Future, FU06ACallbackAddedTwiceRunsTwiceAndIsRemovedByItsId) {
  TestLoop loop;
  Order order;
  Future<int> future;
  auto say = [&](const Future<int>&) { order.add("called"); };
  loop.call([&] {
    future.add_done_callback(say);
    const auto second = future.add_done_callback(say);
    future.add_done_callback(say);
    EXPECT_TRUE(future.remove_done_callback(second));
    EXPECT_FALSE(future.remove_done_callback(second));
    future.set_result(1);
  });
  loop.run_steps(1);
  EXPECT_EQ(order.text(), "called called");
}

TEST(Future, FU06RemoveOfACallbackThatHasRunReturnsFalse) {
  TestLoop loop;
  Future<int> future;
  rota::detail::CallbackId id{};
  loop.call([&] {
    id = future.add_done_callback([](const Future<int>&) {});
    future.set_result(1);
  });
  loop.run_steps(1);
  loop.call([&] { EXPECT_FALSE(future.remove_done_callback(id)); });
}

// FU07 "Added to a done future -> scheduled at once."
TEST(Future, FU07ACallbackOnADoneFutureIsScheduledAtOnce) {
  TestLoop loop;
  Order order;
  loop.call([&] {
    const Future<int> future;
    future.set_result(1);
    loop->call_soon(order.adder("earlier"));
    future.add_done_callback(
        [&](const Future<int>& done) { order.add(std::to_string(done.result())); });
    EXPECT_EQ(order.text(), "");
  });
  loop.run_steps(1);
  EXPECT_EQ(order.text(), "earlier 1");
}

TEST(Future, ACallbackThatThrowsIsReportedAndTheOthersRun) {
  TestLoop loop;
  Order order;
  loop.call([&] {
    const Future<int> future;
    future.add_done_callback(
        [](const Future<int>&) { throw std::runtime_error("in the callback"); });
    future.add_done_callback([&](const Future<int>&) { order.add("other"); });
    future.set_result(1);
  });
  loop.run_steps(1);
  EXPECT_EQ(order.text(), "other");
  ASSERT_EQ(loop.reports().size(), 1u);
  EXPECT_THROW(std::rethrow_exception(loop.reports()[0].exception), std::runtime_error);
}

TEST(Future, ACallbackIsDestroyedOnceItHasRunOrWasRemoved) {
  TestLoop loop;
  auto token = std::make_shared<int>(1);
  loop.call([&] {
    const Future<int> future;
    const auto removed = future.add_done_callback([token](const Future<int>&) {});
    future.add_done_callback([token](const Future<int>&) {});
    EXPECT_EQ(token.use_count(), 3);
    future.remove_done_callback(removed);
    EXPECT_EQ(token.use_count(), 2);
    future.cancel();
  });
  loop.run_steps(1);
  EXPECT_EQ(token.use_count(), 1);
}

TEST(Future, ACallbackThatIsRefusedOutsideOfALoopIsDestroyed) {
  auto token = std::make_shared<int>(1);
  Future<int> future;
  EXPECT_THROW(future.add_done_callback([token](const Future<int>&) {}), RuntimeError);
  EXPECT_EQ(token.use_count(), 1);
}

// Nobody can set it any more, so the callback cannot run; it must not keep itself and the future
// alive for ever.
TEST(Future, ACallbackOnAForgottenFutureIsDestroyedWithItsLoopAtTheLatest) {
  auto token = std::make_shared<int>(1);
  {
    TestLoop loop;
    loop.call([&] { Future<int>().add_done_callback([token](const Future<int>&) {}); });
  }
  EXPECT_EQ(token.use_count(), 1);
}

// --- errors that nobody looked at --------------------------------------------------------------

// FU09 "Exception never retrieved -> handler called once at destruction."
TEST(Future, FU09AnExceptionThatNobodyRetrievedIsReportedOnceAtDestruction) {
  TestLoop loop;
  loop.call([&] {
    Future<int> future;
    future.set_exception(std::runtime_error("unseen"));
    Future<int> copy = future;
    EXPECT_THAT(loop.reports(), IsEmpty());
  });
  loop.run_until_idle();
  ASSERT_EQ(loop.reports().size(), 1u);
  EXPECT_THAT(loop.reports()[0].message, HasSubstr("Future exception was never retrieved"));
  EXPECT_THROW(std::rethrow_exception(loop.reports()[0].exception), std::runtime_error);
}

// FU10 "Retrieval by result() or exception() silences it; a result never read is silent."
TEST(Future, FU10RetrievalSilencesTheReport) {
  TestLoop loop;
  loop.call([&] {
    Future<int> by_result;
    by_result.set_exception(std::runtime_error("seen"));
    EXPECT_THROW((void)by_result.result(), std::runtime_error);
    Future<int> by_exception;
    by_exception.set_exception(std::runtime_error("seen"));
    EXPECT_NE(by_exception.exception(), nullptr);
    Future<int> unread;
    unread.set_result(1);
    Future<int> cancelled;
    cancelled.cancel();
    Future<int> pending;
  });
  loop.run([]() -> Coro<> {
    Future<int> awaited;
    awaited.set_exception(std::runtime_error("seen"));
    EXPECT_THROW(co_await awaited, std::runtime_error);
  }());
  loop.run_until_idle();
  EXPECT_THAT(loop.reports(), IsEmpty());
}

// FU15 "The error report runs in the context of the task/handle that caused it."
TEST(Future, FU15TheReportRunsInTheContextOfWhatCausedIt) {
  TestLoop loop;
  Order order;
  loop->set_exception_handler(
      [&](rota::EventLoop&, const rota::ExceptionContext&) { order.add(who.get()); });
  loop->create_task([]() -> Coro<> {
    who.set("task");
    Future<int> future;
    future.set_exception(std::runtime_error("unseen"));
    co_return;
  }());
  loop->call_soon([] {
    who.set("handle");
    throw std::runtime_error("in a callback");
  });
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "task handle");
}

// FU16 "Exceptions keep their original throw-site trace through the future": here, the very object
// arrives.
TEST(Future, FU16TheExceptionThatArrivesIsTheOneThatWasSet) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    std::exception_ptr set;
    const std::runtime_error* thrown = nullptr;
    try {
      throw std::runtime_error("original");
    } catch (const std::runtime_error& error) {
      thrown = &error;
      set = std::current_exception();
    }
    const Future<int> future;
    future.set_exception(set);
    auto task =
        create_task([](Future<int> target) -> Coro<int> { co_return co_await target; }(future));
    try {
      co_await task;
      ADD_FAILURE() << "no exception";
    } catch (const std::runtime_error& error) {
      EXPECT_EQ(&error, thrown);
    }
    EXPECT_EQ(future.exception(), set);
  }());
}

// --- awaiting ----------------------------------------------------------------------------------

// FU14 "Awaiting a done future twice gives the same."
TEST(Future, FU14AwaitingADoneFutureTwiceGivesTheSame) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    const Future<int> future;
    future.set_result(14);
    EXPECT_EQ(co_await future, 14);
    EXPECT_EQ(co_await future, 14);
    const Future<int> failed;
    failed.set_exception(std::runtime_error("same"));
    EXPECT_THROW(co_await failed, std::runtime_error);
    EXPECT_THROW(co_await failed, std::runtime_error);
  }());
}

TEST(Future, AwaitOfADoneFutureDoesNotSuspend) {
  TestLoop loop;
  Order order;
  loop.run([](TestLoop& test, Order& out) -> Coro<> {
    const Future<int> future;
    future.set_result(1);
    test->call_soon(out.adder("callback"));
    co_await future;
    out.add("first");
    co_await sleep(0s);
  }(loop, order));
  EXPECT_EQ(order.text(), "first callback");
}

TEST(Future, WakesItsWaitersInTheOrderTheyCameInTheNextStep) {
  TestLoop loop;
  Order order;
  const Future<int> future;
  for (const char* name : {"a", "b", "c"}) {
    loop->create_task([](Future<int> target, Order& out, std::string who_waits) -> Coro<> {
      out.add(who_waits + std::to_string(co_await target));
    }(future, order, name));
  }
  loop.run_steps(1);
  loop.call([&] {
    future.set_result(1);
    order.add("set");
  });
  EXPECT_EQ(order.text(), "set");
  loop.run_steps(1);
  EXPECT_EQ(order.text(), "set a1 b1 c1");
}

TEST(Future, AWaiterThatWasCancelledCancelsTheFutureForAll) {
  TestLoop loop;
  Order order;
  const Future<int> future;
  auto wait = [](Future<int> target, Order& out, std::string name) -> Coro<> {
    try {
      co_await target;
    } catch (const CancelledError& error) {
      out.add(name + ":" + error.message());
    }
  };
  auto first = loop->create_task(wait(future, order, "a"));
  loop->create_task(wait(future, order, "b"));
  loop.run_steps(1);
  loop.call([&] { first.cancel("stop"); });
  loop.run_until_idle();
  EXPECT_TRUE(future.cancelled());
  EXPECT_EQ(order.text(), "a:stop b:stop");
}

TEST(Future, AFutureThatEveryoneForgotWhileATaskWaitsKeepsTheTaskUntilTheLoopCloses) {
  TestLoop loop;
  auto task = loop->create_task([]() -> Coro<> { co_await Future<>(); }());
  loop.run_until_idle();
  EXPECT_FALSE(task.done());
  loop->close();
  EXPECT_TRUE(task.cancelled());
}

// --- one loop ----------------------------------------------------------------------------------

TEST(Future, UseOnAnotherLoopIsARuntimeErrorThatSaysSo) {
  TestLoop first;
  TestLoop second;
  Future<int> future;
  first.call([&] { future.add_done_callback([](const Future<int>&) {}); });
  second.call([&] {
    EXPECT_THROW(future.set_result(1), RuntimeError);
    EXPECT_THROW(future.set_exception(std::runtime_error("x")), RuntimeError);
    EXPECT_THROW(future.cancel(), RuntimeError);
    EXPECT_THROW(future.add_done_callback([](const Future<int>&) {}), RuntimeError);
    try {
      future.set_result(1);
    } catch (const RuntimeError& error) {
      EXPECT_THAT(error.what(), HasSubstr("is bound to a different event loop"));
    }
    EXPECT_FALSE(future.done());
  });
  first.call([&] { future.set_result(2); });
  EXPECT_EQ(future.result(), 2);
}

}  // namespace
