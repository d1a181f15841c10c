#include <rota/executor.hpp>
#include <rota/gather.hpp>
#include <rota/run_threadsafe.hpp>
#include <rota/runtime.hpp>
#include <rota/sleep.hpp>
#include <rota/timeout.hpp>
#include <rota/wait.hpp>

#include "support/loop_thread.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

namespace rota {
namespace {

using namespace std::chrono_literals;

int doubled(int value) { return 2 * value; }

/// A loop on this thread, a pool, and latches that hold its calls.
class RunInExecutor : public testing::Test {
 protected:
  template <typename Function, typename... Args>
  static auto run_main(Function main, Args&&... args) {
    RuntimeOptions options;
    options.loops = 1;
    return run(main(std::forward<Args>(args)...), options);
  }
};

TEST_F(RunInExecutor, TH11RunsOnAnotherThreadAndGivesTheResultOnTheLoop) {
  run_main([]() -> Coro<> {
    const auto here = std::this_thread::get_id();
    for (Executor* const executor : {&cpu_pool(), static_cast<Executor*>(&blocking_pool())}) {
      const auto [there, value] = co_await run_in_executor(
          *executor, [] { return std::pair(std::this_thread::get_id(), 42); });
      EXPECT_NE(there, here);
      EXPECT_EQ(value, 42);
      EXPECT_EQ(std::this_thread::get_id(), here);
    }
    EXPECT_EQ(co_await run_in_executor(doubled, 21), 42);
    EXPECT_EQ(co_await to_thread(doubled, 21), 42);
  });
}

TEST_F(RunInExecutor, TH11GivesTheExceptionOnTheLoop) {
  run_main([]() -> Coro<> {
    const auto failing = []() -> int { throw std::logic_error("planned"); };
    for (Executor* const executor : {&cpu_pool(), static_cast<Executor*>(&blocking_pool())}) {
      EXPECT_THROW(co_await run_in_executor(*executor, failing), std::logic_error);
    }
  });
}

TEST_F(RunInExecutor, TH14PassesArgumentsByValueAndMovesTheResultOut) {
  run_main([]() -> Coro<> {
    std::string text = "before";
    auto call = to_thread(
        [](const std::string& given, std::unique_ptr<int> owned) {
          return std::make_unique<std::string>(given + std::to_string(*owned));
        },
        text, std::make_unique<int>(7));
    text = "after";
    const std::unique_ptr<std::string> result = co_await std::move(call);
    EXPECT_EQ(*result, "before7");
  });
}

TEST_F(RunInExecutor, TH14IsCalledOnceAndGivesVoidToo) {
  std::atomic<int> calls = 0;
  run_main([&calls]() -> Coro<> { co_await to_thread([&calls] { ++calls; }); });
  EXPECT_EQ(calls, 1);
}

TEST_F(RunInExecutor, TH14CallsRunAtTheSameTime) {
  run_main([]() -> Coro<> {
    std::latch both(2);
    const auto meet = [&both] { both.arrive_and_wait(); };
    co_await gather(to_thread(meet), to_thread(meet));
  });
}

// The arena has no slot that only a waiting master could fill.
TEST_F(RunInExecutor, TheCpuPoolHasAThreadForEachCpu) {
  run_main([]() -> Coro<> {
    const unsigned cpus = std::max(1u, std::thread::hardware_concurrency());
    std::latch all(static_cast<std::ptrdiff_t>(cpus));
    std::vector<detail::GivenFuture<void>> calls;
    for (unsigned i = 0; i < cpus; ++i) {
      calls.push_back(run_in_executor([&all] { all.arrive_and_wait(); }));
    }
    co_await gather(std::move(calls));
  });
}

ContextVar<int> request{"request", 0};

// D13: asyncio's run_in_executor leaves the context behind; here both take it along.
TEST_F(RunInExecutor, TH13CarriesTheContextAndWhatIsSetThereStaysThere) {
  run_main([]() -> Coro<> {
    request.set(7);
    const auto seen = [] {
      const int before = request.get();
      request.set(99);
      return before;
    };
    ThreadPoolExecutor one(1);
    EXPECT_EQ(co_await run_in_executor(one, seen), 7);
    EXPECT_EQ(co_await run_in_executor(one, seen), 7);
    EXPECT_EQ(co_await run_in_executor(seen), 7);
    EXPECT_EQ(request.get(), 7);
  });
}

TEST_F(RunInExecutor, AnEmptyContextStaysEmptyOnAThreadThatHadOne) {
  run_main([]() -> Coro<> {
    ThreadPoolExecutor one(1);
    co_await run_in_executor(one, [] { request.set(5); });
    EXPECT_EQ(co_await run_in_executor(one, [] { return request.get(); }), 0);
  });
}

TEST_F(RunInExecutor, TH15ACancelledAwaitDoesNotStopTheCall) {
  run_main([]() -> Coro<> {
    std::latch started(1);
    std::latch go_on(1);
    std::atomic<bool> finished = false;
    ThreadPoolExecutor one(1);
    auto call = run_in_executor(one, [&] {
      started.count_down();
      go_on.wait();
      finished = true;
    });
    started.wait();
    call.cancel();
    EXPECT_THROW(co_await call, CancelledError);
    EXPECT_FALSE(finished);
    go_on.count_down();
    co_await run_in_executor(one, [] {});  // comes after it
    EXPECT_TRUE(finished);
    EXPECT_EQ(one.stats().finished_total, 2u);
  });
}

TEST_F(RunInExecutor, TH15ACallThatHasNotBegunIsCancelled) {
  run_main([]() -> Coro<> {
    std::latch go_on(1);
    bool called = false;
    ThreadPoolExecutor one(1);
    auto first = run_in_executor(one, [&] { go_on.wait(); });
    auto second = run_in_executor(one, [&] { called = true; });
    EXPECT_TRUE(second.cancel());
    go_on.count_down();
    co_await first;
    EXPECT_THROW(co_await second, CancelledError);
    co_await run_in_executor(one, [] {});
    EXPECT_FALSE(called);
    EXPECT_EQ(one.stats().cancelled_total, 1u);
  });
}

TEST_F(RunInExecutor, CancellingTheTaskThatAwaitsCancelsTheCall) {
  run_main([]() -> Coro<> {
    std::latch go_on(1);
    ThreadPoolExecutor one(1);
    EXPECT_THROW(co_await wait_for(run_in_executor(one, [&] { go_on.wait(); }), 1ms), TimeoutError);
    go_on.count_down();
  });
}

// asyncio has no such thing; Python's threads cannot be asked to end.
TEST_F(RunInExecutor, XT06ACallMayPollItsStopToken) {
  run_main([]() -> Coro<> {
    std::latch started(1);
    std::latch stopped(1);
    auto call = to_thread(
        [&](std::stop_token stop, int step) {
          started.count_down();
          int turns = 0;
          while (!stop.stop_requested()) turns += step;
          stopped.count_down();
          return turns;
        },
        1);
    started.wait();
    call.cancel();
    stopped.wait();
    EXPECT_THROW(co_await call, CancelledError);
  });
}

// "Calls back into the loop run ..., re-entry does not deadlock."
TEST_F(RunInExecutor, XT07ACallMayWaitForACoroutineOfTheLoopThatAwaitsIt) {
  run_main([]() -> Coro<> {
    const LoopHandle loop = get_running_loop().handle();
    const auto inner = []() -> Coro<int> {
      co_return co_await to_thread(doubled, 21);  // once more around
    };
    const auto job = [loop, inner] { return run_coroutine_threadsafe(inner(), loop).result(); };
    const int result = co_await to_thread(job);
    EXPECT_EQ(result, 42);
  });
}

TEST_F(RunInExecutor, OutsideOfALoopItIsAnError) {
  EXPECT_THROW(std::ignore = to_thread(doubled, 1), RuntimeError);
  EXPECT_THROW(std::ignore = run_in_executor(doubled, 1), RuntimeError);
}

TEST_F(RunInExecutor, AFutureThatNobodyAwaitedReportsItsException) {
  std::vector<std::string> reports;
  run_main([&reports]() -> Coro<> {
    get_running_loop().set_exception_handler(
        [&](EventLoop&, const ExceptionContext& context) { reports.push_back(context.message); });
    ThreadPoolExecutor one(1);
    {
      [[maybe_unused]] auto dropped = run_in_executor(one, [] { throw std::logic_error("x"); });
    }
    co_await run_in_executor(one, [] {});
  });
  EXPECT_EQ(reports, std::vector<std::string>{"Future exception was never retrieved"});
}

TEST_F(RunInExecutor, ArgumentsAndResultsAreDestroyedOnTheLoop) {
  struct Guarded {
    std::thread::id home = std::this_thread::get_id();
    bool owner = true;
    Guarded() = default;
    Guarded(Guarded&& other) noexcept
        : home(other.home), owner(std::exchange(other.owner, false)) {}
    ~Guarded() {
      if (owner) {
        EXPECT_EQ(std::this_thread::get_id(), home);
      }
    }
  };
  run_main([]() -> Coro<> {
    std::latch go_on(1);
    ThreadPoolExecutor one(1);
    auto kept = run_in_executor(one, [](const Guarded&) { return 1; }, Guarded());
    auto cancelled = run_in_executor(one, [&go_on](const Guarded&) { go_on.wait(); }, Guarded());
    co_await std::move(kept);
    cancelled.cancel();
    go_on.count_down();
    co_await run_in_executor(one, [] {});
  });
}

TEST_F(RunInExecutor, StatsCountWhatWasSubmittedRunsAndIsDone) {
  run_main([]() -> Coro<> {
    std::latch started(1);
    std::latch go_on(1);
    ThreadPoolExecutor one(1);
    auto first = run_in_executor(one, [&] {
      started.count_down();
      go_on.wait();
    });
    auto second = run_in_executor(one, [] {});
    started.wait();
    ExecutorStats stats = one.stats();
    EXPECT_EQ(stats.submitted_total, 2u);
    EXPECT_EQ(stats.running, 1u);
    EXPECT_EQ(stats.queued(), 1u);
    go_on.count_down();
    co_await gather(first, second);
    stats = one.stats();
    EXPECT_EQ(stats.finished_total, 2u);
    EXPECT_EQ(stats.running, 0u);
    EXPECT_EQ(stats.queued(), 0u);
    EXPECT_GT(stats.run_time, 0ns);
  });
}

// A user's own executor, here one that makes the call when asked to.
TEST_F(RunInExecutor, TakesAnExecutorOfTheUsers) {
  class Later final : public Executor {
   public:
    void perform_all() {
      for (detail::ExecutorJob* job : std::exchange(jobs_, {})) {
        std::thread([job] { job->perform(); }).join();
      }
    }

   private:
    void execute(detail::ExecutorJob& job) override {
      if (jobs_.size() == 2) throw RuntimeError("full");
      jobs_.push_back(&job);
    }
    std::vector<detail::ExecutorJob*> jobs_;
  };
  run_main([]() -> Coro<> {
    Later later;
    auto first = run_in_executor(later, doubled, 1);
    auto second = run_in_executor(later, doubled, 2);
    EXPECT_THROW(std::ignore = run_in_executor(later, doubled, 3), RuntimeError);
    co_await sleep(0s);
    EXPECT_FALSE(first.done());
    later.perform_all();
    EXPECT_EQ(co_await first + co_await second, 6);
    EXPECT_EQ(later.stats().submitted_total, 2u);
  });
}

// TH16: "all_tasks is exact with 10 loops in 10 threads while tasks come and go."
TEST(AllTasks, TH16IsExactOnTenLoopsWhileTasksComeAndGo) {
  const auto count = []() -> Coro<> {
    for (std::size_t i = 0; i < 200; ++i) {
      const std::size_t before = all_tasks().size();
      Task<> one = create_task(sleep(0s));
      Task<> two = create_task(sleep(0s));
      EXPECT_EQ(all_tasks().size(), before + 2);
      co_await one;
      co_await two;
      EXPECT_EQ(all_tasks().size(), before);
    }
  };
  testing_support::LoopThread loops[10];
  std::vector<Task<>> tasks;
  for (auto& loop : loops) tasks.push_back(loop.start(count));
  for (std::size_t i = 0; i < tasks.size(); ++i) loops[i].join(tasks[i]);
}

// TH17 asks another thread's loop; ours answers on its own thread.
TEST(AllTasks, TH17IsAskedFromAnotherThreadByACallback) {
  testing_support::LoopThread loop;
  const auto waiting = [] { return create_task(sleep(1h)); };
  Task<> task = loop.call(waiting);
  EXPECT_EQ(loop.call([] { return all_tasks().size(); }), 1u);
  task.cancel();
  loop.join(task);
  EXPECT_EQ(loop.call([] { return all_tasks().size(); }), 0u);
}

// TH19 is the compiler's: an executor is an Executor.
template <typename T>
concept ExecutorFor = requires(T& executor) { run_in_executor(executor, doubled, 1); };
static_assert(ExecutorFor<ThreadPoolExecutor> && ExecutorFor<Executor>);
static_assert(!ExecutorFor<int> && !ExecutorFor<std::thread>);

}  // namespace
}  // namespace rota
