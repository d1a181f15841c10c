#include <rota/detail/completion_watch.hpp>
#include <rota/loop.hpp>

#include <cassert>
#include <memory>
#include <new>

namespace rota::detail {

void CompletionWatch::start() noexcept {
  LoopState& here = *running_loop;
  here.core->retain();
  home_ = here.core;
  if (target_->core() == home_) {
    assert(!target_->done());
    link_here();
    return;
  }
  abroad_ = true;
  loop_of(here).add_hold();
  if (!link_abroad()) {
    abroad_ = false;
    loop_of(here).remove_hold();
    abandoned_ = !target_->done();
    answer();
  }
}

void CompletionWatch::notified(Waiter& waiter, bool abandoned) noexcept {
  auto& self = static_cast<CompletionWatch&>(waiter);
  self.leave_list(abandoned);
  self.answer();
}

void CompletionWatch::answer() noexcept {
  LinkNode& node = *this;
  node.run = abroad_ ? &CompletionWatch::came_home : report_;
  LoopState* const loop = running_loop;
  if (loop != nullptr && loop->core == home_) {
    loop->ready.push(node);
    return;
  }
  // The core must outlive the wake-up that follows the push: once pushed, the watch may be gone.
  LoopCore* const home = home_;
  home->retain();
  if (!home->post(node)) node.run(node, true);
  home->release();
}

void CompletionWatch::came_home(Runnable& node, bool dropped) noexcept {
  auto& self = static_cast<CompletionWatch&>(static_cast<LinkNode&>(node));
  if (running_core() == self.home_) loop_of(*running_loop).remove_hold();
  self.report_(node, dropped);
}

namespace {

/// Null when there is no memory for it: a cancel without its text is better than none.
std::string* copy_text(const std::string* text) noexcept {
  try {
    return text != nullptr ? new std::string(*text) : nullptr;
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

}  // namespace

bool CompletionWatch::cancel_target(const std::string* message) noexcept {
  if (target_->done()) return false;
  if (target_->operations().cancel(*target_, copy_text(message))) return true;
  return !target_->done() && !target_->owned_here();
}

/// Unlinks a watch on the loop of its target.
struct CompletionWatch::StopMessage : Runnable {
  StopMessage(CompletionWatch& stopped, Completable& kept) noexcept
      : Runnable(&StopMessage::arrived), watch(stopped), keeper(kept) {
    keeper.retain();
  }
  static void arrived(Runnable& node, bool) noexcept {
    const std::unique_ptr<StopMessage> self(static_cast<StopMessage*>(&node));
    CompletionWatch& watch = self->watch;
    if (watch.listed()) {
      watch.target_->waiters().remove(watch);
      notified(watch, true);
    }
    self->keeper.release();
  }

  CompletionWatch& watch;
  Completable& keeper;
};

bool CompletionWatch::stop(Completable& keeper) noexcept {
  if (!abroad_) {
    if (!listed()) return false;  // the report is queued
    leave_list(false);
    target_->waiters().remove(*this);
    return true;
  }
  auto* const message = new (std::nothrow) StopMessage(*this, keeper);
  if (message != nullptr && !target_->core()->post(*message)) {
    delete message;  // closed: it has let go, and the report is queued
    keeper.release();
  }
  return false;
}

}  // namespace rota::detail
