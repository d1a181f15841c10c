/// runtime_loop_errors_test.cpp: EventLoop: whom it tells of errors, its hooks, and what the system
/// sees of it.
///
/// The statements quoted are asyncio's, by their numbers in the catalogue of behaviours.

#include <rota/future.hpp>
#include <rota/loop.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>

#include "support/test_loop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <exception>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <set>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <utility>

namespace {

using namespace std::chrono_literals;
using rota::Coro;
using rota::EventLoop;
using rota::ExceptionContext;
using rota::Future;
using rota::RuntimeError;
using rota::sleep;
using rota::testing_support::Order;
using rota::testing_support::TestLoop;
using testing::HasSubstr;
using testing::IsEmpty;

Coro<int> value(int number) { co_return number; }
Coro<int> value_after(std::chrono::nanoseconds delay, int number) {
  co_await sleep(delay);
  co_return number;
}

// --- errors ------------------------------------------------------------------------------------

// LO21 "A callback's exception goes to the exception handler with message/handle; the loop goes
// on."
TEST(Loop, LO21TheExceptionOfACallbackGoesToTheHandlerAndTheLoopGoesOn) {
  TestLoop loop;
  Order order;
  loop->call_soon([] { throw std::runtime_error("mine"); });
  loop->call_soon(order.adder("next"));
  loop->call_later(1s, [] { throw 5; });
  loop->call_later(2s, order.adder("later"));
  loop.advance(3s);
  EXPECT_EQ(order.text(), "next later");
  ASSERT_EQ(loop.reports().size(), 2u);
  EXPECT_THAT(loop.reports()[0].message, HasSubstr("Exception in callback"));
  EXPECT_THROW(std::rethrow_exception(loop.reports()[0].exception), std::runtime_error);
  EXPECT_THROW(std::rethrow_exception(loop.reports()[1].exception), int);
}

TEST(Loop, LO21TheHandlerIsGivenTheLoop) {
  TestLoop loop;
  EventLoop* given = nullptr;
  loop->set_exception_handler([&](EventLoop& where, const ExceptionContext&) { given = &where; });
  loop->call_exception_handler({"text"});
  EXPECT_EQ(given, &*loop);
}

std::string stderr_of(const std::function<void()>& function) {
  testing::internal::CaptureStderr();
  function();
  return testing::internal::GetCapturedStderr();
}

// LO22 "Custom exception handler: set, reset with none, must be callable."
TEST(Loop, LO22AnEmptyHandlerRestoresTheDefault) {
  TestLoop loop;
  EXPECT_TRUE(static_cast<bool>(loop->get_exception_handler()));
  loop->set_exception_handler({});
  EXPECT_FALSE(static_cast<bool>(loop->get_exception_handler()));
  const std::string text = stderr_of([&] {
    loop->call_soon([] { throw std::runtime_error("to the default handler"); });
    loop.run_until_idle();
  });
  EXPECT_THAT(text, HasSubstr("Exception in callback"));
  EXPECT_THAT(text, HasSubstr("std::runtime_error: to the default handler"));
  EXPECT_THAT(loop.reports(), IsEmpty());
}

TEST(Loop, LO22AHandlerMayReplaceItself) {
  TestLoop loop;
  Order order;
  loop->set_exception_handler([&](EventLoop& where, const ExceptionContext&) {
    order.add("first");
    where.set_exception_handler([&](EventLoop&, const ExceptionContext&) { order.add("second"); });
    order.add("replaced");  // what this lambda captured must still be there
  });
  loop->call_exception_handler({"one"});
  loop->call_exception_handler({"two"});
  EXPECT_EQ(order.text(), "first replaced second");
}

// LO23 "Handler that throws -> default handler is used; default that throws -> plain log; loop
// survives."
TEST(Loop, LO23AHandlerThatThrowsIsReportedByTheDefaultAndTheLoopSurvives) {
  TestLoop loop;
  Order order;
  loop->set_exception_handler(
      [](EventLoop&, const ExceptionContext&) { throw std::logic_error("in the handler"); });
  const std::string text = stderr_of([&] {
    loop->call_soon([] { throw std::runtime_error("in the callback"); });
    loop->call_soon(order.adder("next"));
    loop.run_until_idle();
  });
  EXPECT_THAT(text, HasSubstr("in the handler"));
  EXPECT_EQ(order.text(), "next");
}

// LO24 "Fatal exceptions leave run_forever; loop can be run again": here the one fatal thing is an
// interrupt.
TEST(Loop, LO24AnInterruptLeavesRunForeverAndTheLoopCanRunAgain) {
  TestLoop loop;
  Order order;
  loop->call_soon([&] {
    loop->interrupt(15);
    loop->call_soon(order.adder("next-run"));
  });
  loop->call_soon(order.adder("same-step"));
  try {
    loop->run_forever();
    FAIL() << "no KeyboardInterrupt";
  } catch (const rota::KeyboardInterrupt& interrupt) {
    EXPECT_EQ(interrupt.signal(), 15);
  }
  EXPECT_EQ(order.text(), "same-step");
  EXPECT_FALSE(loop->is_running());
  EXPECT_THROW(rota::get_running_loop(), RuntimeError);
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "same-step next-run");
}

// LO26 "Debug can be set at run time and by environment."
TEST(Loop, LO26DebugCanBeSetAtRunTimeAndByAnOption) {
  TestLoop loop;
  EXPECT_FALSE(loop->get_debug());
  loop->set_debug(true);
  EXPECT_TRUE(loop->get_debug());
  rota::LoopOptions options;
  options.debug = true;
  EXPECT_TRUE(EventLoop(options).get_debug());
}

// --- hooks -------------------------------------------------------------------------------------

TEST(Loop, HooksAreCalledAtTheirFixedPoints) {
  TestLoop loop;
  Order order;
  rota::LoopHooks hooks;
  hooks.before_step = [&](EventLoop&) { order.add("before"); };
  hooks.after_step = [&](EventLoop&) { order.add("after"); };
  hooks.on_idle = [&](EventLoop& where) {
    order.add("idle");
    where.stop();
  };
  loop->set_hooks(std::move(hooks));
  loop->call_soon(order.adder("callback"));
  loop->run_forever();
  EXPECT_EQ(order.text(), "before callback after before idle after");
}

TEST(Loop, WhatTheIdleHookSchedulesRunsInTheSameStep) {
  TestLoop loop;
  Order order;
  rota::LoopHooks hooks;
  hooks.on_idle = [&](EventLoop& where) {
    order.add("idle");
    where.call_soon([&] {
      order.add("scheduled");
      where.stop();
    });
  };
  loop->set_hooks(std::move(hooks));
  loop->run_forever();
  EXPECT_EQ(order.text(), "idle scheduled");
  EXPECT_EQ(loop.now(), 0s);
}

TEST(Loop, ATimerThatTheIdleHookArmsIsNotOverslept) {
  TestLoop loop;
  Order order;
  rota::LoopHooks hooks;
  hooks.on_idle = [&, armed = false](EventLoop& where) mutable {
    if (std::exchange(armed, true)) return;
    where.call_later(1s, [&] { loop->stop(); });
  };
  loop->set_hooks(std::move(hooks));
  loop->run_forever();
  EXPECT_EQ(loop.now(), 1s);
}

// --- what the system sees ----------------------------------------------------------------------

std::set<int> open_descriptors() {
  std::set<int> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    found.insert(std::stoi(entry.path().filename().string()));
  }
  std::set<int> open;  // without the one that the iteration itself had
  for (const int fd : found) {
    if (::fcntl(fd, F_GETFD) != -1) open.insert(fd);
  }
  return open;
}

// LO30 "Loop internal fds are not leaked and are close-on-exec."
TEST(Loop, LO30InternalDescriptorsAreCloseOnExecAndNotLeaked) {
  const std::set<int> before = open_descriptors();
  {
    EventLoop loop;
    loop.run_until_complete(value_after(1us, 1));
    std::size_t own = 0;
    for (const int fd : open_descriptors()) {
      if (before.contains(fd)) continue;
      ++own;
      EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0) << fd;
    }
    EXPECT_GE(own, 1u);
  }
  EXPECT_EQ(open_descriptors(), before);
  for (int i = 0; i < 20; ++i) EventLoop().run_until_complete(value(1));
  EXPECT_EQ(open_descriptors(), before);
}

TEST(Loop, DumpNamesTheTasksAndWhereTheyWait) {
  TestLoop loop;
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  auto task =
      loop->create_task([]() -> Coro<> { co_await sleep(1h); }(), rota::TaskOptions("the sleeper"));
  loop.run_until_idle();
  loop->dump(ends[1]);
  ::close(ends[1]);
  std::string text;
  char buffer[1024];
  for (ssize_t bytes; (bytes = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(bytes));
  }
  ::close(ends[0]);
  EXPECT_THAT(text, HasSubstr("the sleeper"));
  EXPECT_THAT(text, HasSubstr("runtime_loop_errors_test.cpp"));
  task.cancel();
  loop.run_until_idle();
}

TEST(Loop, FairnessLetsOthersRunBetweenAwaitsThatNeedNotWait) {
  TestLoop fair{rota::LoopOptions()};
  Order order;
  fair->create_task([](Order& out) -> Coro<> {
    const Future<> done;
    done.set_result();
    for (int i = 0; i < 300; ++i) co_await done;
    out.add("hog");
  }(order));
  fair->call_soon(order.adder("neighbour"));
  fair.run_until_idle();
  EXPECT_EQ(order.text(), "neighbour hog");
}

}  // namespace
