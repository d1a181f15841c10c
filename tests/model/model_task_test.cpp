/// What other threads do to a task: cancel it, wait for its end, drop it. runtime/README.md,
/// sections 2 and 5.
#include <rota/future.hpp>
#include <rota/loop.hpp>
#include <rota/task.hpp>

#include "model/counted.hpp"
#include "model/expect.hpp"
#include "model/loop_kernel.hpp"

#include <gtest/gtest.h>

namespace rota::model {
namespace {

Coro<int> await(Future<> future) {
  co_await future;
  co_return 1;
}

/// Ends without waiting; `done`: what it has done.
Coro<int> work(plain<bool>& done) {
  done.write(true);
  co_return 1;
}

/// Returns the message.
std::string run_until_cancelled(EventLoop& loop, const Task<int>& task) {
  try {
    loop.run_until_complete(task);
    check(false, "it was not cancelled");
  } catch (const CancelledError& error) {
    return error.message();
  }
  return {};
}

TEST(ModelTask, ACancelEndsItsWaitWithTheMessage) {
  EXPECT_TRUE(holds([] {
    LoopKernel kernel;
    EventLoop loop(kernel.options());
    const Task<int> task = loop.create_task(await(loop.create_future<>()));
    in_parallel({[&] {
                   check(run_until_cancelled(loop, task) == "why", "the message is lost");
                   loop.close();
                 },
                 [&] { check(task.cancel("why")); }});
    check(task.cancelled());
  }));
}

// (The text of the one may be delivered with the other: that of the newest one counts.)
TEST(ModelTask, TwoCancelsAreBothCountedAndNeitherIsLost) {
  const auto body = [] {
    LoopKernel kernel;
    EventLoop loop(kernel.options());
    const Task<int> task = loop.create_task(await(loop.create_future<>()));
    int accepted = 0;
    in_parallel({[&] {
                   run_until_cancelled(loop, task);
                   loop.close();
                 },
                 [&] { accepted += task.cancel("why"); }, [&] { accepted += task.cancel("why"); }});
    check(accepted >= 1 && task.cancelling() == static_cast<unsigned>(accepted));
  };
  EXPECT_TRUE(holds(body, {.preemptions = 1}));  // with two there are half a million
}

TEST(ModelTask, ACancelAgainstTheEndIsEitherAcceptedOrSeesTheResult) {
  EXPECT_TRUE(holds([] {
    LoopKernel kernel;
    EventLoop loop(kernel.options());
    plain<bool> done;
    const Task<int> task = loop.create_task(work(done));
    in_parallel({[&] {
                   try {
                     loop.run_until_complete(task);
                   } catch (const CancelledError&) {
                     check(task.cancelling() == 1, "cancelled by nobody");
                   }
                   loop.close();
                 },
                 [&] {
                   if (task.cancel()) return;
                   check(task.done() && task.result() == 1);
                   check(done.read());
                 }});
  }));
}

TEST(ModelTask, WhoSeesItsEndSeesItsWork) {
  EXPECT_TRUE(holds([] {
    LoopKernel kernel;
    EventLoop loop(kernel.options());
    plain<bool> done;
    const Task<int> task = loop.create_task(work(done));
    in_parallel({[&] {
                   loop.run_until_complete(task);
                   loop.close();
                 },
                 [&] {
                   wait_until([&] { return task.done(); });
                   check(done.read() && task.result() == 1);
                 }});
  }));
}

Coro<Counted> make_counted(plain<int>& alive) { co_return Counted(alive); }

Coro<int> use(Task<Counted> task) {
  const Counted& counted = co_await task;
  counted.use();
  co_return 0;
}

TEST(ModelTask, TheLastHolderOfAHandleDestroysTheResult) {
  EXPECT_TRUE(holds([] {
    LoopKernel kernel;
    plain<int> alive(0);
    {
      EventLoop loop(kernel.options());
      Task<Counted> mine = loop.create_task(make_counted(alive));
      in_parallel({[&, task = mine]() mutable {
                     loop.run_until_complete(use(std::move(task)));
                     loop.close();
                   },
                   [&, task = std::exchange(mine, {})]() mutable { task = {}; }});
    }
    check(alive.read() == 0, "the result outlives the task");
  }));
}

}  // namespace
}  // namespace rota::model
