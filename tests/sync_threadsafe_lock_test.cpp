#include <rota/rota.hpp>
#include <rota/threadsafe/lock.hpp>

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace rota {
namespace {

Coro<> count_under(threadsafe::Lock& lock, int& counter, int rounds) {
  for (int round = 0; round < rounds; ++round) {
    const auto held = co_await lock.scoped();
    const int before = counter;
    if (round % 8 == 0) co_await sleep(Duration::zero());
    counter = before + 1;
  }
}

Coro<> count_on_all_loops(threadsafe::Lock& lock, int& counter, int rounds) {
  std::vector<Coro<>> all;
  for (const LoopHandle& loop : all_loops()) {
    for (int task = 0; task < 3; ++task) {
      all.push_back(
          wrap_future(run_coroutine_threadsafe(count_under(lock, counter, rounds), loop)));
    }
  }
  co_await gather(std::move(all));
}

TEST(ThreadsafeLock, MT01TasksOfAllLoopsAndThreadsExcludeEachOther) {
  threadsafe::Lock lock;
  int counter = 0;
  constexpr int rounds = 2000;
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 2; ++thread) {
    threads.emplace_back([&] {
      for (int round = 0; round < rounds; ++round) {
        lock.acquire_blocking();
        ++counter;
        lock.release();
      }
    });
  }
  run(count_on_all_loops(lock, counter, rounds), {.loops = 4});
  threads.clear();
  EXPECT_EQ(counter, rounds * (2 + 4 * 3));
  EXPECT_FALSE(lock.locked());
}

}  // namespace
}  // namespace rota
