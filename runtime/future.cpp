#include <rota/detail/bound.hpp>
#include <rota/future.hpp>
#include <rota/loop.hpp>

#include <memory>
#include <string>

namespace rota::detail {

void throw_wrong_loop(const char* what, std::uint64_t owner) {
  std::string text = std::string(what) + ": the object is bound to a different event loop (loop " +
                     std::to_string(owner) + "; here ";
  text += running_loop == nullptr ? "no loop runs"
                                  : "loop " + std::to_string(running_loop->core->id()) + " runs";
  if (running_loop != nullptr && running_loop->current_task != nullptr) {
    text += ", task '" + running_loop->current_task->name() + "'";
  }
  throw RuntimeError(text + ")");
}

void throw_wrong_loop(const char* what, const LoopCore* owner) {
  throw_wrong_loop(what, owner->id());
}

void LoopBound::bind(LoopCore* here, const char* operation) {
  std::uint64_t owner = 0;
  if (here == nullptr) {
    owner = owner_.load(std::memory_order_relaxed);  // as in use()
    if (owner == 0) return;  // nobody can wait in it yet: nothing to be hurt
  } else if (owner_.compare_exchange_strong(owner, here->id(), std::memory_order_relaxed,
                                            std::memory_order_relaxed) ||
             owner == here->id()) {
    return;  // relaxed: only the number must be agreed upon
  }
  throw_wrong_loop(operation, owner);
}

FutureBase::~FutureBase() {
  if (LoopCore* const owner = core()) owner->release();
}

void FutureBase::require_pending() const {
  if (done()) throw InvalidStateError("invalid state: the future is done already");
}

void FutureBase::bind(const char* operation, bool awaited) {
  LoopCore* const here = running_core();
  LoopCore* owner = core();
  if (owner == nullptr) {
    if (here == nullptr) return;  // outside of every loop: allowed, without binding
    here->retain();
    // release: pairs with the acquire in core(). The winner's loop owns the future from here on.
    if (core_.compare_exchange_strong(owner, here, std::memory_order_acq_rel,
                                      std::memory_order_acquire))
      return;
    here->release();
    if (awaited) return;  // awaiting is allowed from every loop
  }
  if (owner == here) return;
  // Outside of its loop's runs, on its loop's thread: nobody else is at it.
  if (here == nullptr && owner->at_rest_for_this_thread()) return;
  throw_wrong_loop(operation, owner);
}

bool FutureBase::cancel_requested(std::string* message) noexcept {
  const EnteredLoop entered(core());
  const std::unique_ptr<std::string> text(message);
  if (done()) return false;
  result_base().exception =
      std::make_exception_ptr(CancelledError(text == nullptr ? std::string() : std::move(*text)));
  finish(Outcome::cancelled, 0);
  return true;
}

namespace {

/// A cancel on its way to a future of another loop.
struct CancelMessage : Runnable {
  CancelMessage(FutureBase& target, std::string* text) noexcept
      : Runnable(&CancelMessage::arrived), future(target), message(text) {
    future.retain();
  }
  static void arrived(Runnable& node, bool dropped) noexcept {
    const std::unique_ptr<CancelMessage> self(static_cast<CancelMessage*>(&node));
    if (dropped) {
      delete self->message;
    } else {
      self->future.cancel_requested(self->message);
    }
    self->future.release();
  }

  FutureBase& future;
  std::string* message;
};

}  // namespace

bool FutureBase::cancel_any(Completable& completable, std::string* message) noexcept {
  auto& future = static_cast<FutureBase&>(completable);
  if (future.owned_here()) return future.cancel_requested(message);
  auto* const node = new CancelMessage(future, message);
  if (!future.core()->post(*node)) CancelMessage::arrived(*node, true);
  return false;  // whether it comes in time is not known here: the caller's cancel stays due
}

}  // namespace rota::detail
