#include <rota/threadsafe/detail/future_state.hpp>

#include <string>

namespace rota::threadsafe::detail {

using rota::detail::Callback;
using rota::detail::SharedWaiter;
using rota::detail::SpinLock;

// --- the outcome ------------------------------------------------------------------------------

bool FutureBase::claim() noexcept {
  const auto next = [](State state) {
    return state == pending ? std::optional<State>(claimed) : std::nullopt;
  };
  if (guard_.change(next)) return true;
  SpinLock::Guard guard(guard_);  // somebody else has claimed it, or is only looking
  if (guard.state != pending) return false;
  guard.state = claimed;
  return true;
}

void FutureBase::publish(Outcome outcome) noexcept {
  outcome_ = outcome;
  rota::detail::Turn turn(guard_);
  waiters_.grant_all(turn.wakes);
  turn.guard.state = is_done;
}

std::exception_ptr FutureBase::exception() {
  if (!done()) throw InvalidStateError("Exception is not set.");
  mark_retrieved();
  const std::exception_ptr& exception = result_base().exception;
  if (outcome_ == Outcome::cancelled) std::rethrow_exception(exception);
  return exception;
}

bool FutureBase::cancel(std::string* message) noexcept {
  const std::unique_ptr<std::string> text(message);
  if (!claim()) return false;
  result_base().exception =
      std::make_exception_ptr(CancelledError(text == nullptr ? std::string() : std::move(*text)));
  publish(Outcome::cancelled);
  return true;
}

void FutureBase::cancel_by(rota::detail::TaskBase& task) noexcept {
  // A copy of the text: if the future does not accept, the cancel stays due, with its text.
  const std::unique_ptr<std::string> message(task.take_message());
  if (cancel(message == nullptr ? nullptr : new std::string(*message))) {
    task.pass_cancel_on();
  } else if (message != nullptr) {
    task.put_message_back(std::move(*message));
  }
}

void FutureBase::report_if_unretrieved() noexcept {
  // relaxed: whoever has written it has given his reference back since.
  if (outcome_ != Outcome::exception || retrieved_.load(std::memory_order_relaxed)) return;
  rota::detail::report_on_loop(
      rota::detail::running_core(),
      ExceptionContext("Future exception was never retrieved", result_base().exception));
}

FutureBase::~FutureBase() {
  // Only done callbacks can be left: a task or thread that waits keeps the future.
  while (SharedWaiter* const waiter = waiters_.first()) {
    waiters_.unlink(*waiter);
    DoneCallback::run_posted(static_cast<DoneCallback&>(*waiter), true);
  }
}

// --- done callbacks ---------------------------------------------------------------------------

CallbackId FutureBase::add_done_callback(Callback& callback) {
  static constinit rota::detail::atomic<std::uint64_t> next_id{1};
  // relaxed: only the numbers must differ.
  const CallbackId id{next_id.fetch_add(1, std::memory_order_relaxed)};
  DoneCallback* waiter = nullptr;
  try {
    waiter = new DoneCallback(*this, callback, id);  // ends itself
  } catch (...) {
    Callback::run_queued(callback, true);
    throw;
  }
  rota::detail::Turn turn(guard_);
  waiters_.link(*waiter);
  if (turn.guard.state == is_done) waiters_.grant(*waiter, turn.wakes);
  return id;
}

bool FutureBase::remove_done_callback(CallbackId id) {
  DoneCallback* found = nullptr;
  {
    const SpinLock::Guard guard(guard_);
    SharedWaiter* waiter = waiters_.first();
    for (; waiter != nullptr && found == nullptr; waiter = waiter->next())
      found = DoneCallback::with_id(*waiter, id);
    if (found == nullptr) return false;
    waiters_.unlink(*found);
  }
  DoneCallback::run_posted(*found, true);
  return true;
}

void DoneCallback::to_loop(SharedWaiter& waiter, rota::detail::Wakes& wakes) noexcept {
  auto& self = static_cast<DoneCallback&>(waiter);
  self.kept_ = self.future_.shared_from_this();  // not before, or they would keep each other
  if (self.loop_.core() == rota::detail::running_core()) {
    rota::detail::running_loop->ready.push(self);
  } else {
    wakes.post(*self.loop_.core(), self);
  }
}

void DoneCallback::run_posted(Runnable& node, bool dropped) noexcept {
  const std::unique_ptr<DoneCallback> self(static_cast<DoneCallback*>(&node));
  Callback::run_queued(self->callback_, dropped);
}

}  // namespace rota::threadsafe::detail
