/// Future of rota::threadsafe: set, cancelled and asked from anywhere.

#include <rota/gather.hpp>
#include <rota/run_threadsafe.hpp>
#include <rota/runtime.hpp>
#include <rota/sleep.hpp>
#include <rota/threadsafe/future.hpp>

#include "support/loop_thread.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace rota {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing_support::LoopThread;

Coro<int> value_of(threadsafe::Future<int> future) { co_return co_await future; }

TEST(ThreadsafeFuture, MT06IsSetByAThreadAndAwaitedOnEveryLoop) {
  const threadsafe::Future<int> future;
  const auto main = [&]() -> Coro<std::vector<int>> {
    std::vector<Coro<int>> all;
    for (const LoopHandle& loop : all_loops()) {
      all.push_back(wrap_future(run_coroutine_threadsafe(value_of(future), loop)));
      all.push_back(wrap_future(run_coroutine_threadsafe(value_of(future), loop)));
    }
    const std::jthread setter([&] { future.set_result(7); });
    co_return co_await gather(std::move(all));
  };
  EXPECT_THAT(run(main(), {.loops = 3}), ElementsAre(7, 7, 7, 7, 7, 7));
  EXPECT_EQ(future.result(), 7);
}

TEST(ThreadsafeFuture, MT06OfThoseWhoSetItExactlyOneWins) {
  for (int round = 0; round < 200; ++round) {
    const threadsafe::Future<std::string> future;
    std::atomic<int> won = 0;
    std::atomic<int> refused = 0;
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&, thread] {
        try {
          future.set_result(std::string(100, static_cast<char>('a' + thread)));
          ++won;
        } catch (const InvalidStateError&) {
          ++refused;
        }
      });
    }
    const std::string& result = future.result_blocking();
    EXPECT_EQ(result, std::string(100, result.front()));
    threads.clear();
    EXPECT_EQ(won, 1);
    EXPECT_EQ(refused, 3);
  }
}

TEST(ThreadsafeFuture, GivesTheExceptionThatWasSet) {
  const threadsafe::Future<> future;
  future.set_exception(ValueError("no"));
  EXPECT_TRUE(future.done());
  EXPECT_FALSE(future.cancelled());
  EXPECT_THROW(future.result(), ValueError);
  EXPECT_TRUE(future.exception());
  EXPECT_THROW(future.set_result(), InvalidStateError);
  EXPECT_FALSE(future.cancel());
}

TEST(ThreadsafeFuture, MT06CancellingOneWhoAwaitsCancelsItForEverybody) {
  const threadsafe::Future<int> future;
  LoopThread here;
  LoopThread there;
  const Task<int> one = here.start(value_of, future);
  const Task<int> other = there.start(value_of, future);
  here.settle();
  there.settle();
  one.cancel("enough");
  here.join(one);
  there.join(other);
  EXPECT_TRUE(one.cancelled());
  EXPECT_TRUE(other.cancelled());
  EXPECT_TRUE(future.cancelled());
  EXPECT_THROW(future.result(), CancelledError);
}

TEST(ThreadsafeFuture, AThreadWaitsForItForSoLong) {
  const threadsafe::Future<int> future;
  EXPECT_THROW(future.result_blocking(1ms), TimeoutError);
  EXPECT_THROW(future.result(), InvalidStateError);
  const std::jthread setter([&] { future.set_result(1); });
  EXPECT_EQ(future.result_blocking(), 1);
  EXPECT_EQ(future.result_blocking(1ms), 1);
}

TEST(ThreadsafeFuture, ALoopsThreadMustNotBlock) {
  const threadsafe::Future<int> future;
  LoopThread loop;
  EXPECT_THROW(loop.call([&] { return future.result_blocking(); }), RuntimeError);
}

TEST(ThreadsafeFuture, MT06DoneCallbacksRunOnTheLoopThatAddedThem) {
  threadsafe::Future<int> future;
  LoopThread here;
  LoopThread there;
  std::atomic<int> sum = 0;
  std::vector<std::uint64_t> loops(2);
  const auto add = [&](LoopThread& loop, std::size_t place) {
    return loop.call([&, place] {
      return future.add_done_callback([&, place](threadsafe::Future<int> done) {
        loops[place] = get_running_loop().handle().id();
        sum += done.result();
      });
    });
  };
  add(here, 0);
  add(there, 1);
  const detail::CallbackId unwanted = add(here, 0);
  EXPECT_TRUE(future.remove_done_callback(unwanted));
  EXPECT_FALSE(future.remove_done_callback(unwanted));
  future.set_result(5);
  here.settle();
  there.settle();
  EXPECT_EQ(sum, 10);
  EXPECT_THAT(loops, ElementsAre(here.handle().id(), there.handle().id()));
}

TEST(ThreadsafeFuture, MX07ALoopThatClosesCancelsTheFutureThatItsTaskAwaits) {
  const threadsafe::Future<int> future;
  auto closing = std::make_unique<LoopThread>();
  LoopThread staying;
  closing->start(value_of, future);
  const Task<int> task = staying.start(value_of, future);
  closing->settle();
  staying.settle();
  closing->loop().set_exception_handler([](EventLoop&, const ExceptionContext&) {});
  closing = nullptr;
  staying.join(task);
  EXPECT_TRUE(task.cancelled());
  EXPECT_TRUE(future.cancelled());
}

}  // namespace
}  // namespace rota
