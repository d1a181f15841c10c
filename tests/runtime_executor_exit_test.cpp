/// The end of a loop while executors still have calls of it.
#include <rota/executor.hpp>
#include <rota/loop.hpp>
#include <rota/runtime.hpp>
#include <rota/sleep.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

namespace rota {
namespace {

using namespace std::chrono_literals;

RuntimeOptions one_loop() {
  RuntimeOptions options;
  options.loops = 1;
  return options;
}

TEST(ExecutorExit, RunWaitsForCallsThatNobodyAwaits) {
  std::atomic<bool> finished = false;
  run(
      [](std::atomic<bool>& done) -> Coro<> {
        std::latch started(1);
        [[maybe_unused]] auto dropped = to_thread([&done, &started] {
          started.count_down();
          for (int i = 0; i < 1000; ++i) std::this_thread::yield();
          done = true;
        });
        started.wait();
        co_return;
      }(finished),
      one_loop());
  EXPECT_TRUE(finished);
}

TEST(ExecutorExit, RunAsksThemToStop) {
  run(
      []() -> Coro<> {
        [[maybe_unused]] auto dropped = to_thread([](const std::stop_token& stop) {
          while (!stop.stop_requested()) std::this_thread::yield();
        });
        co_return;
      }(),
      one_loop());
}

TEST(ExecutorExit, RunGivesUpAtItsDeadlineAndSaysHowManyAreLeft) {
  static std::latch go_on(1);
  static std::latch ended(1);
  RuntimeOptions options = one_loop();
  options.shutdown_timeout = 1ms;
  testing::internal::CaptureStderr();
  run(
      []() -> Coro<> {
        [[maybe_unused]] auto dropped = to_thread([] {
          go_on.wait();
          ended.count_down();
        });
        co_return;
      }(),
      options);
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("1 calls of loop 0 on executors did not end in time"), std::string::npos)
      << text;
  go_on.count_down();  // its loop is gone: the call ends all the same
  ended.wait();
}

// "Cancelling the executor future after the loop closed must not touch the loop."
TEST(ExecutorExit, TH12CancellingTheFutureAfterTheLoopClosedDoesNothing) {
  std::latch go_on(1);
  ThreadPoolExecutor pool(1);
  std::optional<detail::GivenFuture<void>> call;
  {
    EventLoop loop;
    loop.run_until_complete([](auto& future, auto& executor, auto& latch) -> Coro<> {
      future.emplace(run_in_executor(executor, [&latch] { latch.wait(); }));
      co_return;
    }(call, pool, go_on));
    loop.close();
    EXPECT_FALSE(call->done());
  }
  go_on.count_down();
  pool.shutdown();
  EXPECT_FALSE(call->done());
}

TEST(ExecutorExit, ACallWhoseLoopClosedIsDestroyedWhereItRan) {
  std::latch go_on(1);
  auto owned = std::make_shared<int>(1);
  const std::weak_ptr<int> watch = owned;
  {
    ThreadPoolExecutor pool(1);
    EventLoop loop;
    loop.run_until_complete([](auto& executor, auto& latch, auto given) -> Coro<> {
      [[maybe_unused]] auto dropped = run_in_executor(
          executor, [&latch](const std::shared_ptr<int>&) { latch.wait(); }, std::move(given));
      co_return;
    }(pool, go_on, std::move(owned)));
    loop.close();
    EXPECT_FALSE(watch.expired());
    go_on.count_down();
  }
  EXPECT_TRUE(watch.expired());
}

TEST(ExecutorExit, TH18ShutdownWaitsForTheCallsAndRefusesNewOnes) {
  run(
      []() -> Coro<> {
        std::atomic<bool> finished = false;
        auto call = to_thread([&] { finished = true; });
        co_await shutdown_default_executor();
        EXPECT_TRUE(finished);
        EXPECT_THROW(std::ignore = to_thread([] {}), RuntimeError);
        EXPECT_THROW(std::ignore = run_in_executor([] {}), RuntimeError);
        co_await call;
        co_await shutdown_default_executor();  // idempotent
      }(),
      one_loop());
}

TEST(ExecutorExit, TH18ShutdownReportsCallsThatDoNotFinishInTime) {
  std::vector<std::string> reports;
  run(
      [](auto& messages) -> Coro<> {
        get_running_loop().set_exception_handler([&](EventLoop&, const ExceptionContext& context) {
          messages.push_back(context.message);
        });
        std::latch go_on(1);
        auto call = to_thread([&] { go_on.wait(); });
        co_await shutdown_default_executor(1ms);
        EXPECT_EQ(messages.size(), 1u);
        go_on.count_down();
        co_await call;
      }(reports),
      one_loop());
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_EQ(reports[0],
            "The executors did not finish in time: 1 calls of this loop still run or wait; their "
            "results will be dropped");
}

}  // namespace
}  // namespace rota
