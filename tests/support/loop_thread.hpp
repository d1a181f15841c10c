/// loop_thread.hpp: an EventLoop on a thread of its own, for tests of what crosses threads.
#pragma once

#include <rota/future.hpp>
#include <rota/loop.hpp>
#include <rota/task.hpp>

#include <exception>
#include <future>
#include <latch>
#include <memory>
#include <thread>
#include <type_traits>
#include <utility>

namespace rota::testing_support {

class LoopThread {
 public:
  LoopThread() : LoopThread(LoopOptions()) {}
  explicit LoopThread(LoopOptions options) : options_(options) { ready_.wait(); }
  LoopThread(const LoopThread&) = delete;
  LoopThread& operator=(const LoopThread&) = delete;
  /// Stops the loop, closes it, joins.
  ~LoopThread() { close(); }

  /// Valid also after close().
  const LoopHandle& handle() const noexcept { return handle_; }
  EventLoop& loop() noexcept { return *loop_; }  ///< For code that runs on the loop.

  /// Calls `function()` on the loop and waits for what it gives. Thread: any that runs no loop.
  template <typename Function>
  auto call(Function function) {
    std::packaged_task<std::invoke_result_t<Function>()> task(std::move(function));
    auto result = task.get_future();
    handle_.call_soon_threadsafe(std::move(task));
    return result.get();
  }
  /// Makes a task of `function(args...)`, a coroutine, on the loop.
  template <typename Function, typename... Args>
  auto start(Function function, Args... args) {
    return call([&] { return create_task(function(std::move(args)...)); });
  }
  /// Waits until `task` is done. Thread: any that runs no loop.
  template <typename T>
  void join(Task<T> task) {
    auto done = std::make_shared<std::promise<void>>();
    handle_.call_soon_threadsafe([done, task = std::move(task)] {
      task.add_done_callback([done](const Task<T>&) { done->set_value(); });
    });
    done->get_future().wait();
  }

  /// Returns once what was ready on the loop has run.
  void settle() {
    call([] {});
  }

  void close() {
    if (!thread_.joinable()) return;
    try {
      handle_.call_soon_threadsafe([this] { loop_->stop(); });
    } catch (const RuntimeError&) {
      (void)std::current_exception();  // a test has stopped it, and it has closed already
    }
    thread_.join();
  }

 private:
  void run() {
    EventLoop loop(options_);
    loop_ = &loop;
    handle_ = loop.handle();
    loop.set_exception_handler([](EventLoop&, const ExceptionContext&) {});
    ready_.count_down();
    loop.run_forever();
    loop.close();
  }

  const LoopOptions options_;
  std::latch ready_{1};
  LoopHandle handle_;
  EventLoop* loop_ = nullptr;
  std::thread thread_{[this] { run(); }};  // last: it uses all of the above
};

/// Keeps the loop of a thread busy from its making until release().
class Blocked {
 public:
  explicit Blocked(LoopThread& thread) {
    thread.handle().call_soon_threadsafe([state = state_] {
      state->running.count_down();
      state->go_on.wait();
    });
    state_->running.wait();
  }
  Blocked(const Blocked&) = delete;
  Blocked& operator=(const Blocked&) = delete;
  ~Blocked() { release(); }
  void release() {
    if (!std::exchange(released_, true)) state_->go_on.count_down();
  }

 private:
  struct State {
    std::latch running{1};
    std::latch go_on{1};
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
  bool released_ = false;
};

/// Closes the loop of `thread` before anything can run there that came while `meanwhile()` ran.
template <typename Function>
void close_unseen(LoopThread& thread, Function meanwhile) {
  std::latch running(1);
  std::latch go_on(1);
  thread.handle().call_soon_threadsafe([&] {
    running.count_down();
    go_on.wait();
    thread.loop().stop();
  });
  running.wait();
  meanwhile();
  go_on.count_down();
  thread.close();
}

/// A future that belongs to the loop of `thread`.
template <typename T>
Future<T> future_on(LoopThread& thread) {
  return thread.call([] {
    Future<T> future;
    future.remove_done_callback(future.add_done_callback([](const Future<T>&) {}));
    return future;
  });
}

}  // namespace rota::testing_support
