/// executor.hpp: run_in_executor and to_thread: calls that would hold up a loop, made on other
/// threads.
///
/// Two pools: cpu_pool() for what computes (oneTBB, a thread for each usable CPU; never block
/// there), blocking_pool() for what waits (files, name lookups, libraries without an asynchronous
/// form). Every call has a copy of its caller's context.
#pragma once

#include <rota/coro.hpp>
#include <rota/detail/executor_job.hpp>
#include <rota/detail/immovable.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <type_traits>
#include <utility>

namespace rota {

/// What an executor has done so far. Each number is right, but they are not of one moment.
struct ExecutorStats {
  std::uint64_t submitted_total = 0;
  std::uint64_t finished_total = 0;     ///< Calls that returned or threw.
  std::uint64_t cancelled_total = 0;    ///< Cancelled before they began.
  std::uint64_t running = 0;            ///< Calls that a thread makes now.
  std::chrono::nanoseconds run_time{};  ///< Of all finished calls together.

  /// Calls that wait for a thread.
  std::uint64_t queued() const noexcept {
    const std::uint64_t taken = finished_total + cancelled_total + running;
    return submitted_total > taken ? submitted_total - taken : 0;
  }
};

/// Threads that make calls for loops. To add one of your own, override execute(). As:
/// concurrent.futures.Executor.
class Executor : detail::Immovable {
 public:
  virtual ~Executor() = default;
  ExecutorStats stats() const noexcept;  ///< Thread: any.

 protected:
  Executor() = default;

 private:
  friend class detail::ExecutorJob;

  /// Sees to it that `job.perform()` is called exactly once, on a thread that runs no loop; or, if
  /// that can no longer be, `job.refuse(why)`. Errors: any; then nothing of it may have happened.
  /// Thread: any loop's; several at a time.
  virtual void execute(detail::ExecutorJob& job) = 0;

  detail::atomic<std::uint64_t> submitted_{0};  ///< All: written by any thread, relaxed: counts.
  detail::atomic<std::uint64_t> finished_{0};
  detail::atomic<std::uint64_t> cancelled_{0};
  detail::atomic<std::uint64_t> running_{0};
  detail::atomic<std::int64_t> run_nanoseconds_{0};
};

struct ThreadPoolOptions {
  std::size_t max_workers = 0;  ///< 0: min(32, usable CPUs + 4), as Python.
  const char* thread_name = "rota-pool";
  /// A thread that had nothing to do for so long ends.
  std::chrono::nanoseconds idle_limit = std::chrono::seconds(10);
};

/// A pool of threads that may block; a thread starts when a call finds none idle, up to
/// max_workers. As: concurrent.futures.ThreadPoolExecutor.
class ThreadPoolExecutor final : public Executor {
 public:
  explicit ThreadPoolExecutor(std::size_t max_workers = 0)
      : ThreadPoolExecutor(with_workers(max_workers)) {}
  explicit ThreadPoolExecutor(const ThreadPoolOptions& options);
  ~ThreadPoolExecutor() override;  ///< shutdown(): waits for every call.

  /// Ends the pool: new calls get RuntimeError, those accepted are made first. `wait`: until the
  /// threads are gone. `cancel_futures`: calls that have not begun end with CancelledError instead.
  /// Idempotent. Thread: any but one of its own. As: Executor.shutdown.
  void shutdown(bool wait = true, bool cancel_futures = false);

  std::size_t max_workers() const;
  /// More threads start when needed; too many end when they become idle. Errors: ValueError (0).
  /// Thread: any.
  void set_max_workers(std::size_t count);
  std::size_t workers() const;  ///< Threads there are now. Thread: any.

 private:
  struct State;

  static ThreadPoolOptions with_workers(std::size_t count) noexcept {
    ThreadPoolOptions options;
    options.max_workers = count;
    return options;
  }
  void execute(detail::ExecutorJob& job) override;

  std::shared_ptr<State> state_;
};

/// The pool for what computes: a oneTBB arena with a thread for each usable CPU. Lives as long as
/// the process.
Executor& cpu_pool();
/// The pool for what waits: min(32, usable CPUs + 4) threads, of which set_max_workers() may change
/// the number. Lives as long as the process. As: asyncio's default executor.
ThreadPoolExecutor& blocking_pool();

/// Starts `function(args...)` on `executor` and gives a future of the result; copies of it mean the
/// same one. The arguments are kept by value. A function that takes a std::stop_token first gets
/// one.
///
/// Cancelling the future, or the task that awaits it, ends the wait at once: a call that has not
/// begun is not made; one that runs goes on, is asked to stop through its token, and its result is
/// dropped. When run() ends, calls that still run are asked to stop and waited for, for
/// RuntimeOptions::shutdown_timeout.
///
/// Errors:   what the function threw; CancelledError; RuntimeError outside of a loop, or when the
///           executor or the loop no longer takes calls; OSError when no thread can be had.
/// Thread:   a loop's.
/// Suspends: the call never; the await until the result is there.
/// As:       loop.run_in_executor. (Context variables go along, stop tokens are new.)
template <typename Function, typename... Args>
  requires std::invocable<std::decay_t<Function>, std::decay_t<Args>...> ||
           std::invocable<std::decay_t<Function>, std::stop_token, std::decay_t<Args>...>
[[nodiscard("the result of an executor's call, and its exception")]] auto run_in_executor(
    Executor& executor, Function&& function, Args&&... args) {
  static_assert(detail::is_safe_temporary<Function>(),
                "g++ 12 destroys this lambda twice (runtime/safe_co_await.md): pass what it "
                "captures as arguments, or name the lambda first");
  return detail::start_job(executor, std::forward<Function>(function), std::forward<Args>(args)...);
}
/// The same on cpu_pool().
template <typename Function, typename... Args>
  requires(!std::derived_from<std::remove_cvref_t<Function>, Executor>) &&
          (std::invocable<std::decay_t<Function>, std::decay_t<Args>...> ||
           std::invocable<std::decay_t<Function>, std::stop_token, std::decay_t<Args>...>)
[[nodiscard("the result of an executor's call, and its exception")]] auto run_in_executor(
    Function&& function, Args&&... args) {
  return run_in_executor(cpu_pool(), std::forward<Function>(function), std::forward<Args>(args)...);
}
/// The same on blocking_pool(). As: asyncio.to_thread.
template <typename Function, typename... Args>
  requires std::invocable<std::decay_t<Function>, std::decay_t<Args>...> ||
           std::invocable<std::decay_t<Function>, std::stop_token, std::decay_t<Args>...>
[[nodiscard("the result of an executor's call, and its exception")]] auto to_thread(
    Function&& function, Args&&... args) {
  return run_in_executor(blocking_pool(), std::forward<Function>(function),
                         std::forward<Args>(args)...);
}

/// From here on this loop gives no more calls to executors (RuntimeError); waits until those it
/// gave have come back, or reports after `timeout` how many have not. run() does this at its end.
/// As: loop.shutdown_default_executor.
Coro<> shutdown_default_executor(Duration timeout = std::chrono::seconds(300));

}  // namespace rota
