/// runtime_cross_loop_bench.cpp: handing work from one loop to another, beside the bare mechanisms.
///
/// Round trips are bound by waking a sleeping CPU (an IPI and, in a virtual machine, an exit): tens
/// of microseconds whatever the mechanism, some 100 ns when both sides spin. Surprising would be: a
/// post to an awake loop above 100 ns; a round trip above 1.2 times the bare eventfd one.
#include <rota/future.hpp>
#include <rota/runtime.hpp>

#include <benchmark/benchmark.h>

#include <atomic>
#include <sys/eventfd.h>
#include <thread>
#include <unistd.h>

namespace {

using rota::Coro;
using rota::Future;
using rota::LoopHandle;
using namespace std::chrono_literals;

// --- bare ---

void BM_bare_fetch_add(benchmark::State& state) {
  std::atomic<long> value{0};
  for (auto _ : state) value.fetch_add(1, std::memory_order_seq_cst);
}
BENCHMARK(BM_bare_fetch_add);

/// Two threads that spin on one flag.
void BM_bare_mailbox_round_trip(benchmark::State& state) {
  std::atomic<int> turn{0};
  std::jthread other([&turn](std::stop_token stop) {
    while (!stop.stop_requested()) {
      if (turn.load(std::memory_order_acquire) == 1) turn.store(0, std::memory_order_release);
    }
  });
  for (auto _ : state) {
    turn.store(1, std::memory_order_release);
    while (turn.load(std::memory_order_acquire) != 0) {
    }
  }
}
BENCHMARK(BM_bare_mailbox_round_trip)->UseRealTime();

/// Two threads that sleep in read(2).
void BM_bare_eventfd_round_trip(benchmark::State& state) {
  const int there = eventfd(0, EFD_CLOEXEC);
  const int back = eventfd(0, EFD_CLOEXEC);
  std::jthread other([there, back] {
    eventfd_t value = 0;
    while (eventfd_read(there, &value) == 0 && value == 1) eventfd_write(back, 1);
  });
  eventfd_t value = 0;
  for (auto _ : state) {
    eventfd_write(there, 1);
    eventfd_read(back, &value);
  }
  eventfd_write(there, 2);
  other.join();
  close(there);
  close(back);
}
BENCHMARK(BM_bare_eventfd_round_trip)->UseRealTime();

// --- rota ---

rota::RuntimeOptions two_loops(std::chrono::nanoseconds spin) {
  rota::RuntimeOptions options;
  options.loops = 2;
  options.spin = spin;
  return options;
}

/// Posting only: the other loop is kept awake, and empties its inbox as it can.
Coro<> posts(benchmark::State& state) {
  const LoopHandle other = rota::all_loops()[1];
  std::int64_t posted = 0;
  for (auto _ : state) {
    other.call_soon_threadsafe([] {});
    if (++posted % 4096 == 0) {  // not more than the other side can take
      state.PauseTiming();
      Future<> caught_up;
      const LoopHandle home = rota::get_running_loop().handle();
      other.call_soon_threadsafe([caught_up, home] {
        home.call_soon_threadsafe([caught_up] { caught_up.set_result(); });
      });
      co_await caught_up;
      state.ResumeTiming();
    }
  }
}
void BM_call_soon_threadsafe_post(benchmark::State& state) {
  rota::run(posts(state), two_loops(0ns));
}
BENCHMARK(BM_call_soon_threadsafe_post);

Coro<> round_trips(benchmark::State& state) {
  const LoopHandle other = rota::all_loops()[1];
  const LoopHandle home = rota::get_running_loop().handle();
  for (auto _ : state) {
    Future<> answered;
    other.call_soon_threadsafe(
        [answered, home] { home.call_soon_threadsafe([answered] { answered.set_result(); }); });
    co_await answered;
  }
}
/// With a spin both loops stay awake; without, both sleep each time.
void BM_call_soon_threadsafe_round_trip(benchmark::State& state) {
  rota::run(round_trips(state), two_loops(std::chrono::microseconds(state.range(0))));
}
BENCHMARK(BM_call_soon_threadsafe_round_trip)->ArgName("spin_us")->Arg(0)->Arg(50)->UseRealTime();

}  // namespace
