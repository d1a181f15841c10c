/// completion_link.hpp: the waiter of a task or future that may belong to another loop.
///
/// From elsewhere a *link* message goes to the loop of the target; there the waiter is linked, or
/// answered at once when the outcome is known. Links stand also in a list of that loop, so that
/// closing it answers everybody. From the sending of the message until the answer the link belongs
/// to the target's loop.
#pragma once

#include <rota/detail/completable.hpp>
#include <rota/detail/loop_state.hpp>

#include <utility>

namespace rota::detail {

struct LinkNode : Runnable {
  using Runnable::Runnable;
};

/// Base of those who wait. Their `notify` calls leave_list() first, and then hands the answer on.
class CompletionLink : public Waiter, public LinkNode {
 public:
  Completable* target() const noexcept { return target_; }
  /// The target's loop closed, and it will never be done. Written by that loop before the answer.
  bool abandoned() const noexcept { return abandoned_; }
  /// In the list of the target's loop. For that loop's thread.
  bool listed() const noexcept { return listed_; }
  void leave_list(bool abandoned) noexcept {
    if (!listed_) return;
    abandoned_ = abandoned;
    unlist();
  }

 protected:
  /// Takes over one reference to `target`.
  CompletionLink(Completable* target, Notify function) noexcept
      : Waiter(function), LinkNode(&CompletionLink::linked), target_(target) {}
  ~CompletionLink() {
    if (target_ != nullptr) target_->release();
  }

  /// Asks the target's loop to link it. False: that loop is closed; what it did before is seen
  /// here.
  [[nodiscard]] bool link_abroad() noexcept {
    LinkNode::run = &CompletionLink::linked;
    return target_->core()->post(static_cast<LinkNode&>(*this));
  }
  /// On the target's loop: waits for it, and for the end of the loop.
  void link_here() noexcept;
  Completable* target_;
  bool abandoned_ = false;

 private:
  friend void answer_foreign_waiters(LoopState& loop) noexcept;
  static void linked(Runnable& node, bool dropped) noexcept;
  void unlist() noexcept;

  bool listed_ = false;
  CompletionLink* previous_ =
      nullptr;  ///< In the loop's list; LinkNode::next is the forward pointer.
};

/// The loop closes: whoever waits by a link for one of its pending futures is told so.
void answer_foreign_waiters(LoopState& loop) noexcept;

/// Why an abandoned link has no outcome. Errors: RuntimeError.
[[noreturn]] void throw_abandoned(const Completable& target);

}  // namespace rota::detail
