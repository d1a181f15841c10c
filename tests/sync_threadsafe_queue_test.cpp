/// Queues of rota::threadsafe between loops and threads. What they have in common with those of one
/// loop: sync_queue_test.cpp and its neighbours, run for both.

#include <rota/gather.hpp>
#include <rota/run_threadsafe.hpp>
#include <rota/runtime.hpp>
#include <rota/sleep.hpp>
#include <rota/threadsafe/queue.hpp>

#include "support/loop_thread.hpp"
#include "support/stress.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

namespace rota {
namespace {

using namespace std::chrono_literals;
using testing::Each;
using testing_support::LoopThread;
using testing_support::stress_random;
using testing_support::stress_rounds;

constexpr int producers = 4;

/// What the consumers got: of each producer, in which order.
class Received {
 public:
  explicit Received(int items) : counts_(static_cast<std::size_t>(items * producers)) {}
  void add(int item) {
    const std::lock_guard guard(mutex_);
    ++counts_[static_cast<std::size_t>(item)];
  }
  const std::vector<int>& counts() const { return counts_; }

 private:
  std::mutex mutex_;
  std::vector<int> counts_;
};

Coro<> produce(threadsafe::Queue<int>& queue, int first, int count) {
  for (int i = 0; i < count; ++i) co_await queue.put(first + i);
}

/// Every item of one producer comes after those that it put before.
Coro<> consume(threadsafe::Queue<int>& queue, Received& received, int per_producer) {
  std::vector<int> last(producers, -1);
  try {
    for (;;) {
      const int item = co_await queue.get();
      int& before = last[static_cast<std::size_t>(item / per_producer)];
      EXPECT_LT(before, item);
      before = item;
      received.add(item);
      queue.task_done();
    }
  } catch (const QueueShutDown&) {
    co_return;
  }
}

template <typename Function>
Coro<> on_loop(std::size_t index, Function function) {
  const std::vector<LoopHandle> loops = all_loops();
  return wrap_future(run_coroutine_threadsafe(function(), loops[index % loops.size()]));
}

TEST(ThreadsafeQueue, MX01EachItemOnceAndInItsProducersOrder) {
  const int count = stress_rounds(4000);
  for (const std::size_t maxsize : {std::size_t{0}, std::size_t{1}, std::size_t{16}}) {
    threadsafe::Queue<int> queue(maxsize);
    Received received(count);
    const auto main = [&]() -> Coro<> {
      std::vector<Coro<>> putting;
      std::vector<Coro<>> getting;
      for (int i = 0; i < producers; ++i) {
        const auto place = static_cast<std::size_t>(i);
        putting.push_back(on_loop(place, [&, i] { return produce(queue, i * count, count); }));
        getting.push_back(on_loop(place + 1, [&] { return consume(queue, received, count); }));
      }
      const auto all_put = [](auto& queue_, auto coros) -> Coro<> {
        co_await gather(std::move(coros));
        co_await queue_.join();
        queue_.shutdown();
      };
      getting.push_back(all_put(queue, std::move(putting)));
      co_await gather(std::move(getting));
    };
    run(main(), {.loops = 3});
    EXPECT_THAT(received.counts(), Each(1)) << maxsize;
    EXPECT_TRUE(queue.empty());
  }
}

TEST(ThreadsafeQueue, MT04ThreadsPutAndGetByBlocking) {
  threadsafe::Queue<int> queue(2);
  constexpr int count = 2000;
  std::atomic<long> sum = 0;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&] {
        for (int item = 1; item <= count; ++item) queue.put_blocking(item);
      });
      threads.emplace_back([&] {
        for (int item = 0; item < count; ++item) sum += queue.get_blocking();
      });
    }
  }
  EXPECT_EQ(sum, 2L * count * (count + 1) / 2);
  EXPECT_FALSE(queue.get_blocking(1ms).has_value());
}

Coro<int> get_one(threadsafe::Queue<int>& queue) { co_return co_await queue.get(); }

Coro<> get_and_tell(threadsafe::Queue<int>& queue, std::atomic<bool>& got) {
  co_await queue.get();
  got = true;
}

TEST(ThreadsafeQueue, MT04AnItemOfAGetterWhoseLoopClosesIsTheNextAgain) {
  for (int round = 0; round < 200; ++round) {
    threadsafe::Queue<int> queue;
    std::atomic<bool> got = false;
    LoopThread loop;
    loop.call([&] {
      get_running_loop().set_exception_handler([](EventLoop&, const ExceptionContext&) {});
      (void)create_task(get_and_tell(queue, got));
    });
    loop.settle();
    std::thread putter([&] { queue.put_nowait(1); });
    loop.close();  // before, after, or while it is handed over
    putter.join();
    EXPECT_EQ(queue.get_blocking(0ms).has_value(), !got);
    EXPECT_TRUE(queue.empty());
  }
}

TEST(ThreadsafeQueue, MX01NothingIsLostWhenGettersAreCancelled) {
  const int count = stress_rounds(2000);
  threadsafe::Queue<int> queue;
  std::vector<int> seen(static_cast<std::size_t>(count));
  LoopThread loop;
  std::mt19937_64 random = stress_random();
  std::jthread putter([&] {
    for (int item = 0; item < count; ++item) queue.put_nowait(item);
  });
  for (int got = 0; got < count;) {
    const Task<int> getter = loop.start([&queue] { return get_one(queue); });
    if (random() % 2 == 0) getter.cancel();
    loop.join(getter);
    if (getter.cancelled()) continue;
    ++seen[static_cast<std::size_t>(getter.result())];
    ++got;
  }
  putter.join();
  EXPECT_THAT(seen, Each(1));
  EXPECT_TRUE(queue.empty());
}

}  // namespace
}  // namespace rota
