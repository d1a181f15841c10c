/// task.hpp: Task<T>, a Coro that was given to create_task(): scheduled, cancellable, awaitable.
#pragma once

#include <rota/coro.hpp>
#include <rota/detail/callback.hpp>
#include <rota/detail/completion_wait.hpp>
#include <rota/loop.hpp>

#include <concepts>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rota {

template <typename T = void>
class Task;

/// How a task is to be made.
struct TaskOptions {
  TaskOptions() = default;
  /// `name`: copied; empty means "Task-<id>".
  TaskOptions(std::string_view name_) : name(name_) {}  // NOLINT(google-explicit-constructor)

  std::string_view name{};
  const Context* context =
      nullptr;  ///< Run in this context instead of in a copy of the current one.
};

namespace detail {

/// A task's state: in the headroom of its root coroutine's block.
template <typename T>
class TaskState final : public TaskBase, public Result<T> {
 public:
  /// Takes over `coro`'s frame. References: 2, the handle's and the runtime's.
  static TaskState* create(LoopState& loop, Coro<T> coro, const TaskOptions& options,
                           std::source_location created_at) {
    std::unique_ptr<std::string> name;
    if (!options.name.empty()) name = std::make_unique<std::string>(options.name);
    ContextCell* context = options.context != nullptr
                               ? rota::detail::retain(options.context->cell())
                               : copy_cell(current_context_slot());
    auto handle = std::exchange(coro.handle_, nullptr);
    BlockHeader& header = header_of_frame(handle.address());
    header.is_task = true;
    auto* state =
        ::new (static_cast<std::byte*>(handle.address()) - header.headroom) TaskState(handle);
    state->TaskBase::context = context;
    Promise<T>& promise = handle.promise();
    promise.continuation = std::noop_coroutine();
    promise.task = state;
    promise.result = static_cast<Result<T>*>(state);
    if (name != nullptr) state->adopt_name(name.release());
    state->start(loop, created_at);
    return state;
  }

 private:
  explicit TaskState(std::coroutine_handle<> root) noexcept : TaskBase(operations_of_type, root) {}

  static void destroy(Completable& completable) noexcept {
    auto& state = static_cast<TaskState&>(completable);
    state.report_if_unretrieved();
    const BlockHeader header = *reinterpret_cast<BlockHeader*>(
        reinterpret_cast<std::byte*>(&state) + Promise<T>::headroom() - sizeof(BlockHeader));
    std::destroy_at(&state);
    release_frame(&state, header.bytes);
  }
  static bool cancel_any(Completable& completable, std::string* message) noexcept {
    return static_cast<TaskState&>(completable).TaskBase::cancel(message);
  }
  static const std::exception_ptr& exception_of(const Completable& completable) noexcept {
    return static_cast<const TaskState&>(completable).ResultBase::exception;
  }
  static ResultBase& result_of(TaskBase& task) noexcept { return static_cast<TaskState&>(task); }
  static void drop_value_of(TaskBase& task) noexcept { static_cast<TaskState&>(task).clear(); }

  static constexpr TaskOperations operations_of_type{
      {.destroy = &destroy, .cancel = &cancel_any, .exception = &exception_of, .kind = "Task"},
      static_cast<std::uint32_t>(PromiseMemory<T>::headroom()),
      &result_of,
      &drop_value_of};
};

template <typename T>
class TaskAwaiter final : public CompletionWait {
 public:
  /// Takes over one reference. `by_value`: the value is moved out (an rvalue await).
  TaskAwaiter(TaskState<T>* state) noexcept
      : CompletionWait(state) {}  // NOLINT(google-explicit-constructor)
  T await_resume() {
    finish_wait();
    return static_cast<TaskState<T>*>(target_)->take();
  }
};

template <typename T>
class TaskReferenceAwaiter final : public CompletionWait {
 public:
  explicit TaskReferenceAwaiter(TaskState<T>* state) noexcept : CompletionWait(state) {}
  decltype(auto) await_resume() {
    finish_wait();
    return static_cast<TaskState<T>*>(target_)->get();
  }
};

/// The part of Task<T> that does not depend on T.
class TaskHandle {
 public:
  TaskHandle() = default;
  TaskHandle(const TaskHandle& other) noexcept : task_(other.task_) {
    if (task_ != nullptr) task_->retain();
  }
  TaskHandle(TaskHandle&& other) noexcept : task_(std::exchange(other.task_, nullptr)) {}
  TaskHandle& operator=(TaskHandle other) noexcept {
    std::swap(task_, other.task_);
    return *this;
  }
  ~TaskHandle() {
    if (task_ != nullptr) task_->release();
  }

  explicit operator bool() const noexcept { return task_ != nullptr; }
  bool operator==(const TaskHandle&) const = default;

  /// Requests cancellation: CancelledError(message) is thrown at the task's present or next await
  /// that waits. Counted. Returns: false if it is done already. Thread: any. Suspends: never. As:
  /// Task.cancel. (From another thread the task learns of it at its loop's next step.)
  bool cancel() const noexcept { return task_->cancel(nullptr); }
  bool cancel(std::string message) const {
    return task_->cancel(new std::string(std::move(message)));
  }
  /// cancel() calls not yet taken back by uncancel(). Thread: any. As: Task.cancelling.
  std::uint64_t cancelling() const noexcept { return task_->cancelling(); }
  /// Takes one cancel() back; at 0 a cancel that was not delivered is dropped. Returns the count
  /// left. Thread: owner loop, usually the task itself. As: Task.uncancel.
  std::uint64_t uncancel() const noexcept { return task_->uncancel(); }

  bool done() const noexcept { return task_->done(); }  ///< Thread: any.
  /// Done, and by a CancelledError. Thread: any.
  bool cancelled() const noexcept {
    return task_->done() && task_->outcome() == Outcome::cancelled;
  }
  /// What it threw, or null when it returned. Thread: any.
  /// Errors: InvalidStateError when not done; CancelledError when it was cancelled. As:
  /// Task.exception.
  std::exception_ptr exception() const;

  std::uint64_t id() const noexcept { return task_->id(); }
  /// Thread: owner loop. As: Task.get_name.
  std::string name() const { return task_->name(); }
  void set_name(std::string name) const { task_->set_name(std::move(name)); }

  TaskBase* base() const noexcept { return task_; }
  /// Takes over one reference.
  explicit TaskHandle(TaskBase* task) noexcept : task_(task) {}

 protected:
  TaskBase* release_handle() noexcept { return std::exchange(task_, nullptr); }

  TaskBase* task_ = nullptr;
};

}  // namespace detail

/// A scheduled coroutine. A handle: copies mean the same task; the runtime keeps the task alive
/// until it is done, so dropping every handle detaches it. Thread-safe, but for what says
/// otherwise. As: asyncio.Task.
template <typename T>
class Task : public detail::TaskHandle {
 public:
  Task() = default;

  /// The value. Thread: any. Errors: InvalidStateError when not done; what the task threw;
  /// CancelledError.
  decltype(auto) result() const {
    detail::require_result(*task_);
    task_->mark_retrieved();
    return state().get();
  }

  /// The same, moved out: for the only holder of a done task.
  T take_result() {
    detail::require_result(*task_);
    task_->mark_retrieved();
    return state().take();
  }

  /// Waits until it is done. An lvalue await gives `const T&`, an rvalue await moves the value out.
  /// Cancelling the awaiting task cancels this one and waits until it is done.
  /// Suspends: only while it is not done. Thread: any loop. Errors: what the task threw;
  /// CancelledError; RuntimeError when a task awaits itself.
  auto operator co_await() const& {
    task_->retain();
    return detail::TaskReferenceAwaiter<T>(&state());
  }
  auto operator co_await() && noexcept {
    return detail::TaskAwaiter<T>(static_cast<detail::TaskState<T>*>(release_handle()));
  }

  /// Calls `callback(Task<T>)` on the loop once the task is done, through call_soon; at once if it
  /// is done already. Thread: owner loop. Returns an id for remove_done_callback. As:
  /// Task.add_done_callback.
  template <std::invocable<Task<T>> Callback>
  detail::CallbackId add_done_callback(Callback callback) const {
    return detail::add_done_callback(
        *task_,
        [task = *this, callback = std::move(callback)]() mutable { callback(std::move(task)); });
  }
  /// Returns whether it was still there. Thread: owner loop.
  bool remove_done_callback(detail::CallbackId id) const {
    return detail::remove_done_callback(*task_, id);
  }

  /// Takes over one reference.
  explicit Task(detail::TaskState<T>* state) noexcept : TaskHandle(state) {}

 private:
  detail::TaskState<T>& state() const noexcept {
    return static_cast<detail::TaskState<T>&>(*task_);
  }
};

/// Schedules `coro` on the running loop: its first step runs in the loop's next step. The task
/// stays on this loop. Everything that takes a Coro takes any awaitable. Thread: a loop's.
/// Suspends: never. Errors: RuntimeError outside a running loop. As: asyncio.create_task.
template <typename T>
Task<T> create_task(Coro<T> coro, TaskOptions options = {},
                    std::source_location site = std::source_location::current()) {
  return Task<T>(
      detail::TaskState<T>::create(detail::require_running_loop(), std::move(coro), options, site));
}
template <Awaitable A>
auto create_task(A awaitable, TaskOptions options = {},
                 std::source_location site = std::source_location::current()) {
  return create_task(detail::as_coro(std::move(awaitable)), options, site);
}
/// The same for a callable and its arguments, which the task keeps: safe for lambdas that capture.
template <typename Function, typename... Args>
  requires std::invocable<Function, Args...> && Awaitable<std::invoke_result_t<Function, Args...>>
auto create_task(Function function, Args... args) {
  return create_task(detail::invoke_coro(std::move(function), std::move(args)...));
}

template <typename T>
Task<T> EventLoop::create_task(Coro<T> coro, TaskOptions options, std::source_location site) {
  require_open();
  if (is_running() && detail::running_loop != this) {
    throw RuntimeError("create_task from another thread: use run_coroutine_threadsafe");
  }
  return Task<T>(detail::TaskState<T>::create(*this, std::move(coro), options, site));
}
template <typename T>
Task<T> EventLoop::create_task(Coro<T> coro, std::source_location site) {
  return create_task(std::move(coro), TaskOptions(), site);
}

/// The task that runs now. Errors: RuntimeError outside of a task. As: asyncio.current_task.
detail::TaskHandle current_task();
/// The tasks of the running loop that are not done. As: asyncio.all_tasks.
std::vector<detail::TaskHandle> all_tasks();

namespace detail {

template <typename T>
inline constexpr bool is_task = false;
template <typename T>
inline constexpr bool is_task<Task<T>> = true;
template <typename T>
inline constexpr bool is_future = false;
template <typename T>
inline constexpr bool is_future<Future<T>> = true;

}  // namespace detail

template <Awaitable A>
auto EventLoop::run_until_complete(A&& awaitable) {
  using Plain = std::remove_cvref_t<A>;
  if constexpr (detail::is_task<Plain>) {
    run_until_done(*awaitable.base());
    return awaitable.result();
  } else if constexpr (detail::is_future<Plain>) {
    run_until_done(*awaitable.state());
    return awaitable.result();
  } else if constexpr (detail::is_coro<Plain>) {
    auto task = create_task(std::forward<A>(awaitable));
    run_until_done(*task.base());
    return task.take_result();
  } else {
    return run_until_complete(detail::as_coro(std::forward<A>(awaitable)));
  }
}

}  // namespace rota

/// A coroutine returns Coro<T>; a Task is made from it.
template <typename T, typename... Args>
struct std::coroutine_traits<rota::Task<T>, Args...> {
  struct promise_type {
    static_assert(sizeof(T*) == 0,
                  "a coroutine function returns rota::Coro<T>; give the Coro to create_task() to "
                  "get a Task<T>");
  };
};
