#include <rota/error.hpp>
#include <rota/gather.hpp>

namespace rota::detail {

std::exception_ptr error_of_child(const GatherChild& child) {
  if (!child.abandoned()) return child.target()->operations().exception(*child.target());
  try {
    throw_abandoned(*child.target());
  } catch (...) {
    return std::current_exception();
  }
}

void GatherChild::reported(Runnable& node, bool dropped) noexcept {
  auto& child = static_cast<GatherChild&>(static_cast<LinkNode&>(node));
  Completable& outer = child.gather->outer();
  if (!dropped) child.gather->child_done(child);
  outer.release();  // the child's; all may be gone now
}

void GatherCore::start(GatherChild* children, std::size_t count) noexcept {
  children_ = children;
  count_ = count;
  unfinished_ = count;
  for (GatherChild* child = children; child != children + count; ++child) {
    if (child->target()->done()) continue;
    outer_.retain();
    child->start();
  }
  for (GatherChild* child = children; child != children + count; ++child) {
    if (!child->started()) child_done(*child);
  }
  if (count == 0) complete();
}

void GatherCore::child_done(GatherChild& child) noexcept {
  --unfinished_;
  child.target()->mark_retrieved();
  if (outer_.done()) return;
  const bool failed = child.abandoned() || child.target()->outcome() != Outcome::value;
  if (failed && !errors_are_results_) {
    fail(error_of_child(child));
  } else if (unfinished_ == 0) {
    all_done(child);
  }
}

void GatherCore::all_done(const GatherChild& last) noexcept {
  if (!cancel_requested_) {
    complete();
  } else if (!last.abandoned() && last.target()->outcome() == Outcome::cancelled) {
    fail(error_of_child(last));
  } else {
    fail(std::make_exception_ptr(CancelledError(cancel_message_)));
  }
}

bool GatherCore::cancel_children(const std::string* message) noexcept {
  bool any = false;
  for (GatherChild* child = children_; child != children_ + count_; ++child) {
    if (child->cancel_target(message)) any = true;
  }
  if (any) {
    cancel_requested_ = true;
    cancel_message_ = message != nullptr ? *message : std::string();
  }
  return any;
}

}  // namespace rota::detail
