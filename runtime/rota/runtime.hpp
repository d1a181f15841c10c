/// runtime.hpp: many loops: Runtime, Runner and run().
///
/// The loop that runs main is the calling thread's; every other one has a thread of its own. How
/// they end together stands in runtime/README.md, section 9.
#pragma once

#include <rota/context.hpp>
#include <rota/loop.hpp>
#include <rota/task.hpp>

#include <chrono>
#include <memory>
#include <utility>
#include <vector>

namespace rota {

struct RuntimeOptions {
  unsigned loops = 0;     ///< 0: one for each CPU that affinity and the cgroup's quota leave us.
  bool affinity = false;  ///< Bind each loop's thread to a CPU of its own.
  bool debug =
      false;  ///< As PYTHONASYNCIODEBUG=1. ROTA_DEBUG=1 in the environment switches it on too.
  bool handle_signals = true;   ///< SIGINT and SIGTERM cancel main (only from the main thread).
  bool fairness = true;         ///< See LoopOptions.
  unsigned ring_entries = 256;  ///< For each loop, see LoopOptions.
  unsigned completion_entries = 4096;  ///< For each loop, see LoopOptions.
  std::chrono::nanoseconds spin{0};    ///< Before a loop sleeps, see LoopOptions.
  /// How long run() waits at the end for tasks that do not end when cancelled. Then they are named
  /// on stderr and left.
  std::chrono::nanoseconds shutdown_timeout = std::chrono::seconds(10);
  /// Makes each loop, for hooks or handlers of your own; null: EventLoop(options).
  std::unique_ptr<EventLoop> (*loop_factory)(const LoopOptions& options) = nullptr;
  detail::Kernel* kernel = nullptr;  ///< Null: the machine.
};

namespace detail {
class Worker;
class Interrupts;
}  // namespace detail

/// N loops. Loop 0 runs on the thread that made the runtime, whenever that thread runs it; the
/// others run on their own.
class Runtime : detail::Immovable {
 public:
  /// Makes all loops here, so that what is missing shows here; then starts the threads of loops 1
  /// and up. Errors: StartupError, OSError, std::system_error (no thread to be had).
  explicit Runtime(RuntimeOptions options = {});
  ~Runtime();  ///< close().

  std::size_t size() const noexcept { return handles_.size(); }
  EventLoop& main_loop() noexcept { return *main_loop_; }  ///< Loop 0. Thread: the maker's.
  const std::vector<LoopHandle>& loops() const noexcept { return handles_; }  ///< Thread: any.
  const RuntimeOptions& options() const noexcept { return options_; }

  /// Cancels every task of every loop, runs all loops until no task is left or shutdown_timeout has
  /// passed, names on stderr what is stuck, closes the loops and joins the threads. Idempotent.
  /// Thread: the maker's, outside of its loop.
  void close();

 private:
  void join_workers(std::int64_t deadline) noexcept;

  RuntimeOptions options_;
  std::unique_ptr<EventLoop> main_loop_;
  std::vector<std::unique_ptr<detail::Worker>> workers_;
  std::vector<LoopHandle> handles_;
  bool closed_ = false;
};

/// The loops of the runtime that the running loop belongs to; a loop made by hand is alone.
/// Thread: a loop's. Errors: RuntimeError outside of one.
std::vector<LoopHandle> all_loops();

/// Several run() calls over one runtime and one context. As: asyncio.Runner.
class Runner : detail::Immovable {
 public:
  explicit Runner(RuntimeOptions options = {}) noexcept : options_(options) {}
  ~Runner();  ///< close().

  /// Runs `awaitable` on loop 0 to its end; gives its result. SIGINT and SIGTERM cancel it; a
  /// second SIGINT leaves at once. Errors: what it throws; KeyboardInterrupt, when it ended
  /// cancelled because of a signal; RuntimeError (inside a running loop; closed); StartupError. As:
  /// Runner.run.
  template <Awaitable A>
  auto run(A&& awaitable) {
    if constexpr (detail::is_coro<std::remove_cvref_t<A>>) {
      TaskOptions main;
      main.context = &context();
      require_no_running_loop();
      auto task = loop().create_task(std::forward<A>(awaitable), main);
      run_main(task);
      return task.take_result();
    } else {
      return run(detail::as_coro(std::forward<A>(awaitable)));
    }
  }
  /// The loop that run() uses; made at the first call. As: Runner.get_loop.
  EventLoop& get_loop() { return loop(); }
  Runtime& runtime();
  /// Ends the runtime: see Runtime::close(). Idempotent. As: Runner.close.
  void close();

 private:
  static void require_no_running_loop();
  EventLoop& loop();
  Context& context();
  void run_main(const detail::TaskHandle& main);

  RuntimeOptions options_;
  std::unique_ptr<Runtime> runtime_;
  std::unique_ptr<Context> context_;
  bool closed_ = false;
};

/// Runs `awaitable` to its end on a runtime made for it, ends everything, gives the result.
/// Errors: see Runner::run. As: asyncio.run.
template <Awaitable A>
auto run(A&& awaitable, RuntimeOptions options = {}) {
  return Runner(options).run(std::forward<A>(awaitable));
}

}  // namespace rota
