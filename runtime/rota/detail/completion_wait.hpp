/// completion_wait.hpp: waiting for a task or future of this loop or of another one.
///
/// On the owner's thread the waiter is linked at once. Elsewhere a *link* message goes to the
/// owner, who links the waiter, or answers at once when the outcome is there; the answer is the
/// waiting task's own node in its own inbox. A cancel is passed on to what is awaited, and the
/// waiter stays linked until that is done (asyncio's rule), so it is never unlinked from outside.
#pragma once

#include <rota/detail/completion_link.hpp>
#include <rota/detail/promise.hpp>

#include <coroutine>
#include <cstdint>
#include <utility>

namespace rota::detail {

/// Base of the awaiters of tasks and futures.
class CompletionWait : public Waiting, public CompletionLink {
 public:
  bool await_ready() noexcept { return target_->done() && spend_budget(*running_loop); }

  /// False: go on at once. Errors: RuntimeError (a task awaits itself; the future's loop is
  /// closed).
  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle) {
    TaskBase& task = *handle.promise().task;
    if (target_->done()) {  // the budget is spent
      task.queue_attempt(*this, handle, &CompletionWait::attempt);
      return true;
    }
    return wait(task, handle);
  }

 protected:
  /// Takes over one reference to `target`.
  explicit CompletionWait(Completable* target) noexcept
      : Waiting(&CompletionWait::cancel), CompletionLink(target, &CompletionWait::notified) {}
  CompletionWait(CompletionWait&& other) noexcept
      : Waiting(&CompletionWait::cancel),
        CompletionLink(std::exchange(other.target_, nullptr), &CompletionWait::notified) {}
  ~CompletionWait() {
    // Still linked here: the frame is destroyed while its task waits (the loop closes).
    if (task_ != nullptr && !abroad_ && !abandoned_ && !target_->done()) [[unlikely]] {
      target_->waiters().remove(*this);
    }
  }

  /// First thing in await_resume. Errors: CancelledError; RuntimeError when the awaited loop
  /// closed.
  void finish_wait() {
    if (task_ != nullptr) [[likely]] {
      if (abroad_) task_->come_home(*running_loop);
      task_->throw_if_cancelled();
      if (passed_on_) [[unlikely]]
        check_passed_on();
    }
    if (abandoned_) [[unlikely]]
      throw_abandoned(*target_);
    target_->mark_retrieved();
  }

 private:
  bool wait(TaskBase& task, std::coroutine_handle<> handle);
  static void attempt(Runnable& node, bool dropped) noexcept;
  static void notified(Waiter& waiter, bool abandoned) noexcept;
  static void cancel(Waiting& waiting, TaskBase& task) noexcept;
  void check_passed_on() noexcept;

  TaskBase* task_ = nullptr;  ///< Set once it really waits.
  std::uint32_t passed_epoch_ =
      0;  ///< In which epoch the cancel was passed on; valid with passed_on_.
  bool passed_on_ = false;
  bool abroad_ = false;  ///< Linked, or on the way to be linked, on another loop.
};

}  // namespace rota::detail
