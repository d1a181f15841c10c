#include <rota/detail/bound.hpp>
#include <rota/error.hpp>
#include <rota/task_group.hpp>

#include <cassert>
#include <typeinfo>

namespace rota {

namespace detail {

void GroupChild::reported(Runnable& node, bool dropped) noexcept {
  const std::unique_ptr<GroupChild> child(static_cast<GroupChild*>(static_cast<LinkNode*>(&node)));
  if (child->group == nullptr) return;
  child->group->remove(*child);
  if (!dropped) child->group->child_done(*child);
}

void GroupWait::wait(TaskBase& task, std::coroutine_handle<> handle) noexcept {
  task_ = &task;
  if (task.begin_wait(*this, handle)) group_.waiting_ = &task;
}

void GroupWait::cancel(Waiting& waiting, TaskBase& task) noexcept {
  static_cast<GroupWait&>(waiting).group_.waiting_ = nullptr;
  task.make_ready();
}

namespace {

/// Leaves a group bare, as in asyncio; everything else is collected.
bool is_base_error(const std::exception_ptr& exception) noexcept {
  return exception &&
         *exception.__cxa_exception_type() == typeid(KeyboardInterrupt);  // libstdc++; final
}

}  // namespace
}  // namespace detail

TaskGroup::TaskGroup(TaskGroup&& other) noexcept
    : state_(other.state_), aborting_(other.aborting_) {
  assert(state_ == State::created);  // children point to a group that is entered
}

TaskGroup::~TaskGroup() {
  // Left behind only by a frame that is destroyed while it waits: the loop closes.
  for (detail::GroupChild* child = first_; child != nullptr; child = child->next)
    child->group = nullptr;
}

void TaskGroup::require_loop(const char* what) const {
  if (!parent_->owned_here()) detail::throw_wrong_loop(what, parent_->core());
}

void TaskGroup::require_open() const {
  if (state_ == State::created) throw RuntimeError("TaskGroup has not been entered");
  if (state_ == State::finished || (state_ == State::exiting && first_ == nullptr)) {
    throw RuntimeError("TaskGroup is finished");
  }
  if (aborting_) throw RuntimeError("TaskGroup is shutting down");
  require_loop("TaskGroup.create_task");
}

void TaskGroup::adopt(std::unique_ptr<detail::GroupChild> child, detail::TaskBase& task) noexcept {
  task.retain();
  child->hold(task);
  child->previous = last_;
  (last_ != nullptr ? last_->next : first_) = child.get();
  last_ = child.get();
  child.release()->start();
}

void TaskGroup::remove(detail::GroupChild& child) noexcept {
  (child.previous != nullptr ? child.previous->next : first_) = child.next;
  (child.next != nullptr ? child.next->previous : last_) = child.previous;
}

void TaskGroup::child_done(detail::GroupChild& child) noexcept {
  if (first_ == nullptr && waiting_ != nullptr) std::exchange(waiting_, nullptr)->make_ready();
  detail::Completable& task = *child.target();
  if (task.outcome() != detail::Outcome::exception) return;
  task.mark_retrieved();
  const std::exception_ptr& error = task.operations().exception(task);
  errors_.push_back(error);
  if (!base_error_ && detail::is_base_error(error)) base_error_ = error;
  if (aborting_) return;
  abort();
  cancel_parent();
}

void TaskGroup::abort() noexcept {
  aborting_ = true;
  for (detail::GroupChild* child = first_; child != nullptr; child = child->next)
    child->cancel_target(nullptr);
}

void TaskGroup::cancel_parent() noexcept {
  if (parent_cancelled_) return;
  parent_cancelled_ = true;
  parent_epoch_ = parent_->cancel_by_scope();
}

void TaskGroup::cancel() {
  if (state_ == State::created) {
    aborting_ = true;
    return;
  }
  if (state_ == State::finished || (state_ == State::exiting && first_ == nullptr)) return;
  require_loop("TaskGroup.cancel");
  if (aborting_) return;
  abort();
  cancel_parent();
}

void TaskGroup::aenter() {
  if (state_ != State::created) throw RuntimeError("TaskGroup has already been entered");
  parent_ = detail::require_running_loop().current_task;
  if (parent_ == nullptr) throw RuntimeError("TaskGroup cannot determine the parent task");
  state_ = State::active;
  if (aborting_) cancel_parent();
}

Coro<bool> TaskGroup::aexit(std::exception_ptr exception) {
  state_ = State::exiting;
  std::exception_ptr cancellation;
  if (exception) {
    if (detail::is_cancelled_error(exception)) cancellation = exception;
    if (!base_error_ && detail::is_base_error(exception)) base_error_ = exception;
    if (!aborting_) abort();
  }
  std::exception_ptr pending;
  while (first_ != nullptr) {
    try {
      co_await detail::GroupWait(*this);
    } catch (const CancelledError&) {
      pending = std::current_exception();
      if (!aborting_) {
        cancellation = pending;
        abort();
      }
    }
  }
  co_return leave(std::move(exception), std::move(cancellation), pending);
}

bool TaskGroup::leave(std::exception_ptr exception, std::exception_ptr cancellation,
                      const std::exception_ptr& pending) {
  state_ = State::finished;
  detail::TaskBase& parent = *std::exchange(parent_, nullptr);
  std::vector<std::exception_ptr> errors = std::move(errors_);
  const std::exception_ptr base_error = std::move(base_error_);
  if (parent_cancelled_) {
    if (parent.leave_scope(parent_epoch_) == 0) {
      cancellation = nullptr;
    } else if (!cancellation) {
      cancellation = pending;  // what is left of the count is not ours
    }
  }
  if (base_error) std::rethrow_exception(base_error);
  if (cancellation && errors.empty()) std::rethrow_exception(cancellation);
  if (exception && !detail::is_cancelled_error(exception)) errors.push_back(std::move(exception));
  if (errors.empty()) return true;
  // Errors win over a cancel from outside. It was delivered inside the group: due again, the next
  // await sees it.
  if (parent.cancelling() > 0) {
    parent.uncancel();
    parent.cancel(nullptr);
  }
  throw ExceptionGroup("unhandled errors in a TaskGroup", std::move(errors));
}

}  // namespace rota
