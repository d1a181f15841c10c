/// runtime_task_bench.cpp: what a task, an await, a step and a future cost, each beside its bare
/// mechanism.
///
/// Not measured: cold memory (the rows recycle the same few blocks, but for spawn_many), I/O, other
/// loops. Surprising would be: create_task + await above 4 times the bare coroutine with its frame,
/// yield above 10 ns, a child await above 2 times the bare one.
#include <rota/future.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>

#include <benchmark/benchmark.h>

#include <coroutine>
#include <utility>
#include <vector>

namespace {

using rota::Coro;
using rota::create_task;
using rota::EventLoop;
using rota::Future;
using rota::Task;
using namespace std::chrono_literals;

/// Runs one benchmark coroutine on a loop of its own.
template <typename Body>
void on_a_loop(benchmark::State& state, Body body) {
  EventLoop loop;
  loop.run_until_complete(body(state));
}

// --- the bare mechanisms ---

/// The least that a lazy coroutine can be: no task, no cancellation, no await site; frames from the
/// same allocator.
class BareCoro {
 public:
  struct promise_type {
    std::coroutine_handle<> continuation = std::noop_coroutine();
    BareCoro get_return_object() {
      return BareCoro(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    struct Final {
      bool await_ready() noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<promise_type> done) noexcept {
        return done.promise().continuation;
      }
      void await_resume() noexcept {}
    };
    Final final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
    static void* operator new(std::size_t bytes) { return rota::detail::allocate_frame(bytes); }
    static void operator delete(void* frame, std::size_t bytes) {
      rota::detail::release_frame(frame, bytes);
    }
  };

  explicit BareCoro(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  BareCoro(BareCoro&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  ~BareCoro() {
    if (handle_) handle_.destroy();
  }
  bool await_ready() noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> parent) noexcept {
    handle_.promise().continuation = parent;
    return handle_;
  }
  void await_resume() noexcept {}
  /// Out of line: the optimiser must not see both sides, or nothing is left of the coroutine.
  [[gnu::noinline]] void run() {
    while (!handle_.done()) handle_.resume();
  }

 private:
  std::coroutine_handle<promise_type> handle_;
};

[[gnu::noinline]] BareCoro bare_child() { co_return; }

BareCoro bare_awaits(benchmark::State& state) {
  for (auto _ : state) co_await bare_child();
}
void BM_bare_await_child(benchmark::State& state) {
  BareCoro all = bare_awaits(state);
  all.run();
}
BENCHMARK(BM_bare_await_child);

[[gnu::noinline]] BareCoro bare_suspends(benchmark::State& state) {
  for (auto _ : state) co_await std::suspend_always();
}
void BM_bare_suspend_resume(benchmark::State& state) {
  BareCoro all = bare_suspends(state);
  all.run();
}
BENCHMARK(BM_bare_suspend_resume);

// --- rota ---

[[gnu::noinline]] Coro<> child() { co_return; }

Coro<> awaits(benchmark::State& state) {
  for (auto _ : state) co_await child();
}
void BM_await_child(benchmark::State& state) { on_a_loop(state, awaits); }
BENCHMARK(BM_await_child);

Coro<> creates_and_awaits(benchmark::State& state) {
  for (auto _ : state) co_await create_task(child());
}
void BM_create_task_and_await(benchmark::State& state) { on_a_loop(state, creates_and_awaits); }
BENCHMARK(BM_create_task_and_await);

Coro<> spawns_many(benchmark::State& state) {
  const auto tasks = static_cast<std::size_t>(state.range(0));
  std::vector<Task<>> made;
  made.reserve(tasks);
  for (auto _ : state) {
    for (std::size_t number = 0; number < tasks; ++number) made.push_back(create_task(child()));
    for (Task<>& task : made) co_await std::move(task);
    made.clear();
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * state.range(0));
}
void BM_spawn_many(benchmark::State& state) { on_a_loop(state, spawns_many); }
BENCHMARK(BM_spawn_many)->ArgName("tasks")->Arg(1000)->Arg(1000000);

Coro<> yields(benchmark::State& state) {
  for (auto _ : state) co_await rota::sleep(0s);
}
void BM_yield(benchmark::State& state) { on_a_loop(state, yields); }
BENCHMARK(BM_yield);

Coro<> yields_until(const bool& stop) {
  while (!stop) co_await rota::sleep(0s);
}
/// One iteration is one step of the loop: 64 yields.
Coro<> yields_among(benchmark::State& state) {
  bool stop = false;
  std::vector<Task<>> others;
  for (int number = 1; number < 64; ++number) others.push_back(create_task(yields_until(stop)));
  for (auto _ : state) co_await rota::sleep(0s);
  stop = true;
  for (Task<>& task : others) co_await std::move(task);
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) * 64);
}
void BM_yield_among_64(benchmark::State& state) { on_a_loop(state, yields_among); }
BENCHMARK(BM_yield_among_64);

struct PingPong {
  Future<> ping;
  Future<> pong;
  bool stop = false;
};
Coro<> answers(PingPong& game) {
  for (co_await game.ping; !game.stop; co_await game.ping) {
    game.ping = Future<>();
    game.pong.set_result();
  }
}
/// One iteration: a future set and awaited in each direction, and one made for each.
Coro<> asks(benchmark::State& state) {
  PingPong game;
  Task<> other = create_task(answers(game));
  for (auto _ : state) {
    game.pong = Future<>();
    game.ping.set_result();
    co_await game.pong;
  }
  game.stop = true;
  game.ping.set_result();
  co_await std::move(other);
}
void BM_future_round_trip(benchmark::State& state) { on_a_loop(state, asks); }
BENCHMARK(BM_future_round_trip);

}  // namespace
