/// run_threadsafe.hpp: run_coroutine_threadsafe, a coroutine handed to a loop by a thread that has
/// none.
#pragma once

#include <rota/future.hpp>
#include <rota/loop.hpp>
#include <rota/task.hpp>

#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace rota {

namespace detail {

/// Throws RuntimeError on a loop's thread: a blocked loop serves nobody, perhaps not even the one
/// that is waited for.
void require_no_loop(const char* operation);

/// What the thread and the loop share. The mutex guards all of it; it is held for a few
/// instructions only.
template <typename T>
struct ThreadResult {
  std::mutex mutex;
  std::condition_variable changed;
  Result<T> result;
  bool done = false;
  bool cancel_requested = false;
  TaskHandle task;                  ///< Set while the coroutine is a task.
  std::function<void()> when_done;  ///< May be empty. Called once, under the mutex.

  void finish_cancelled() {
    const std::lock_guard lock(mutex);
    result.exception = std::make_exception_ptr(CancelledError());
    tell();
  }
  /// The result is there. Under the mutex.
  void tell() {
    done = true;
    task = TaskHandle();
    changed.notify_all();
    if (when_done) std::exchange(when_done, nullptr)();
  }
};

/// Sets a future of another loop; if that has closed, nobody waits any more.
class WakeFuture {
 public:
  WakeFuture(LoopHandle loop, Future<> future) noexcept
      : loop_(std::move(loop)), future_(std::move(future)) {}
  void operator()() const;

 private:
  LoopHandle loop_;
  Future<> future_;
};

/// Waits for the task on its loop, and hands the outcome to the thread. Deletes itself.
template <typename T>
class ThreadRelay final : public Waiter {
 public:
  ThreadRelay(Task<T> task, std::shared_ptr<ThreadResult<T>> shared)
      : Waiter(&ThreadRelay::notified), task_(std::move(task)), shared_(std::move(shared)) {}

 private:
  static void notified(Waiter& waiter, bool abandoned) noexcept {
    const std::unique_ptr<ThreadRelay> self(static_cast<ThreadRelay*>(&waiter));
    if (abandoned) {  // leaked with its loop
      self->shared_->finish_cancelled();
      return;
    }
    const std::lock_guard lock(self->shared_->mutex);
    Result<T>& result = self->shared_->result;
    try {
      if constexpr (std::is_void_v<T>) {
        self->task_.take_result();
        result.emplace();
      } else {
        result.emplace(self->task_.take_result());
      }
    } catch (...) {
      result.exception = std::current_exception();
    }
    self->shared_->tell();
  }

  Task<T> task_;
  std::shared_ptr<ThreadResult<T>> shared_;
};

/// Makes the task on its loop. If the loop closes before it is called, the result is a
/// CancelledError.
template <typename T>
class StartTask {
 public:
  StartTask(Coro<T> coro, std::shared_ptr<ThreadResult<T>> shared)
      : coro_(std::move(coro)), shared_(std::move(shared)) {}
  StartTask(StartTask&&) noexcept = default;
  StartTask& operator=(StartTask&&) = delete;
  ~StartTask() {
    if (shared_ != nullptr) shared_->finish_cancelled();
  }

  void operator()() {
    Task<T> task = create_task(std::move(coro_));
    auto* const relay = new ThreadRelay<T>(
        task, shared_);  // until here an exception leaves a CancelledError behind
    task.base()->waiters().push(*relay);
    const auto shared = std::exchange(shared_, nullptr);
    const std::lock_guard lock(shared->mutex);
    if (shared->cancel_requested) task.cancel();
    shared->task = std::move(task);
  }

 private:
  Coro<T> coro_;
  std::shared_ptr<ThreadResult<T>> shared_;
};

}  // namespace detail

/// The result of a coroutine on some loop, for threads that may block. As:
/// concurrent.futures.Future.
template <typename T>
class ThreadFuture {
 public:
  /// Waits until it is done, or for `timeout`; gives the value, moved out: call it once.
  /// Thread: any that runs no loop (RuntimeError). Errors: what the coroutine threw;
  /// CancelledError; TimeoutError.
  T result(Duration timeout = forever) {
    detail::require_no_loop("ThreadFuture.result");
    std::unique_lock lock(shared_->mutex);
    const auto is_done = [this] { return shared_->done; };
    if (timeout == forever) {
      shared_->changed.wait(lock, is_done);
    } else if (!shared_->changed.wait_for(lock, timeout, is_done)) {
      throw TimeoutError();
    }
    return shared_->result.take();
  }
  /// Cancels the coroutine's task. Returns: false when it is done. Thread: any. Suspends: never.
  bool cancel() {
    const std::lock_guard lock(shared_->mutex);
    if (shared_->done) return false;
    shared_->cancel_requested = true;
    return !shared_->task || shared_->task.cancel();
  }
  bool done() const {
    const std::lock_guard lock(shared_->mutex);
    return shared_->done;
  }

  explicit ThreadFuture(std::shared_ptr<detail::ThreadResult<T>> shared) noexcept
      : shared_(std::move(shared)) {}

 private:
  template <typename U>
  friend Coro<U> wrap_future(ThreadFuture<U> future);

  std::shared_ptr<detail::ThreadResult<T>> shared_;
};

/// Runs `coro` as a task of `loop`. Thread: any. Suspends: never. Errors: RuntimeError when the
/// loop is closed. If the loop closes first, the result is a CancelledError. As:
/// asyncio.run_coroutine_threadsafe.
template <typename T>
ThreadFuture<T> run_coroutine_threadsafe(Coro<T> coro, const LoopHandle& loop) {
  auto shared = std::make_shared<detail::ThreadResult<T>>();
  loop.call_soon_threadsafe(detail::StartTask<T>(std::move(coro), shared));
  return ThreadFuture<T>(std::move(shared));
}

/// Awaits on this loop what another loop was given: `co_await
/// wrap_future(run_coroutine_threadsafe(f(), other))`. Cancelling it cancels the coroutine there.
/// Errors: as ThreadFuture::result. Thread: a loop's. As: asyncio.wrap_future.
template <typename T>
Coro<T> wrap_future(ThreadFuture<T> future) {
  const auto& shared = future.shared_;
  const Future<> ended = get_running_loop().template create_future<void>();
  {
    const std::lock_guard lock(shared->mutex);
    shared->when_done = detail::WakeFuture(get_running_loop().handle(), ended);
    if (shared->done) std::exchange(shared->when_done, nullptr)();
  }
  try {
    co_await ended;
  } catch (const CancelledError&) {
    future.cancel();
    throw;
  }
  const std::lock_guard lock(shared->mutex);
  co_return shared->result.take();
}

}  // namespace rota
