/// task_group.hpp: TaskGroup, tasks that end before their scope does.
///
/// The first child that fails cancels the others and the body; the scope waits for all, and throws
/// what failed as one ExceptionGroup. A child reports through the ready queue
/// (detail/completion_watch.hpp), in asyncio's order.
#pragma once

#include <rota/detail/completion_watch.hpp>
#include <rota/task.hpp>

#include <cstdint>
#include <exception>
#include <memory>
#include <source_location>
#include <string_view>
#include <utility>
#include <vector>

namespace rota {

class TaskGroup;

namespace detail {

/// One child that has not reported yet. On the heap: a group that is destroyed without being left
/// leaves it behind.
struct GroupChild final : CompletionWatch {
  explicit GroupChild(TaskGroup& owner) noexcept
      : CompletionWatch(&GroupChild::reported), group(&owner) {}
  static void reported(Runnable& node, bool dropped) noexcept;

  static void* operator new(std::size_t bytes) { return allocate_frame(bytes); }
  static void operator delete(void* memory, std::size_t bytes) noexcept {
    release_frame(memory, bytes);
  }

  TaskGroup* group;  ///< Null: it is gone.
  GroupChild* next = nullptr;
  GroupChild* previous = nullptr;
};

/// The parent waits until no child is left.
class GroupWait final : public Waiting {
 public:
  explicit GroupWait(TaskGroup& group) noexcept : Waiting(&GroupWait::cancel), group_(group) {}
  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  void await_suspend(std::coroutine_handle<Promise> handle) {
    wait(*handle.promise().task, handle);
  }
  void await_resume() { task_->throw_if_cancelled(); }

 private:
  void wait(TaskBase& task, std::coroutine_handle<> handle) noexcept;
  static void cancel(Waiting& waiting, TaskBase& task) noexcept;

  TaskGroup& group_;
  TaskBase* task_ = nullptr;
};

}  // namespace detail

/// asyncio.TaskGroup, the scope. Entered by with(); movable until then. Task-affine: entered and
/// left by one task; other tasks of that loop may call create_task() and cancel().
class TaskGroup {
 public:
  TaskGroup() noexcept = default;
  TaskGroup(TaskGroup&& other) noexcept;
  TaskGroup& operator=(TaskGroup&&) = delete;
  ~TaskGroup();

  /// Makes a task of this loop that belongs to the group. Everything that takes a Coro takes any
  /// awaitable. Errors: RuntimeError when the group is not entered, shutting down or finished, and
  /// on another loop: then the coroutine is destroyed without having run. Suspends: never. As:
  /// TaskGroup.create_task.
  template <typename T>
  Task<T> create_task(Coro<T> coro, TaskOptions options = {},
                      std::source_location site = std::source_location::current()) {
    require_open();
    std::unique_ptr<detail::GroupChild> child(new detail::GroupChild(*this));
    Task<T> task = rota::create_task(std::move(coro), options, site);
    adopt(std::move(child), *task.base());
    return task;
  }
  template <Awaitable A>
  auto create_task(A awaitable, TaskOptions options = {},
                   std::source_location site = std::source_location::current()) {
    return create_task(detail::as_coro(std::move(awaitable)), options, site);
  }
  /// The same for a callable and its arguments, which the task keeps: safe for lambdas that
  /// capture.
  template <typename Function, typename... Args>
    requires std::invocable<Function, Args...> && Awaitable<std::invoke_result_t<Function, Args...>>
  auto create_task(Function function, Args... args) {
    return create_task(detail::invoke_coro(std::move(function), std::move(args)...));
  }

  /// Cancels the children and the body: the scope ends without CancelledError. Before entry: on
  /// entry. Afterwards: nothing. Thread: owner loop. Errors: RuntimeError on another loop. As:
  /// TaskGroup.cancel (3.15).
  void cancel();

  /// What with() calls. Errors: RuntimeError when entered before; outside a task.
  void aenter();
  /// Waits for the children. Gives true: what is left of `exception` is swallowed.
  /// Errors: ExceptionGroup of what the children and the body threw, CancelledErrors apart;
  /// CancelledError when the task was cancelled by somebody else; KeyboardInterrupt of a child or
  /// the body, bare.
  Coro<bool> aexit(std::exception_ptr exception);

 private:
  friend detail::GroupChild;
  friend detail::GroupWait;
  enum class State : std::uint8_t { created, active, exiting, finished };

  void require_open() const;
  void require_loop(const char* what) const;
  void adopt(std::unique_ptr<detail::GroupChild> child, detail::TaskBase& task) noexcept;
  void child_done(detail::GroupChild& child) noexcept;
  void remove(detail::GroupChild& child) noexcept;
  void abort() noexcept;
  void cancel_parent() noexcept;
  bool leave(std::exception_ptr exception, std::exception_ptr cancellation,
             const std::exception_ptr& pending);

  State state_ = State::created;
  bool aborting_ = false;           ///< The children were cancelled; before entry: they will be.
  bool parent_cancelled_ = false;   ///< By the group; taken back when it is left.
  std::uint64_t parent_epoch_ = 0;  ///< Of that cancel.
  detail::TaskBase* parent_ = nullptr;
  detail::TaskBase* waiting_ = nullptr;  ///< The parent, while it waits for the children.
  detail::GroupChild* first_ = nullptr;  ///< Children that have not reported, oldest first.
  detail::GroupChild* last_ = nullptr;
  std::vector<std::exception_ptr> errors_;
  std::exception_ptr base_error_;  ///< The first one that must leave bare.
};

}  // namespace rota
