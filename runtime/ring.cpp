#include "ring.hpp"

#include "sanitizer.hpp"
#include "uring_compat.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <unistd.h>
#include <utility>

namespace rota::detail {
namespace {

constexpr unsigned retry_backoff_max = 64;
constexpr std::int64_t nanoseconds_in_millisecond = 1'000'000;

// What enter may say in normal life; anything else means that our own memory or descriptor is
// broken.
bool is_normal(int result) noexcept {
  switch (result) {
    case -EINTR:   // a signal; nothing was done
    case -ETIME:   // the time limit
    case -EAGAIN:  // no memory for requests: SQEs stay where they are
    case -ENOMEM:  // the same, from the task's first enter
    case -EBUSY:   // the completion queue is full and more is held back: reap first
      return true;
    default:
      return result >= 0;
  }
}

void report_abnormal(int result) noexcept {
  if (result ==
      -EBADR) {  // the kernel found no memory to hold a completion back, and has dropped it
    ::dprintf(STDERR_FILENO, "rota: io_uring has lost completions: the machine is out of memory\n");
    return;
  }
  if (result == -EEXIST)
    die("rota: a loop's ring was used by another thread than the one that runs the loop: "
        "io_uring_enter: EEXIST\n");
  ::dprintf(STDERR_FILENO, "rota: io_uring_enter failed: %s\n", ::strerrordesc_np(-result));
  die("rota: the ring is unusable\n");
}

}  // namespace

// --- submission -------------------------------------------------------------------------------

void Ring::publish_sqes() noexcept {
  if constexpr (thread_sanitizer) {
    for (unsigned i = std::atomic_ref(*memory_.sq_tail).load(std::memory_order_relaxed);
         i != sq_tail_; ++i) {
      const auto& sqe = static_cast<io_uring_sqe*>(memory_.sqes)[i & (memory_.sq_entries - 1)];
      if ((sqe.user_data & tag_mask) == tag_operation)
        annotate_given_to_kernel(reinterpret_cast<void*>(sqe.user_data));
    }
  }
  // release: pairs with the kernel's acquire of the tail in io_sqring_entries(); publishes the SQEs
  // before it.
  std::atomic_ref(*memory_.sq_tail).store(sq_tail_, std::memory_order_release);
}

void Ring::publish_cq_head() noexcept {
  // release: pairs with the kernel's read of the head before it fills a slot again; our reads of
  // the CQEs are done.
  std::atomic_ref(*memory_.cq_head).store(cq_head_, std::memory_order_release);
}

int Ring::enter(unsigned min_complete, unsigned flags, const __kernel_timespec* timeout) noexcept {
  check_process();
  assert(owner_ == std::this_thread::get_id() && "enable() first, and stay on that thread");
  publish_cq_head();  // room first: what overflows ends multishot operations
  publish_sqes();
  // Relaxed, here and below: the kernel writes these two within our own enters, on this thread, or
  // they are a hint.
  const unsigned flagged = std::atomic_ref(*memory_.sq_flags).load(std::memory_order_relaxed);
  if ((flagged & IORING_SQ_CQ_OVERFLOW) != 0) ++counters_.overflows;
  const int result =
      kernel_.ring_enter(enter_fd_, prepared(), min_complete, flags | enter_flags_, timeout);
  const unsigned submitted = std::atomic_ref(*memory_.sq_head).load(std::memory_order_relaxed);
  counters_.sqes += submitted - std::exchange(sq_submitted_, submitted);
  ++counters_.enters;
  if (!is_normal(result)) report_abnormal(result);
  return result;
}

void Ring::make_room() noexcept {
  enter(0, 0,
        nullptr);  // submits only: no deferred work, so nothing completes in here that need not
  while (prepared() == memory_.sq_entries) {
    // Refused: no memory for a request until others have ended. Hooks may not run in the middle of
    // whoever prepares an SQE, so what completes is put aside. (Without memory for that, the
    // process ends: noexcept.)
    set_aside_completions();
    enter(0, IORING_ENTER_GETEVENTS, nullptr);
    if (prepared() == memory_.sq_entries) kernel_.back_off(nanoseconds_in_millisecond);
  }
}

void Ring::enter_nowait() noexcept {
  if (retry_due()) repeat_missed_cancels();
  enter(0, IORING_ENTER_GETEVENTS, nullptr);
}

void Ring::wait(std::int64_t timeout_ns) noexcept {
  if (timeout_ns == 0 || has_completions()) return enter_nowait();
  if (retry_due()) repeat_missed_cancels();
  // A target that slipped away from its cancel may come to rest without a CQE: do not sleep past
  // the repetition.
  const bool limited = needs_retry();
  if (limited) {
    const std::int64_t limit = retry_backoff_ * nanoseconds_in_millisecond;
    timeout_ns = timeout_ns < 0 ? limit : std::min(timeout_ns, limit);
  }
  constexpr std::int64_t second = 1'000'000'000;
  const __kernel_timespec time{timeout_ns / second, timeout_ns % second};
  const unsigned no_iowait = features_.no_iowait ? uring::enter_no_iowait : 0;
  ++counters_.waits;
  enter(1, IORING_ENTER_GETEVENTS | no_iowait, timeout_ns < 0 ? nullptr : &time);
  if (limited && !has_completions()) retry_countdown_ = 0;
}

// --- completion -------------------------------------------------------------------------------

Ring::Completion Ring::take_completion() noexcept {
  const auto& cqe = static_cast<io_uring_cqe*>(memory_.cqes)[cq_head_ & (memory_.cq_entries - 1)];
  ++cq_head_;
  return {cqe.user_data, cqe.res, cqe.flags};
}

void Ring::set_aside_completions() noexcept {
  // acquire: pairs with the kernel's release of the tail in io_commit_cqring(); the CQEs before it
  // are written.
  const unsigned tail = std::atomic_ref(*memory_.cq_tail).load(std::memory_order_acquire);
  while (cq_head_ != tail) aside_.push_back(take_completion());
}

unsigned Ring::reap() noexcept {
  assert(!reaping_ && "hooks must not reap");
  reaping_ = true;
  unsigned count = 0;
  // By index: a hook that needs an SQE may cause more to be set aside.
  for (; count < aside_.size(); ++count) dispatch(Completion(aside_[count]));
  aside_.clear();
  // acquire: pairs with the kernel's release of the tail in io_commit_cqring(); the CQEs before it
  // are written.
  const unsigned tail = std::atomic_ref(*memory_.cq_tail).load(std::memory_order_acquire);
  // By distance: the same hook moves the head, maybe past this tail.
  for (; static_cast<int>(tail - cq_head_) > 0; ++count) dispatch(take_completion());
  publish_cq_head();
  counters_.cqes += count;
  if (needs_retry() && retry_countdown_ > 0) --retry_countdown_;
  reaping_ = false;
  return count;
}

void Ring::dispatch(const Completion& completion) noexcept {
  const std::uint64_t tag = completion.user_data & tag_mask;
  if (tag == tag_ignore) return;
  auto& operation = *reinterpret_cast<Operation*>(completion.user_data & ~std::uint64_t{tag_mask});
  annotate_back_from_kernel(&operation);
  if (tag == tag_cancel) return cancel_done(operation, completion.result);
  // Also for zero-copy sends: their first CQE says MORE, the notification does not.
  const bool last = (completion.flags & IORING_CQE_F_MORE) == 0;
  if (last) operation.target_done_ = true;
  operation.on_result(completion.result, completion.flags);
  if (last) one_done(operation);
}

void Ring::one_done(Operation& operation) noexcept {
  if (--operation.pending_ != 0) return;
  if (std::exchange(operation.cancel_missed_, false)) {
    unlink(missed_cancels_, operation);
    retry_backoff_ = 1;
  } else {
    unlink(in_flight_, operation);
  }
  --in_flight_count_;
  operation.on_settled();  // it may be gone after this
}

void Ring::unlink(Operation*& list, Operation& operation) noexcept {
  Operation*& from_before = operation.previous_in_flight_ == nullptr
                                ? list
                                : operation.previous_in_flight_->next_in_flight_;
  from_before = operation.next_in_flight_;
  if (operation.next_in_flight_ != nullptr)
    operation.next_in_flight_->previous_in_flight_ = operation.previous_in_flight_;
  operation.next_in_flight_ = operation.previous_in_flight_ = nullptr;
}

// --- cancellation -----------------------------------------------------------------------------

void Ring::cancel(Operation& operation, bool for_task) noexcept {
  if (!operation.in_flight() || operation.target_done_) return;  // its outcome is decided
  operation.cancelled_by_task_ |= for_task;
  if (std::exchange(operation.cancel_requested_, true)) return;
  send_cancel(operation);
}

void Ring::send_cancel(Operation& operation) noexcept {
  // SQEs are taken in their order, so this also finds an operation that is still in the submission
  // queue.
  const auto address = reinterpret_cast<std::uintptr_t>(&operation);
  io_uring_sqe& sqe = take_sqe(address | tag_cancel);
  io_uring_prep_cancel64(&sqe, address | tag_operation, 0);
  ++operation.pending_;
  ++counters_.cancels_sent;
}

void Ring::cancel_done(Operation& operation, int result) noexcept {
  assert(result >= 0 || result == -ENOENT || result == -EALREADY);
  if (result < 0 && !operation.target_done_) {
    // Not found: between two states (a multishot being re-armed), or its CQE is on the way.
    // Already: it runs on a worker thread. Either its CQE comes, or the cancel is needed again.
    if (!needs_retry()) retry_countdown_ = retry_backoff_;
    unlink(in_flight_, operation);
    link(missed_cancels_, operation);
    operation.cancel_missed_ = true;
  }
  one_done(operation);
}

void Ring::repeat_missed_cancels() noexcept {
  retry_backoff_ = std::min(2 * retry_backoff_, retry_backoff_max);
  while (missed_cancels_ != nullptr) {
    Operation& operation = *missed_cancels_;
    unlink(missed_cancels_, operation);
    link(in_flight_, operation);
    operation.cancel_missed_ = false;
    send_cancel(operation);
    ++counters_.cancels_retried;
  }
}

}  // namespace rota::detail
