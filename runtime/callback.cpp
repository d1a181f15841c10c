#include <rota/detail/bound.hpp>
#include <rota/detail/callback.hpp>
#include <rota/detail/completion_link.hpp>
#include <rota/loop.hpp>

#include <cassert>
#include <exception>

namespace rota::detail {

Callback::Callback(const Operations& operations, ContextCell* context,
                   std::uint32_t references) noexcept
    : Runnable(&Callback::run_queued),
      TimerNode(&Callback::timer_due),
      operations_(operations),
      context_(context),
      references_(references) {}

Callback::~Callback() { detail::release(context_); }

bool Callback::leave_pending(State to) noexcept {
  State expected = State::pending;
  // acq_rel: pairs with itself in cancel() and run_queued(): whoever leaves `pending` has the
  // callable to himself, and who comes later sees that he has.
  return state_.compare_exchange_strong(expected, to, std::memory_order_acq_rel,
                                        std::memory_order_acquire);
}

bool Callback::cancel() noexcept {
  if (!leave_pending(State::cancelled)) return false;
  operations_.destroy_callable(*this);
  return true;
}

void Callback::run_queued(Runnable& node, bool dropped) noexcept {
  auto& self = static_cast<Callback&>(node);
  if (dropped) {
    self.cancel();
  } else if (self.leave_pending(State::running)) {
    self.invoke();
    self.operations_.destroy_callable(self);
    // release: pairs with the acquire in cancelled(); relaxed would do, but the callable's end
    // belongs before it.
    self.state_.store(State::finished, std::memory_order_release);
  }
  self.release();
}

void Callback::invoke() noexcept {
  LoopState& loop = *running_loop;
  loop.context_slot = &context_;
  loop.transfers = transfer_limit;
  try {
    operations_.invoke(*this);
  } catch (...) {
    loop_of(loop).call_exception_handler({"Exception in callback", std::current_exception()});
  }
  loop.context_slot = nullptr;
}

void Callback::destroy() noexcept {
  if (leave_pending(State::cancelled)) operations_.destroy_callable(*this);
  operations_.deallocate(*this);
}

void Callback::timer_due(TimerNode& node) noexcept {
  running_loop->ready.push(static_cast<Callback&>(node));
}

namespace {

/// Links a callback into a waiter list. Holds a reference to the completable and one to the
/// callback. Closing the loop drops it, or a future that is never done and its callbacks would hold
/// each other for ever.
struct DoneWaiter final : CompletionLink {
  DoneWaiter(Completable& done, Callback& call, std::uint64_t number) noexcept
      : CompletionLink(&done, &DoneWaiter::notified), callback(call), id(number) {
    done.retain();
    link_here();
  }

  static void notified(Waiter& waiter, bool abandoned) noexcept {
    auto& self = static_cast<DoneWaiter&>(waiter);
    self.leave_list(abandoned);
    running_loop->ready.push(self.callback);
    delete &self;
  }

  Callback& callback;  ///< Its queue's reference, until it is queued.
  const std::uint64_t id;
};

}  // namespace

CallbackId add_done_waiter(Completable& completable, Callback& callback) {
  static constinit atomic<std::uint64_t> next_id{1};
  const std::uint64_t id =
      next_id.fetch_add(1, std::memory_order_relaxed);  // only the numbers must differ
  Handle handle(&callback);  // the second reference; dropped here, a done callback has no handle
  const EnteredLoop entered(completable.core());
  try {
    require_running_loop();
    if (!completable.done() && !completable.owned_here())
      throw_wrong_loop("add_done_callback", completable.core());
    if (!completable.done()) {
      new DoneWaiter(completable, callback, id);  // the waiter list's
      return CallbackId{id};
    }
  } catch (...) {
    Callback::run_queued(callback, true);  // the queue's reference: it will not be queued
    throw;
  }
  running_loop->ready.push(callback);
  return CallbackId{id};
}

bool remove_done_callback(Completable& completable, CallbackId id) {
  if (!completable.done() && !completable.owned_here()) {
    throw_wrong_loop("remove_done_callback", completable.core());
  }
  DoneWaiter* found = nullptr;
  WaiterList kept;
  WaiterList list = completable.waiters().take();
  while (!list.empty()) {
    Waiter& waiter = list.pop();
    auto* done =
        waiter.notify == &DoneWaiter::notified ? static_cast<DoneWaiter*>(&waiter) : nullptr;
    if (done != nullptr && CallbackId{done->id} == id) {
      found = done;
    } else {
      kept.push(waiter);
    }
  }
  completable.waiters() = kept;  // before anything of the user's is destroyed
  if (found == nullptr) return false;
  Callback& callback = found->callback;
  found->leave_list(false);
  delete found;
  Callback::run_queued(callback, true);
  return true;
}

}  // namespace rota::detail
