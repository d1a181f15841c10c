#include <rota/executor.hpp>
#include <rota/loop.hpp>

#include "executor_parts.hpp"

#include <cassert>
#include <exception>

namespace rota {
namespace detail {
namespace {

/// Code runs in `context`, on a thread that has one of its own.
class ContextEntered {
 public:
  explicit ContextEntered(ContextCell*& context) noexcept
      : context_(context), slot_(current_context_slot()), outer_(std::exchange(slot_, context)) {}
  ContextEntered(const ContextEntered&) = delete;
  ContextEntered& operator=(const ContextEntered&) = delete;
  ~ContextEntered() { context_ = std::exchange(slot_, outer_); }  // the call may have made one

 private:
  ContextCell*& context_;
  ContextCell*& slot_;
  ContextCell* outer_;
};

}  // namespace

ExecutorJob::~ExecutorJob() {
  rota::detail::release(context_);
  if (home_ != nullptr) home_->release();
}

void ExecutorJob::start(Executor& executor) {
  EventLoop& loop = loop_of(*running_loop);
  const auto give_up = [this] { future().release(); };
  if (loop.executors_closed) {
    give_up();
    throw RuntimeError("Executor shutdown has been called");
  }
  try {
    context_ = copy_cell(current_context_slot());
  } catch (...) {
    give_up();
    throw;
  }
  home_ = loop.core;
  home_->retain();
  executor_ = &executor;
  next_job_ = loop.executor_jobs;
  if (next_job_ != nullptr) next_job_->previous_job_ = this;
  loop.executor_jobs = this;
  loop.add_hold();
  executor.submitted_.fetch_add(1, std::memory_order_relaxed);
  // release: pairs with the acquire in perform() and refuse().
  handed_over_.store(true, std::memory_order_release);
  try {
    executor.execute(*this);
  } catch (...) {
    executor.submitted_.fetch_sub(1, std::memory_order_relaxed);
    leave_loop();
    give_up();
    throw;
  }
}

void ExecutorJob::perform() noexcept {
  // acquire: pairs with the release in start().
  [[maybe_unused]] const bool handed_over = handed_over_.load(std::memory_order_acquire);
  assert(handed_over);
  if (future().done()) {
    executor_->cancelled_.fetch_add(1, std::memory_order_relaxed);
  } else {
    executor_->running_.fetch_add(1, std::memory_order_relaxed);
    const std::int64_t begin = real_kernel().now();
    {
      const ContextEntered entered(context_);
      call();
    }
    executor_->run_nanoseconds_.fetch_add(real_kernel().now() - begin, std::memory_order_relaxed);
    executor_->running_.fetch_sub(1, std::memory_order_relaxed);
    executor_->finished_.fetch_add(1, std::memory_order_relaxed);
  }
  send_home();
}

void ExecutorJob::refuse(std::exception_ptr reason) noexcept {
  // acquire: pairs with the release in start().
  [[maybe_unused]] const bool handed_over = handed_over_.load(std::memory_order_acquire);
  executor_->cancelled_.fetch_add(1, std::memory_order_relaxed);
  fail(std::move(reason));
  send_home();
}

void ExecutorJob::send_home() noexcept {
  LoopCore* const home = home_;
  home->retain();                              // once posted, the job may be gone, and the loop too
  if (!home->post(*this)) future().release();  // the loop is closed: nobody else knows the job
  home->release();
}

void ExecutorJob::arrived(Runnable& node, bool dropped) noexcept {
  auto& job = static_cast<ExecutorJob&>(node);
  job.leave_loop();
  if (!dropped) job.conclude();
  job.future().release();
}

void ExecutorJob::leave_loop() noexcept {
  EventLoop& loop = loop_of(*running_loop);
  (previous_job_ == nullptr ? loop.executor_jobs : previous_job_->next_job_) = next_job_;
  if (next_job_ != nullptr) next_job_->previous_job_ = previous_job_;
  loop.remove_hold();
  if (loop.executor_jobs != nullptr || !loop.executors_closed || loop.closing) return;
  auto* const shutdown = loop.find_service<ExecutorShutdown>();
  if (shutdown != nullptr && !shutdown->emptied.done()) shutdown->emptied.set_result();
}

std::size_t stop_executor_jobs(LoopState& loop) noexcept {
  std::size_t count = 0;
  for (ExecutorJob* job = loop.executor_jobs; job != nullptr; job = job->next_job()) {
    job->request_stop();
    ++count;
  }
  return count;
}

}  // namespace detail

Executor& cpu_pool() {
  // Never destroyed: its threads may still compute when the process exits. Made here and not beside
  // the arena: there ThreadSanitizer would not see that the others wait for the first.
  static Executor* const pool = detail::make_cpu_pool();
  return *pool;
}

ExecutorStats Executor::stats() const noexcept {
  ExecutorStats stats;
  stats.finished_total = finished_.load(std::memory_order_relaxed);
  stats.cancelled_total = cancelled_.load(std::memory_order_relaxed);
  stats.running = running_.load(std::memory_order_relaxed);
  stats.run_time = std::chrono::nanoseconds(run_nanoseconds_.load(std::memory_order_relaxed));
  stats.submitted_total = submitted_.load(std::memory_order_relaxed);
  return stats;
}

}  // namespace rota
