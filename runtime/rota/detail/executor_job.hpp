/// executor_job.hpp: one call on its way through an executor and back to its loop.
///
/// Made on the loop, given to the executor, performed on one of its threads, sent home through the
/// loop's inbox, and only there told to its future. So user objects are destroyed on the loop,
/// unless it has closed meanwhile: then the thread that performed the call destroys them.
#pragma once

#include <rota/context.hpp>
#include <rota/detail/held.hpp>
#include <rota/detail/runnable.hpp>
#include <rota/detail/safe_temporary.hpp>
#include <rota/future.hpp>

#include <concepts>
#include <exception>
#include <functional>
#include <stop_token>
#include <tuple>
#include <type_traits>
#include <utility>

namespace rota {

class Executor;

namespace detail {

/// Without the type of its result. Owner's thread, where nothing else is said.
class ExecutorJob : public Runnable {
 public:
  ExecutorJob(const ExecutorJob&) = delete;
  ExecutorJob& operator=(const ExecutorJob&) = delete;

  /// Gives it to `executor`; the loop keeps it among its jobs until it is home. Errors: what
  /// Executor::execute throws; the job is gone then.
  void start(Executor& executor);
  /// Makes the call, unless its future is done (cancelled) already, and sends it home. The job may
  /// be gone when this returns. Thread: the executor's, exactly once.
  void perform() noexcept;
  /// Home without a call: the future gets `reason`. Instead of perform(). Thread: any.
  void refuse(std::exception_ptr reason) noexcept;
  /// Asks the call to end, if it takes a std::stop_token. Thread: any.
  void request_stop() noexcept { stop_.request_stop(); }
  ExecutorJob* next_job() const noexcept { return next_job_; }

  ExecutorJob* next_queued = nullptr;  ///< For the queue of the executor that has it.

 protected:
  explicit ExecutorJob(std::stop_source stop) noexcept
      : Runnable(&ExecutorJob::arrived), stop_(std::move(stop)) {}
  ~ExecutorJob();

  std::stop_source stop_;  ///< Without a state when the call does not ask for a token.

 private:
  virtual Completable& future() noexcept = 0;
  virtual void call() noexcept = 0;  ///< Thread: the executor's. Keeps what it gives or throws.
  virtual void fail(std::exception_ptr error) noexcept = 0;  ///< As if the call had thrown it.
  virtual void conclude() noexcept = 0;                      ///< Tells the future, if still asked.

  static void arrived(Runnable& node, bool dropped) noexcept;
  void send_home() noexcept;
  void leave_loop() noexcept;

  LoopCore* home_ = nullptr;  ///< A reference, from start() on.
  Executor* executor_ = nullptr;
  ContextCell* context_ = nullptr;  ///< A copy of the caller's, from start() on.
  ExecutorJob* next_job_ = nullptr;
  ExecutorJob* previous_job_ = nullptr;
  /// Written by start(), read by perform(): the job is passed on by this, whatever the executor's
  /// own queue orders.
  atomic<bool> handed_over_{false};
};

/// It takes a token, and cannot be called without one.
template <typename Function, typename... Args>
inline constexpr bool wants_stop_token =
    !std::invocable<Function, Args...> && std::invocable<Function, std::stop_token, Args...>;

template <typename Function, typename... Args>
struct JobResult {
  using type = std::decay_t<std::invoke_result_t<Function, Args...>>;
};
template <typename Function, typename... Args>
  requires wants_stop_token<Function, Args...>
struct JobResult<Function, Args...> {
  using type = std::decay_t<std::invoke_result_t<Function, std::stop_token, Args...>>;
};

/// The future of a call, and the call. The job's own reference goes when it is home.
template <typename Function, typename... Args>
class ExecutorCall final : public FutureState<typename JobResult<Function, Args...>::type>,
                           public ExecutorJob {
 public:
  using R = typename JobResult<Function, Args...>::type;
  static constexpr bool with_token = wants_stop_token<Function, Args...>;

  template <typename F, typename... As>
  explicit ExecutorCall(F&& function, As&&... args)
      : ExecutorJob(with_token ? std::stop_source() : std::stop_source(std::nostopstate)),
        function_(std::forward<F>(function)),
        args_(std::forward<As>(args)...) {
    this->bind_to(*running_loop->core);
    this->retain();  // the job's
  }

 private:
  ~ExecutorCall() override = default;

  decltype(auto) invoke() {
    return std::apply(
        [this](Args&... args) -> decltype(auto) {
          if constexpr (with_token) {
            return std::invoke(std::move(function_), stop_.get_token(), std::move(args)...);
          } else {
            return std::invoke(std::move(function_), std::move(args)...);
          }
        },
        args_);
  }

  Completable& future() noexcept override { return *this; }
  void call() noexcept override {
    try {
      if constexpr (std::is_void_v<R>) {
        invoke();
        outcome_.emplace();
      } else {
        outcome_.emplace(invoke());
      }
    } catch (...) {
      outcome_.exception = std::current_exception();
    }
  }
  void fail(std::exception_ptr error) noexcept override { outcome_.exception = std::move(error); }
  void conclude() noexcept override {
    if (this->done()) return;  // cancelled: nobody asks
    try {
      if constexpr (std::is_void_v<R>) {
        outcome_.take();
        this->set_result();
      } else {
        this->set_result(outcome_.take());
      }
    } catch (...) {
      this->set_exception(std::current_exception());
    }
  }

  bool cancel_requested(std::string* message) noexcept override {
    if (!FutureBase::cancel_requested(message)) return false;
    request_stop();
    return true;
  }

  Function function_;
  std::tuple<Args...> args_;
  Result<R> outcome_;  ///< Of the call, until it is home: the future is the loop's.
};

/// Starts `function(args...)` on `executor`. Errors: see run_in_executor.
template <typename Function, typename... Args>
auto start_job(Executor& executor, Function&& function, Args&&... args) {
  using Call = ExecutorCall<std::decay_t<Function>, std::decay_t<Args>...>;
  using R = typename Call::R;
  static_assert(
      !Awaitable<R>,
      "an executor calls plain functions: a coroutine would run on the loop all the same");
  require_running_loop();
  auto* const call = new Call(std::forward<Function>(function), std::forward<Args>(args)...);
  GivenFuture<R> future(call);
  call->start(executor);
  return future;
}

}  // namespace detail
}  // namespace rota
