/// loop_close.cpp: the end of a loop, in the order of runtime/README.md, section 7.
#include <rota/detail/completion_wait.hpp>
#include <rota/detail/task_base.hpp>
#include <rota/loop.hpp>
#include <rota/task.hpp>

#include "doorbell.hpp"
#include "ring.hpp"

#include <cstdio>
#include <unistd.h>

namespace rota {

namespace {

/// How long close() waits for other loops to let go of the tasks that wait for them. Loops that run
/// answer at once.
constexpr std::int64_t let_go_limit = 1'000'000'000;  // ns

/// How long close() waits for the kernel to end what was cancelled. A disk that does not answer
/// takes longer; nothing else.
constexpr std::int64_t settle_limit = 5'000'000'000;  // ns

}  // namespace

std::size_t EventLoop::cancel_all_tasks() noexcept {
  std::size_t cancelled = 0;
  // A task that is cancelled here changes the list only later, when the loop runs.
  for (detail::TaskBase* task = all_tasks; task != nullptr; task = task->next_task()) {
    if (task->cancel(nullptr)) ++cancelled;
  }
  return cancelled;
}

void EventLoop::close() {
  if (closed_ || closing) return;
  if (core->running()) throw RuntimeError("Cannot close a running event loop");
  if (enabled_) require_owner();
  closing = true;
  detail::LoopState* const outer = std::exchange(detail::running_loop, this);
  if (enabled_) {
    bring_home();
    settle_operations();
  }
  take_inbox();  // a task in it is dropped before abandon_tasks() ends it
  drop_queued();
  abandon_tasks();
  detail::answer_foreign_waiters(*this);
  while (services_ != nullptr) services_ = std::move(services_->next_);
  settle_operations();
  for (detail::Runnable* node = core->inbox().close(); node != nullptr;) {
    detail::Runnable& message = *std::exchange(node, node->next);
    message.run(message, true);
  }
  drop_queued();
  core->loop_closed();
  detail::running_loop = outer;
  if (ring_->in_flight() != 0) ring_->leak();
  doorbell_ = ring_->in_flight() != 0 ? (doorbell_.release(), nullptr) : nullptr;
  ring_ = nullptr;
  closed_ = true;
}

void EventLoop::bring_home() noexcept {
  const auto away = [this] { return waits_abroad + waits_shared > 0; };
  for (detail::TaskBase* task = all_tasks; away() && task != nullptr; task = task->next_task()) {
    if (task->held_outside > 0) task->cancel(nullptr);  // passed on, or taken out of its list
  }
  const std::int64_t limit = detail::real_kernel().now() + let_go_limit;
  // Whoever is no longer in a shared list, and not here yet, will be pushed a few instructions from
  // now: there is no limit for that, so a hand-over never meets a closed inbox.
  const auto worth_waiting = [this, limit] {
    return waits_shared > 0 || (waits_abroad > 0 && detail::real_kernel().now() < limit);
  };
  while (worth_waiting()) {
    ring_->reap();
    take_inbox();
    drop_queued();  // an answer among it lets go
    doorbell_->arm();
    if (worth_waiting() && core->announce_sleep()) {
      ring_->wait(limit - detail::real_kernel().now());
      core->awake();
    }
  }
}

void EventLoop::settle_operations() noexcept {
  doorbell_->stop();
  const std::int64_t limit = detail::real_kernel().now() + settle_limit;
  while (ring_->in_flight() != 0 && detail::real_kernel().now() < limit) {
    // In each round: what ends may have started something new.
    ring_->for_each_in_flight(
        [this](detail::Operation& operation) { ring_->cancel(operation, false); });
    ring_->wait(100'000'000);
    ring_->reap();
  }
}

void EventLoop::drop_queued() noexcept {
  while (!timers.empty()) {
    detail::TimerNode& timer = timers.pop();
    timer.fire(timer);  // makes something ready, which is dropped with the rest
  }
  while (!ready.empty()) {
    detail::Runnable& node = ready.pop();
    node.run(node, true);
  }
  while (!deferred.empty()) {
    detail::Runnable& node = deferred.pop();
    node.run(node, true);
  }
}

void EventLoop::abandon_tasks() noexcept {
  // A frame's destructors may end or make ready other tasks; so each round begins anew.
  for (detail::TaskBase* task = all_tasks; task != nullptr;) {
    if (task->leaked()) {
      task = task->next_task();
      continue;
    }
    task->abandon();
    // Those whom its end made ready may be the next to go, with their nodes: the queue lets go of
    // them first.
    drop_queued();
    task = all_tasks;
  }
}

void EventLoop::add_service(std::unique_ptr<detail::LoopService> service) {
  service->next_ = std::move(services_);
  services_ = std::move(service);
}

LoopStats EventLoop::stats() const noexcept {
  LoopStats stats;
  stats.loop_id = core->id();
  stats.tasks = tasks_alive;
  stats.ready_length = ready.size();
  stats.timers = timers.size();
  stats.steps_total = steps_total;
  stats.tasks_resumed_total = tasks_resumed_total;
  stats.wakes_total = core->wakes_total();
  if (ring_ == nullptr) return stats;  // closed
  const detail::RingCounters& ring = ring_->counters();
  stats.operations_in_flight = ring_->in_flight();
  stats.enters_total = ring.enters;
  stats.sleeps_total = ring.waits;
  stats.sqes_total = ring.sqes;
  stats.cqes_total = ring.cqes;
  return stats;
}

void EventLoop::dump(int fd) noexcept {
  dprintf(fd, "loop %lu: %zu ready, %zu timers, %lu steps\n",
          static_cast<unsigned long>(core->id()), ready.size(), timers.size(),
          static_cast<unsigned long>(steps_total));
  for (detail::TaskBase* task = all_tasks; task != nullptr; task = task->next_task())
    task->dump(fd);
  if (ring_ != nullptr) ring_->dump(fd);
}

// --- errors ---

void EventLoop::call_exception_handler(const ExceptionContext& context) noexcept {
  if (!exception_handler_) {
    default_exception_handler(context);
    return;
  }
  try {
    const ExceptionHandler handler = exception_handler_;  // it may replace itself
    handler(*this, context);
  } catch (...) {
    default_exception_handler({"Unhandled error in exception handler", std::current_exception()});
    default_exception_handler(context);
  }
}

void EventLoop::default_exception_handler(const ExceptionContext& context) noexcept {
  detail::write_report(context);
}

namespace detail {

void write_report(const ExceptionContext& context) noexcept {
  try {
    std::string text = "rota: " + context.message;
    if (!context.task_name.empty()) text += " (task '" + context.task_name + "')";
    if (context.exception) text += ": " + describe(context.exception);
    text += '\n';
    (void)!::write(STDERR_FILENO, text.data(), text.size());
  } catch (const std::exception&) {
    constexpr char text[] = "rota: an error could not be reported: out of memory\n";
    (void)!::write(STDERR_FILENO, text, sizeof text - 1);
  }
}

namespace {

/// A report on its way to the loop that it concerns.
struct ReportMessage : Runnable {
  explicit ReportMessage(ExceptionContext about)
      : Runnable(&ReportMessage::arrived), context(std::move(about)) {}
  static void arrived(Runnable& node, bool dropped) noexcept {
    const std::unique_ptr<ReportMessage> self(static_cast<ReportMessage*>(&node));
    if (dropped) {
      write_report(self->context);
    } else {
      loop_of(*running_loop).call_exception_handler(self->context);
    }
  }
  ExceptionContext context;
};

}  // namespace

void report_on_loop(LoopCore* core, ExceptionContext context) noexcept {
  auto* const message = new ReportMessage(std::move(context));
  if (core == nullptr || !core->post(*message)) ReportMessage::arrived(*message, true);
}

}  // namespace detail
}  // namespace rota
