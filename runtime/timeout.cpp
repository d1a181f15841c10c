#include <rota/detail/bound.hpp>
#include <rota/detail/frame_allocator.hpp>
#include <rota/detail/task_base.hpp>
#include <rota/error.hpp>
#include <rota/loop.hpp>
#include <rota/timeout.hpp>

#include <cassert>
#include <new>

namespace rota {

namespace detail {

/// A deadline that passed, in the ready queue behind what was ready before. On the heap, since the
/// scope may be left while this is queued: then it finds no scope.
class TimeoutExpiry final : public Runnable {
 public:
  static TimeoutExpiry* create(Timeout& scope) {
    return ::new (allocate_frame(sizeof(TimeoutExpiry))) TimeoutExpiry(scope);
  }
  void forget_scope() noexcept { scope_ = nullptr; }

 private:
  explicit TimeoutExpiry(Timeout& scope) noexcept
      : Runnable(&TimeoutExpiry::run_queued), scope_(&scope) {}

  static void run_queued(Runnable& node, bool dropped) noexcept {
    auto* const self = static_cast<TimeoutExpiry*>(&node);
    if (Timeout* const scope = self->scope_) {
      scope->expiry_ = nullptr;
      if (!dropped) scope->expire();
    }
    std::destroy_at(self);
    release_frame(self, sizeof(TimeoutExpiry));
  }

  Timeout* scope_;
};

}  // namespace detail

Timeout::Timeout(Timeout&& other) noexcept
    : TimerNode(&Timeout::due), state_(other.state_), has_deadline_(other.has_deadline_) {
  assert(state_ == State::created);  // others point to a scope that is entered
  TimerNode::when = other.TimerNode::when;
}

Timeout::~Timeout() { disarm(); }

void Timeout::expire_after(Duration delay) {
  const std::int64_t now = detail::require_running_loop().now();
  set_deadline(TimePoint(Duration(detail::deadline_after(now, delay))));
}

void Timeout::aenter() {
  if (state_ != State::created) throw RuntimeError("Timeout has already been entered");
  task_ = detail::running_loop != nullptr ? detail::running_loop->current_task : nullptr;
  if (task_ == nullptr) throw RuntimeError("Timeout should be used inside a task");
  state_ = State::active;
  cancelling_ = task_->cancelling();
  arm();
}

bool Timeout::aexit(const std::exception_ptr& exception) {
  disarm();
  if (state_ != State::expiring) {
    state_ = State::finished;
    return false;
  }
  state_ = State::expired;
  // Back at the count on entry: nobody else wants the task cancelled.
  if (task_->leave_scope(epoch_) > cancelling_ || !detail::is_cancelled_error(exception))
    return false;
  try {
    std::rethrow_exception(exception);
  } catch (const CancelledError&) {
    std::throw_with_nested(TimeoutError());
  }
}

void Timeout::reschedule(std::optional<TimePoint> when) {
  if (state_ == State::created) throw RuntimeError("Timeout has not been entered");
  if (state_ != State::active) {
    const char* const names[] = {"created", "active", "expiring", "expired", "finished"};
    throw RuntimeError(std::string("Cannot change state of ") + names[static_cast<int>(state_)] +
                       " Timeout");
  }
  if (!task_->owned_here()) detail::throw_wrong_loop("Timeout.reschedule", task_->core());
  disarm();
  has_deadline_ = false;
  if (when) set_deadline(*when);
  arm();
}

void Timeout::arm() {
  if (!has_deadline_) return;
  detail::LoopState& loop = *detail::running_loop;
  if (TimerNode::when <= loop.now()) {
    queue_expiry();
  } else {
    loop.timers.arm(*this);
  }
}

void Timeout::disarm() noexcept {
  if (armed()) detail::running_loop->timers.disarm(*this);
  if (expiry_ != nullptr) std::exchange(expiry_, nullptr)->forget_scope();
}

void Timeout::due(detail::TimerNode& node) noexcept {
  auto& self = static_cast<Timeout&>(node);
  try {
    self.queue_expiry();
  } catch (const std::bad_alloc&) {
    self.expire();  // ahead of others, but better than never
  }
}

void Timeout::queue_expiry() {
  expiry_ = detail::TimeoutExpiry::create(*this);
  detail::running_loop->ready.push(*expiry_);
}

void Timeout::expire() noexcept {
  state_ = State::expiring;
  epoch_ = task_->cancel_by_scope();
}

}  // namespace rota
