/// operation.hpp: one request to the kernel, from its SQE to its last CQE.
///
/// An Operation lives where its buffers live: in an awaiter inside the waiting coroutine's frame,
/// or in a loop-affine heap object (multishot). It belongs for life to the loop that started it.
/// Rules that everything rests on:
///   1. It may be destroyed or started again only when it is idle: before start, or from
///   on_settled() on.
///   2. on_settled() comes exactly once for each start, after the terminal CQE *and* after the CQE
///   of every cancel
///      that was sent for it. So whoever waits for it is made ready only then, and a late CQE
///      cannot hit a reused slot.
///   3. Both hooks run while the loop reaps: they store and make ready, and never resume a task or
///   run user code.
/// All members are for the owner loop's thread only.
#pragma once

#include <rota/detail/immovable.hpp>

#include <cstdint>

struct io_uring_sqe;

namespace rota {
class EventLoop;
}

namespace rota::detail {

class Ring;

class Operation : Immovable {
 public:
  /// `name` is a literal, shown in dumps: "recv", "accept".
  explicit Operation(const char* name) noexcept : name_(name) {}

  bool in_flight() const noexcept { return pending_ != 0; }
  const char* name() const noexcept { return name_; }
  int fd() const noexcept {
    return fd_;
  }  ///< The descriptor it works on, for dumps; -1 when it has none.

  /// The CQE's `res` of the last on_result(): >= 0, or a negative errno, untouched.
  int result() const noexcept { return result_; }
  /// A cancel was sent because the waiting *task* was cancelled: only then is -ECANCELED that
  /// task's cancellation.
  bool cancelled_by_task() const noexcept { return cancelled_by_task_; }

 protected:
  virtual ~Operation() = default;  // virtual for g++ only, which warns of any other beside a friend

  /// One CQE of the operation itself. Multishot: one call per CQE, IORING_CQE_F_MORE in `flags`
  /// while more will come.
  virtual void on_result(int result, std::uint32_t /*flags*/) noexcept { result_ = result; }
  /// Nothing of this operation is with the kernel any more.
  virtual void on_settled() noexcept = 0;

  int result_ = 0;

 private:
  friend class Ring;
  friend io_uring_sqe& start_operation(EventLoop&, Operation&, int) noexcept;
  friend void cancel_operation(EventLoop&, Operation&, bool) noexcept;

  // Written by the ring (owner thread). pending_: CQEs still to come that end something: 1 for the
  // operation, + 1 for each cancel sent. target_done_: the operation's own terminal CQE was seen
  // (only cancels are left).
  std::uint16_t pending_ = 0;
  bool target_done_ = false;
  bool cancel_requested_ = false;  ///< A cancel is kept or sent; further requests change nothing.
  bool cancelled_by_task_ = false;
  bool cancel_missed_ =
      false;  ///< The cancel found nothing while we are still out: it will be sent again.
  int fd_ = -1;
  const char* name_;
  // One of the ring's two lists: of what is in flight (for dumps and the final drain), or of missed
  // cancels.
  Operation* next_in_flight_ = nullptr;
  Operation* previous_in_flight_ = nullptr;
};

/// Takes an SQE for `operation` (there always is one: a full queue is flushed first) and counts it
/// as in flight. The caller fills the SQE with an io_uring_prep_* function at once and leaves
/// user_data alone. It is submitted with everything else of this step. `operation` must be idle;
/// `fd` is noted for dumps. Thread: owner loop.
io_uring_sqe& start_operation(EventLoop& loop, Operation& operation, int fd) noexcept;

/// Asks the kernel to end `operation`. Idempotent; does nothing when it is not in flight. The
/// outcome is decided by the operation's own CQE: it may still succeed. `for_task`: the waiting
/// task was cancelled (see cancelled_by_task()). Thread: owner loop.
void cancel_operation(EventLoop& loop, Operation& operation, bool for_task) noexcept;

/// Gives the loop's ring a ring of provided buffers: page-aligned `memory` of `entries` (a power of
/// two) struct io_uring_buf, alive until unregistered. 0 or -errno. Thread: owner loop.
int register_buffer_ring(EventLoop& loop, void* memory, unsigned entries,
                         unsigned short group) noexcept;
int unregister_buffer_ring(EventLoop& loop, unsigned short group) noexcept;

}  // namespace rota::detail
