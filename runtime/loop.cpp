/// loop.cpp: a loop's making, its step, its sleep. runtime/README.md, section 4. Its end:
/// loop_close.cpp.
#include <rota/detail/cpu.hpp>
#include <rota/detail/debug.hpp>
#include <rota/detail/operation.hpp>
#include <rota/detail/task_base.hpp>
#include <rota/loop.hpp>

#include "doorbell.hpp"
#include "ring.hpp"

#include <algorithm>
#include <cassert>

namespace rota {

namespace {

detail::RingOptions ring_options(const LoopOptions& options) {
  detail::RingOptions ring;
  ring.sq_entries = options.ring_entries;
  ring.cq_entries = options.completion_entries;
  ring.features = options.feature_mask;
  return ring;
}

}  // namespace

EventLoop::EventLoop(LoopOptions options) : spin_(options.spin), debug_(options.debug) {
  kernel = options.kernel != nullptr ? options.kernel : &detail::real_kernel();
  ring_ = std::make_unique<detail::Ring>(*kernel, ring_options(options));
  core = detail::make_loop_core(*kernel, this);
  doorbell_ = std::make_unique<Doorbell>(*this);
  detail::register_loop(*this);
  if (!options.fairness) budget_refill = std::numeric_limits<std::int32_t>::max();
}

EventLoop::~EventLoop() {
  assert(!is_running());
  detail::unregister_loop(*this);
  close();
  core->fold_references();
}

void EventLoop::require_own_thread() const {
  if (!is_running() || detail::running_loop == this) return;
  throw RuntimeError(
      "Non-thread-safe operation: this event loop runs on another thread; use "
      "call_soon_threadsafe");
}

void EventLoop::require_open() const {
  if (closed_ || closing) throw RuntimeError("Event loop is closed");
}

TimerHandle EventLoop::arm(std::int64_t when, detail::Callback& callback) {
  callback.when = when;
  TimerHandle handle(&callback);
  try {
    timers.arm(callback);
  } catch (...) {
    callback.release();  // the queue's
    throw;
  }
  return handle;
}

bool TimerHandle::cancel() const noexcept {
  if (!callback_->cancel()) return false;
  // Outside of a run, or under another loop, it stays, without its callable, until it is due.
  if (detail::running_loop != nullptr && detail::running_loop->timers.holds(*callback_)) {
    detail::running_loop->timers.disarm(*callback_);
    callback_->release();  // the queue's
  }
  return true;
}

Handle LoopHandle::post(detail::Callback& callback) const {
  Handle handle(&callback);
  if (core_ == detail::running_core()) {
    detail::running_loop->ready.push(callback);
  } else if (!core_->post(callback)) {
    detail::Callback::run_queued(callback, true);
    throw RuntimeError("Event loop is closed");
  }
  return handle;
}

// --- running ---

void EventLoop::begin_run() {
  require_open();
  if (core->running()) throw RuntimeError("This event loop is already running");
  if (detail::running_loop != nullptr) {
    throw RuntimeError("Cannot run the event loop while another loop is running");
  }
  if (!enabled_) {
    ring_->enable();
    enabled_ = true;
    core->set_owner();
  }
  require_owner();
  core->set_running(true);
  detail::running_loop = this;
  doorbell_->arm();
}

void EventLoop::require_owner() const {
  if (core->owned_by_this_thread()) return;
  throw RuntimeError(
      "This event loop belongs to the thread that ran it first (its ring takes no other)");
}

void EventLoop::end_run() noexcept {
  if (ring_->wants_enter()) ring_->enter_nowait();  // nothing that was prepared is left behind
  detail::running_loop = nullptr;
  core->set_running(false);
  stopping_ = false;
}

void EventLoop::run_forever() {
  begin_run();
  struct EndRun {
    EventLoop& loop;
    ~EndRun() { loop.end_run(); }
  } end_run{*this};
  do {
    step();
    if (until_ != nullptr) {
      if ((*until_)()) break;
    } else if (interrupt_ != 0) [[unlikely]] {
      throw KeyboardInterrupt(std::exchange(interrupt_, 0));
    }
  } while (!stopping_);
}

void EventLoop::run_until(const std::function<bool()>& done, std::int64_t deadline) noexcept {
  if (done()) return;
  const Duration left(deadline - detail::real_kernel().now());
  bool over = false;
  const TimerHandle stop_at_deadline = call_later(left, [this, &over] {
    over = true;
    stop();
  });
  until_ = &done;
  do {
    run_forever();  // a stop() of the user's is not the end
  } while (!over && !done());
  until_ = nullptr;
  detail::running_loop = this;  // for the cancel: the timer is ours
  stop_at_deadline.cancel();
  detail::running_loop = nullptr;
}

void EventLoop::step() {
  ++steps_total;
  const std::shared_ptr<const LoopHooks> hooks = hooks_;  // they may be replaced while they run
  if (hooks != nullptr && hooks->before_step) hooks->before_step(*this);
  poll_kernel();  // 1. the only call that blocks: not if something is ready
  if (ring_->has_completions()) ring_->reap();     // 2. makes tasks ready; resumes none of them
  if (!core->inbox().looks_empty()) take_inbox();  // 3. what other threads handed over
  if (!timers.empty()) fire_timers();              // 4. what is due
  run_ready(ready.size());                         // 5. the snapshot: what becomes ready now waits
  if (hooks != nullptr && hooks->after_step) hooks->after_step(*this);
}

void EventLoop::poll_kernel() {
  if (ready.empty() && deferred.empty() && !stopping_ && !ring_->has_completions() &&
      core->inbox().looks_empty()) {
    sleep_until_work();
  } else if (ring_->wants_enter()) {
    ring_->enter_nowait();
  }
}

void EventLoop::sleep_until_work() {
  std::int64_t timeout = -1;
  if (!timers.empty()) {
    timeout = timers.earliest() - now();
    if (timeout <= 0) {
      if (ring_->wants_enter()) ring_->enter_nowait();
      return;
    }
  }
  if (const std::shared_ptr<const LoopHooks> hooks = hooks_; hooks != nullptr && hooks->on_idle) {
    hooks->on_idle(*this);
    if (stopping_ || !ready.empty()) return;
    if (!timers.empty())
      timeout = std::max<std::int64_t>(timers.earliest() - now(), 0);  // it may have armed one
  }
  if (spin_for_work() || !ready.empty() || !deferred.empty()) return;
  if (!core->announce_sleep()) return;
  if (timeout > 0 && only_doorbell_in_flight() && kernel->jump_to(timers.earliest())) {
    if (ring_->wants_enter()) ring_->enter_nowait();
  } else {
    ring_->wait(timeout);
  }
  core->awake();
}

bool EventLoop::spin_for_work() noexcept {
  if (spin_.count() == 0) return false;
  if (ring_->wants_enter()) ring_->enter_nowait();
  const std::int64_t end = now() + spin_.count();
  do {
    if (ring_->has_completions() || !core->inbox().looks_empty()) return true;
    if (ring_->wants_enter()) {
      ring_->enter_nowait();
      return true;
    }
    if (!timers.empty() && timers.earliest() <= now()) return true;
    detail::relax_cpu();
  } while (now() < end);
  return false;
}

bool EventLoop::only_doorbell_in_flight() const noexcept {
  return holds_ == 0 && waits_abroad == 0 &&
         ring_->in_flight() <= (doorbell_->in_flight() ? 1u : 0u);
}

void EventLoop::take_inbox() noexcept {
  detail::Runnable* node = core->inbox().take_all();
  while (node != nullptr) ready.push(*std::exchange(node, node->next));
}

void EventLoop::fire_timers() noexcept {
  const std::int64_t time = now();
  while (!timers.empty() && timers.earliest() <= time) {
    detail::TimerNode& timer = timers.pop();
    timer.fire(timer);
  }
}

void EventLoop::run_ready(std::size_t count) noexcept {
  if (!deferred.empty()) run_deferred();  // of hooks, and of what was reaped
  for (; count > 0; --count) {
    detail::Runnable& node = ready.pop();
    node.run(node, false);
    if (!deferred.empty()) run_deferred();
  }
}

void EventLoop::run_deferred() noexcept {
  while (!deferred.empty()) {
    detail::Runnable& node = deferred.pop();
    node.run(node, false);
  }
}

// --- running until something is done ---

namespace {

/// Stops the loop when what it waits for is done, through the ready queue: so the done callbacks
/// that were there before have run when run_until_complete returns. Ends itself when it has run;
/// whoever made it may withdraw it before.
class StopWhenDone final : public detail::Waiter, public detail::Runnable {
 public:
  StopWhenDone(EventLoop& loop, StopWhenDone*& maker) noexcept
      : Waiter(&StopWhenDone::notified),
        Runnable(&StopWhenDone::stop_loop),
        loop_(&loop),
        maker_(&maker) {
    maker = this;
  }
  void withdraw(detail::Completable& completable) noexcept {
    *maker_ = nullptr;
    if (queued_) {
      loop_ = nullptr;  // it ends itself when its turn comes
    } else {
      completable.waiters().remove(*this);
      delete this;
    }
  }

 private:
  static void notified(Waiter& waiter, bool) noexcept {
    auto& self = static_cast<StopWhenDone&>(waiter);
    self.queued_ = true;
    detail::running_loop->ready.push(self);
  }
  static void stop_loop(Runnable& node, bool) noexcept {
    auto& self = static_cast<StopWhenDone&>(node);
    if (self.loop_ != nullptr) {
      self.loop_->stop();
      *self.maker_ = nullptr;
    }
    delete &self;
  }

  EventLoop* loop_;  ///< Null once it is withdrawn.
  StopWhenDone** maker_;
  bool queued_ = false;
};

}  // namespace

void EventLoop::run_until_done(detail::Completable& completable) {
  if (completable.core() != nullptr && completable.core() != core) {
    throw ValueError("The future belongs to a different event loop than the one that is to run it");
  }
  if (completable.done()) return;
  struct Stop {
    detail::Completable& completable;
    StopWhenDone* waiter = nullptr;
    ~Stop() {
      if (waiter != nullptr) waiter->withdraw(completable);
    }
  } stop{completable};
  completable.waiters().push(*new StopWhenDone(*this, stop.waiter));
  run_forever();
  if (!completable.done()) throw RuntimeError("Event loop stopped before Future completed.");
}

EventLoop& get_running_loop() { return detail::loop_of(detail::require_running_loop()); }

namespace detail {

LoopState& require_running_loop() {
  if (running_loop == nullptr) throw RuntimeError("no running event loop");
  return *running_loop;
}

io_uring_sqe& start_operation(EventLoop& loop, Operation& operation, int fd) noexcept {
  return loop.ring().prepare(operation, fd);
}

void cancel_operation(EventLoop& loop, Operation& operation, bool for_task) noexcept {
  loop.ring().cancel(operation, for_task);
}

int register_buffer_ring(EventLoop& loop, void* memory, unsigned entries,
                         unsigned short group) noexcept {
  return loop.ring().register_buffer_ring(memory, entries, group);
}

int unregister_buffer_ring(EventLoop& loop, unsigned short group) noexcept {
  return loop.ring().unregister_buffer_ring(group);
}

}  // namespace detail
}  // namespace rota
