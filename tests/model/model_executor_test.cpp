/// A call on its way through an executor and back to its loop, which may end before it is home.
#include <rota/executor.hpp>
#include <rota/loop.hpp>
#include <rota/task.hpp>

#include "executor_parts.hpp"
#include "model/counted.hpp"
#include "model/expect.hpp"
#include "model/loop_kernel.hpp"

#include <gtest/gtest.h>

namespace rota::detail {

Executor* make_cpu_pool() { return nullptr; }  // oneTBB's threads are not the model's

}  // namespace rota::detail

namespace rota::model {
namespace {

/// One thread of the model, which makes one call.
class OneCall final : public Executor {
 public:
  void work() {
    detail::ExecutorJob* job = nullptr;
    wait_until([&] {
      job = job_.load(std::memory_order_acquire);
      return job != nullptr;
    });
    job->perform();
  }

 private:
  void execute(detail::ExecutorJob& job) override {
    check(job_.exchange(&job, std::memory_order_release) == nullptr);
  }

  atomic<detail::ExecutorJob*> job_{nullptr};
};

int add_one(plain<int>* data) {
  data->write(data->read() + 1);
  return 7;
}

Coro<int> compute(Executor& executor, plain<int>& data) {
  data.write(1);
  const int result = co_await run_in_executor(executor, &add_one, &data);
  check(data.read() == 2, "the call's work is not seen");
  co_return result;
}

TEST(ModelExecutor, WhatACallDidIsSeenWhereItsResultArrives) {
  EXPECT_TRUE(holds([] {
    LoopKernel kernel;
    EventLoop loop(kernel.options());
    OneCall executor;
    plain<int> data;
    in_parallel({[&] {
                   check(loop.run_until_complete(compute(executor, data)) == 7);
                   loop.close();
                 },
                 [&] { executor.work(); }});
    check(data.read() == 2);
    check(executor.stats().finished_total == 1);
  }));
}

Coro<int> forget(Executor& executor, plain<int>& alive) {
  auto dropped =
      run_in_executor(executor, [](const Counted& counted) { counted.use(); }, Counted(alive));
  co_return 0;
}

TEST(ModelExecutor, ALoopThatEndsFirstDropsTheResultAndNothingElse) {
  EXPECT_TRUE(holds([] {
    LoopKernel kernel;
    plain<int> alive(0);
    OneCall executor;
    {
      EventLoop loop(kernel.options());
      in_parallel({[&] {
                     loop.run_until_complete(forget(executor, alive));
                     loop.close();
                   },
                   [&] { executor.work(); }});
    }
    check(alive.read() == 0, "the call's arguments outlive it");
    const ExecutorStats stats = executor.stats();
    check(stats.finished_total + stats.cancelled_total == 1 && stats.running == 0);
  }));
}

Coro<int> give_up(Executor& executor, plain<int>& alive, plain<int>& made) {
  auto result = run_in_executor(
      executor,
      [](const Counted& counted, plain<int>* calls) {
        counted.use();
        calls->write(calls->read() + 1);
      },
      Counted(alive), &made);
  result.cancel();
  try {
    co_await result;
    check(false, "it was not cancelled");
  } catch (const CancelledError&) {
  }
  co_return 0;
}

TEST(ModelExecutor, ACallThatIsCancelledIsMadeOnceOrNotAtAll) {
  EXPECT_TRUE(holds([] {
    LoopKernel kernel;
    plain<int> alive(0);
    plain<int> made(0);
    OneCall executor;
    {
      EventLoop loop(kernel.options());
      in_parallel({[&] {
                     loop.run_until_complete(give_up(executor, alive, made));
                     loop.close();
                   },
                   [&] { executor.work(); }});
    }
    check(alive.read() == 0, "the call's arguments outlive it");
    const ExecutorStats stats = executor.stats();
    check(stats.finished_total == static_cast<unsigned>(made.read()));
    check(stats.finished_total + stats.cancelled_total == 1 && stats.running == 0);
  }));
}

}  // namespace
}  // namespace rota::model
