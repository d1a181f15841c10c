#include <rota/detail/completion_link.hpp>
#include <rota/error.hpp>

namespace rota::detail {

void CompletionLink::linked(Runnable& node, bool dropped) noexcept {
  auto& self = static_cast<CompletionLink&>(static_cast<LinkNode&>(node));
  // A closing loop still ends its tasks: until it answers everybody, a link is linked even by a
  // message that is dropped.
  const bool too_late = dropped && (running_loop == nullptr || running_loop->answered);
  if (self.target_->done() || too_late) {
    self.abandoned_ = !self.target_->done();
    self.notify(self, self.abandoned_);  // self may be gone
  } else {
    self.link_here();
  }
}

void CompletionLink::link_here() noexcept {
  listed_ = true;
  previous_ = nullptr;
  LinkNode*& first = running_loop->foreign_waiters;
  LinkNode::next = first;
  if (first != nullptr) static_cast<CompletionLink*>(first)->previous_ = this;
  first = this;
  target_->waiters().push(*this);
}

void CompletionLink::unlist() noexcept {
  listed_ = false;
  auto* const following = static_cast<CompletionLink*>(static_cast<LinkNode*>(LinkNode::next));
  if (following != nullptr) following->previous_ = previous_;
  if (previous_ != nullptr) {
    previous_->LinkNode::next = following;
  } else {
    running_loop->foreign_waiters = following;
  }
}

void answer_foreign_waiters(LoopState& loop) noexcept {
  loop.answered = true;
  while (LinkNode* first = loop.foreign_waiters) {
    auto& waiter = *static_cast<CompletionLink*>(first);
    waiter.target_->waiters().remove(waiter);
    waiter.notify(waiter, true);
  }
}

void throw_abandoned(const Completable& target) {
  throw RuntimeError(std::string(target.operations().kind) +
                     " will never be done: its event loop is closed");
}

}  // namespace rota::detail
