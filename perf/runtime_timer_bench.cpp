/// runtime_timer_bench.cpp: arming, cancelling and firing timers, beside reading the clock.
///
/// Surprising would be: arm + cancel above the clock's reading plus 20 ns; above three times that
/// with a million armed.
#include <rota/sleep.hpp>
#include <rota/task.hpp>

#include <benchmark/benchmark.h>

#include <ctime>
#include <random>
#include <vector>

namespace {

using rota::Coro;
using rota::EventLoop;
using namespace std::chrono_literals;

void BM_bare_clock(benchmark::State& state) {
  for (auto _ : state) {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    benchmark::DoNotOptimize(now);
  }
}
BENCHMARK(BM_bare_clock);

/// `armed` other timers are there; deadlines are random.
void BM_timer_arm_and_cancel(benchmark::State& state) {
  EventLoop loop;
  std::mt19937_64 random(1);
  std::uniform_int_distribution<int> seconds(1, 1000);
  auto body = [&]() -> Coro<> {
    std::vector<rota::TimerHandle> others;
    for (std::int64_t number = 0; number < state.range(0); ++number) {
      others.push_back(loop.call_later(std::chrono::seconds(seconds(random)), [] {}));
    }
    for (auto _ : state) loop.call_later(std::chrono::seconds(500), [] {}).cancel();
    for (const rota::TimerHandle& other : others) other.cancel();
    co_return;
  };
  loop.run_until_complete(body());
}
BENCHMARK(BM_timer_arm_and_cancel)->ArgName("armed")->Arg(0)->Arg(1000000);

Coro<> sleeper(std::chrono::microseconds delay) { co_await rota::sleep(delay); }

/// 100,000 tasks that sleep 1 to 10 ms; the time includes those 10 ms (100 ns a task).
void BM_sleepers(benchmark::State& state) {
  const std::int64_t tasks = state.range(0);
  for (auto _ : state) {
    EventLoop loop;
    auto body = [tasks]() -> Coro<> {
      std::vector<rota::Task<>> all;
      all.reserve(static_cast<std::size_t>(tasks));
      for (std::int64_t number = 0; number < tasks; ++number) {
        all.push_back(
            rota::create_task(sleeper(std::chrono::microseconds(1000 + number * 7919 % 9000))));
      }
      for (rota::Task<>& task : all) co_await std::move(task);
    };
    loop.run_until_complete(body());
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * tasks);
}
BENCHMARK(BM_sleepers)->ArgName("tasks")->Arg(100000)->UseRealTime();

}  // namespace
