/// Calls from four loops at once: each is made at most once, and each future is told once.
///
/// Under ThreadSanitizer, start() handing over by a relaxed store is a reported race on the job's
/// members when oneTBB carries it.
#include <rota/executor.hpp>
#include <rota/gather.hpp>
#include <rota/run_threadsafe.hpp>
#include <rota/runtime.hpp>

#include "support/stress.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <random>
#include <vector>

namespace rota {
namespace {

using testing_support::stress_random;
using testing_support::stress_rounds;

struct Tally {
  std::atomic<std::uint64_t> calls = 0;
  std::atomic<std::uint64_t> sum = 0;
  std::atomic<std::uint64_t> results = 0;
  std::atomic<std::uint64_t> cancelled = 0;
};

Coro<> submit_calls(Tally& tally, int rounds, std::uint64_t seed) {
  static constexpr int batch = 64;
  std::mt19937_64 random(seed);
  for (int round = 0; round < rounds; round += batch) {
    std::vector<detail::GivenFuture<std::uint64_t>> futures;
    for (int i = 0; i < batch; ++i) {
      Executor& executor = random() % 2 == 0 ? cpu_pool() : static_cast<Executor&>(blocking_pool());
      futures.push_back(run_in_executor(
          executor,
          [&tally](std::uint64_t value) {
            tally.calls.fetch_add(1, std::memory_order_relaxed);
            return value + 1;
          },
          random() % 1000));
      if (random() % 8 == 0) futures[random() % futures.size()].cancel();
    }
    for (auto& future : futures) {
      try {
        tally.sum.fetch_add(co_await future, std::memory_order_relaxed);
        tally.results.fetch_add(1, std::memory_order_relaxed);
      } catch (const CancelledError&) {
        tally.cancelled.fetch_add(1, std::memory_order_relaxed);
      }
    }
  }
}

TEST(StressExecutor, EveryCallOfFourLoopsComesHomeOnce) {
  auto random = stress_random();
  const int rounds = stress_rounds(20'000);
  Tally tally;
  RuntimeOptions options;
  options.loops = 4;
  run(
      [](Tally& all, int count, std::uint64_t seed) -> Coro<> {
        std::vector<Coro<>> all_calls;
        for (const LoopHandle& loop : all_loops()) {
          all_calls.push_back(
              wrap_future(run_coroutine_threadsafe(submit_calls(all, count, seed++), loop)));
        }
        co_await gather(std::move(all_calls));
      }(tally, rounds / 4, random()),
      options);
  const std::uint64_t all = tally.results + tally.cancelled;
  EXPECT_GE(all, static_cast<std::uint64_t>(rounds));
  EXPECT_GE(tally.calls, tally.results);
  EXPECT_LE(tally.calls, all);
  EXPECT_GT(tally.cancelled, 0u);
}

}  // namespace
}  // namespace rota
