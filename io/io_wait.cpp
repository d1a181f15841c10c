#include <rota/detail/io_wait.hpp>

#include <cassert>
#include <cerrno>
#include <unistd.h>

namespace rota::detail {

// --- the socket -------------------------------------------------------------------------------

void SocketState::close() noexcept {
  closed = true;
  for (IoWait* wait = in_flight_; wait != nullptr; wait = wait->next_) {
    // Elsewhere than on their loop nothing can be cancelled: the descriptor is closed when they
    // end.
    if (wait->task_->owned_here()) cancel_operation(loop_of(*running_loop), *wait, false);
  }
  close_if_idle();
}

void SocketState::close_if_idle() noexcept {
  if (!closed || in_flight_ != nullptr || fd < 0) return;
  // Outside of a loop it cannot be a simulated kernel's.
  if (running_loop != nullptr) {
    running_loop->kernel->close(fd);
  } else {
    ::close(fd);
  }
  fd = -1;
}

// --- the wait ---------------------------------------------------------------------------------

void IoWait::suspend(TaskBase& task, std::coroutine_handle<> leaf) noexcept {
  if (running_loop->budget <= 0) {
    task.queue_attempt(*this, leaf, &IoWait::run_attempt);
  } else {
    wait(task, leaf);
  }
}

void IoWait::wait(TaskBase& task, std::coroutine_handle<> leaf) noexcept {
  task_ = &task;
  if (!task.begin_wait(*this, leaf)) return;
  prepare(start_operation(loop_of(*running_loop), *this, socket_.fd));
  ++task.held_outside;
  link();
}

void IoWait::link() noexcept {
  previous_ = nullptr;
  next_ = socket_.in_flight_;
  if (next_ != nullptr) next_->previous_ = this;
  socket_.in_flight_ = this;
}

void IoWait::unlink() noexcept {
  (previous_ == nullptr ? socket_.in_flight_ : previous_->next_) = next_;
  if (next_ != nullptr) next_->previous_ = previous_;
}

void IoWait::on_settled() noexcept {
  unlink();
  --task_->held_outside;
  task_->queue_attempt(*this, task_->resume_point(), &IoWait::run_attempt);
  socket_.close_if_idle();
}

void IoWait::run_attempt(Runnable& node, bool dropped) noexcept {
  TaskBase& task = TaskBase::of_attempt(node);
  if (dropped) return;
  auto& self = static_cast<IoWait&>(task.attempted());
  if (self.socket_.closed) {
    self.succeed(-ECANCELED);
    task.resume_now();
  } else if (self.task_ != nullptr ? self.after_wait(task.cancel_due()) : self.attempt()) {
    task.resume_now();
  } else {
    self.wait(task, task.resume_point());
  }
}

void IoWait::cancel(Waiting& waiting, TaskBase& /*task*/) noexcept {
  cancel_operation(loop_of(*running_loop), static_cast<IoWait&>(waiting), true);
}

bool IoWait::succeed_unless_blocked(std::int64_t outcome) noexcept {
  return outcome != -EAGAIN && outcome != -EINTR && succeed(outcome);
}

std::int64_t IoWait::finish() {
  if (!has_outcome_) task_->throw_cancelled();
  if (outcome_ < 0) throw_os_error(static_cast<int>(-outcome_), name());
  if (task_ != nullptr) task_->overtake_cancel();
  return outcome_;
}

}  // namespace rota::detail
