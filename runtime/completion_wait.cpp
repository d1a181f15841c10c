#include <rota/detail/completion_wait.hpp>
#include <rota/error.hpp>

#include <memory>
#include <string>
#include <utility>

namespace rota::detail {

bool CompletionWait::wait(TaskBase& task, std::coroutine_handle<> handle) {
  if (target_ == static_cast<Completable*>(&task)) {
    throw RuntimeError("Task '" + task.name() + "' cannot await itself");
  }
  task.begin_wait_even_if_cancelled(*this, handle);
  task_ = &task;
  if (target_->owned_here()) {
    target_->waiters().push(*this);
  } else {
    abroad_ = true;
    task.go_outside(*running_loop, TaskBase::Outside::loop);
    if (!link_abroad()) {
      // The other loop is closed, and what it did before is seen here: its tasks are done, its
      // futures will never be.
      abroad_ = false;
      task.come_home(*running_loop);
      abandoned_ = !target_->done();
      task.requeue(handle);
      return true;
    }
  }
  if (task.cancel_due()) [[unlikely]]
    cancel(*this, task);
  return true;
}

void CompletionWait::attempt(Runnable& node, bool dropped) noexcept {
  TaskBase& task = TaskBase::of_attempt(node);
  if (!dropped) task.resume_now();  // it was done, and stays done
}

void CompletionWait::notified(Waiter& waiter, bool abandoned) noexcept {
  auto& self = static_cast<CompletionWait&>(waiter);
  self.leave_list(abandoned);
  self.task_->make_ready();  // self may be gone
}

void CompletionWait::cancel(Waiting& waiting, TaskBase& task) noexcept {
  auto& self = static_cast<CompletionWait&>(waiting);
  if (self.target_->done()) return;  // the answer is on its way; the await throws
  // A copy of the text: if the target does not accept, the cancel stays due here, with its text.
  const std::unique_ptr<std::string> message(task.take_message());
  std::string* const copy = message == nullptr ? nullptr : new std::string(*message);
  if (!self.target_->operations().cancel(*self.target_, copy)) {
    if (message != nullptr) task.put_message_back(std::move(*message));
  } else {
    self.passed_epoch_ = static_cast<std::uint32_t>(task.pass_cancel_on());
    self.passed_on_ = true;
  }
}

void CompletionWait::check_passed_on() noexcept {
  const bool overtaken = target_->outcome() == Outcome::value && target_->cancel_left();
  if (overtaken || abandoned_) task_->take_cancel_back(passed_epoch_);
}

}  // namespace rota::detail
