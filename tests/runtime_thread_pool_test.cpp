#include <rota/executor.hpp>
#include <rota/gather.hpp>
#include <rota/runtime.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <latch>
#include <pthread.h>
#include <tuple>
#include <vector>

namespace rota {
namespace {

using namespace std::chrono_literals;

template <typename Function>
void run_main(Function main) {
  RuntimeOptions options;
  options.loops = 1;
  run(main(), options);
}

TEST(ThreadPoolExecutor, PR11HasAsManyWorkersAsPythonAndTheNumberCanBeChanged) {
  ThreadPoolExecutor pool;
  EXPECT_GE(pool.max_workers(), 5u);
  EXPECT_LE(pool.max_workers(), 32u);
  EXPECT_EQ(blocking_pool().max_workers(), pool.max_workers());
  pool.set_max_workers(3);
  EXPECT_EQ(pool.max_workers(), 3u);
  EXPECT_THROW(pool.set_max_workers(0), ValueError);
}

TEST(ThreadPoolExecutor, NeverRunsMoreCallsThanItHasWorkers) {
  run_main([]() -> Coro<> {
    ThreadPoolExecutor pool(3);
    std::atomic<int> running = 0;
    std::atomic<int> most = 0;
    std::vector<detail::GivenFuture<void>> calls;
    for (int i = 0; i < 200; ++i) {
      calls.push_back(run_in_executor(pool, [&] {
        const int now = ++running;
        for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) continue;
        --running;
      }));
    }
    co_await gather(std::move(calls));
    EXPECT_LE(most, 3);
    EXPECT_LE(pool.workers(), 3u);
  });
}

TEST(ThreadPoolExecutor, CallsOfOneWorkerRunInTheirOrder) {
  run_main([]() -> Coro<> {
    ThreadPoolExecutor pool(1);
    std::vector<int> order;
    std::vector<detail::GivenFuture<void>> calls;
    for (int i = 0; i < 100; ++i) {
      calls.push_back(run_in_executor(pool, [&order, i] { order.push_back(i); }));
    }
    co_await gather(std::move(calls));
    EXPECT_EQ(order.size(), 100u);
    EXPECT_TRUE(std::ranges::is_sorted(order));
  });
}

TEST(ThreadPoolExecutor, MoreWorkersTakeWhatWaits) {
  run_main([]() -> Coro<> {
    ThreadPoolExecutor pool(1);
    std::latch both(2);
    auto first = run_in_executor(pool, [&] { both.arrive_and_wait(); });
    auto second = run_in_executor(pool, [&] { both.arrive_and_wait(); });
    pool.set_max_workers(2);
    co_await gather(first, second);
  });
}

TEST(ThreadPoolExecutor, FewerWorkersEndTheRest) {
  run_main([]() -> Coro<> {
    ThreadPoolExecutor pool(4);
    std::latch all(4);
    std::vector<detail::GivenFuture<void>> calls;
    for (int i = 0; i < 4; ++i) {
      calls.push_back(run_in_executor(pool, [&] { all.arrive_and_wait(); }));
    }
    co_await gather(std::move(calls));
    pool.set_max_workers(1);
    for (int i = 0; i < 10; ++i) co_await run_in_executor(pool, [] {});
    while (pool.workers() > 1) co_await run_in_executor(pool, [] {});
  });
}

TEST(ThreadPoolExecutor, AnIdleThreadEnds) {
  run_main([]() -> Coro<> {
    ThreadPoolOptions options;
    options.max_workers = 2;
    options.idle_limit = 1ms;
    ThreadPoolExecutor pool(options);
    co_await run_in_executor(pool, [] {});
    while (pool.workers() > 0) co_await to_thread([] {});
    EXPECT_EQ(co_await run_in_executor(pool, [] { return 1; }), 1);
  });
}

TEST(ThreadPoolExecutor, ShutdownMakesTheCallsThatItAccepted) {
  run_main([]() -> Coro<> {
    std::atomic<int> calls = 0;
    std::vector<detail::GivenFuture<void>> futures;
    {
      ThreadPoolExecutor pool(2);
      for (int i = 0; i < 50; ++i) futures.push_back(run_in_executor(pool, [&] { ++calls; }));
    }
    EXPECT_EQ(calls, 50);
    co_await gather(std::move(futures));
  });
}

TEST(ThreadPoolExecutor, ShutdownCanCancelWhatHasNotBegun) {
  run_main([]() -> Coro<> {
    ThreadPoolExecutor pool(1);
    std::latch started(1);
    std::latch go_on(1);
    auto first = run_in_executor(pool, [&] {
      started.count_down();
      go_on.wait();
    });
    auto second = run_in_executor(pool, [] {});
    started.wait();
    pool.shutdown(false, true);
    EXPECT_THROW(co_await second, CancelledError);
    EXPECT_THROW(std::ignore = run_in_executor(pool, [] {}), RuntimeError);
    go_on.count_down();
    co_await first;
  });
}

/// From here on no thread can be started: its stack would not fit into the address space.
class NoMoreThreads {
 public:
  NoMoreThreads() {
    ::pthread_getattr_default_np(&before_);
    pthread_attr_t huge;
    ::pthread_attr_init(&huge);
    ::pthread_attr_setstacksize(&huge, std::size_t{1} << 47);
    ::pthread_setattr_default_np(&huge);
    ::pthread_attr_destroy(&huge);
  }
  NoMoreThreads(const NoMoreThreads&) = delete;
  NoMoreThreads& operator=(const NoMoreThreads&) = delete;
  ~NoMoreThreads() { ::pthread_setattr_default_np(&before_); }

 private:
  pthread_attr_t before_;
};

// "Failure to spawn a worker gives back the token."
TEST(ThreadPoolExecutor, XT09AThreadThatCannotStartIsAnErrorOfTheCallAndNothingElse) {
  run_main([]() -> Coro<> {
    ThreadPoolExecutor pool(1);
    {
      const NoMoreThreads none;
      EXPECT_THROW(std::ignore = run_in_executor(pool, [] {}), OSError);
      EXPECT_EQ(pool.workers(), 0u);
      EXPECT_EQ(pool.stats().submitted_total, 0u);
    }
    EXPECT_EQ(co_await run_in_executor(pool, [] { return 1; }), 1);
  });
}

TEST(ThreadPoolExecutor, XT09WithOtherThreadsTheCallWaitsForThem) {
  run_main([]() -> Coro<> {
    ThreadPoolExecutor pool(2);
    std::latch go_on(1);
    auto first = run_in_executor(pool, [&] { go_on.wait(); });
    const NoMoreThreads none;
    auto second = run_in_executor(pool, [] { return 2; });
    EXPECT_EQ(pool.workers(), 1u);
    go_on.count_down();
    EXPECT_EQ(co_await second, 2);
    co_await first;
  });
}

}  // namespace
}  // namespace rota
