/// ring.hpp: one loop's io_uring; nothing else reads or writes SQEs and CQEs.
///
/// A ring is made on any thread, disabled, and belongs to the thread that enables it: prepare,
/// cancel, enter, wait and reap are for that thread only (the kernel refuses others). In each step
/// of its loop:
///   1. prepare() and cancel() fill SQEs; nothing is submitted yet (unless the queue is full).
///   2. enter_nowait() or wait(): one system call that submits all of them, and lets the kernel run
///   deferred work.
///   3. reap() hands every CQE to its Operation, under the rules of operation.hpp.
/// user_data is the address of the operation, and in its low bits what kind of CQE it is; see Tag.
/// An operation stays in the ring's list until it is settled, and the ring may not end before that:
/// the kernel writes into the memory of what is in flight even after its ring was closed. Source:
/// io_uring(7), io_uring_setup(2), io_uring_enter(2).
#pragma once

#include <rota/detail/immovable.hpp>
#include <rota/detail/kernel.hpp>
#include <rota/detail/operation.hpp>

#include "fork.hpp"

#include <liburing.h>

#include <atomic>
#include <cassert>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

namespace rota::detail {

struct SystemFacts;

/// What newer kernels than Linux 6.1 (or other configurations) offer; none of it is needed for
/// correctness.
struct Features {
  static constexpr std::uint32_t all = ~std::uint32_t{0};
  // Bits of RingOptions::features.
  static constexpr std::uint32_t taskrun_flag_bit = 1u << 0;
  static constexpr std::uint32_t registered_ring_bit = 1u << 1;
  static constexpr std::uint32_t no_iowait_bit = 1u << 2;
  static constexpr std::uint32_t bundle_bit = 1u << 3;

  bool taskrun_flag = false;     ///< The kernel says in memory when there is deferred work to run.
  bool registered_ring = false;  ///< enter by registered index: saves 40 ns. 16 slots in a thread.
  bool no_iowait = false;        ///< 6.15: a sleeping loop does not count as waiting for a disk.
  bool bundle = false;  ///< One CQE for several provided buffers, without the bugs of before 6.15.
};

struct RingOptions {
  unsigned sq_entries = 256;   ///< What one step prepares at most without a system call in between.
  unsigned cq_entries = 4096;  ///< 84 KiB of locked memory with this; an overflow ends multishots.
  std::uint32_t features =
      Features::all;  ///< Features to use if they are there: tests stand in for older kernels.
  SystemFacts (*read_facts)() =
      nullptr;  ///< For the text of a StartupError; null: read_system_facts().
};

/// Since the ring was made. Written by the owner thread.
struct RingCounters {
  std::uint64_t enters = 0;           ///< io_uring_enter(2) calls, waiting ones included.
  std::uint64_t waits = 0;            ///< Those that were allowed to sleep.
  std::uint64_t sqes = 0;             ///< Submitted.
  std::uint64_t cqes = 0;             ///< Dispatched.
  std::uint64_t overflows = 0;        ///< Enters that found the completion queue overflown.
  std::uint64_t cancels_sent = 0;     ///< Repetitions included.
  std::uint64_t cancels_retried = 0;  ///< Repetitions.
};

class Ring : Immovable {
 public:
  /// Makes the ring, disabled. Thread: any. Errors: StartupError.
  Ring(Kernel& kernel, const RingOptions& options);
  /// Nothing may be in flight, or leak() was called. Best on the owner thread, while it still runs.
  ~Ring();

  /// Makes the calling thread the owner. Errors: StartupError.
  void enable();

  /// A zeroed SQE for `operation`, which is in flight from now on. Never fails: a full queue is
  /// submitted first. The caller fills it at once and leaves user_data alone. No hook of any
  /// operation runs in here.
  io_uring_sqe& prepare(Operation& operation, int fd) noexcept;
  /// An SQE whose CQE nobody waits for. It may refer to no memory that could die before its CQE.
  io_uring_sqe& prepare_ignored() noexcept;
  /// See cancel_operation(). No hook of any operation runs in here.
  void cancel(Operation& operation, bool for_task) noexcept;

  /// An enter has something to do: SQEs to submit, deferred work to run, an overflow to fetch, a
  /// cancel to repeat.
  bool wants_enter() const noexcept;
  /// reap() has something to do.
  bool has_completions() const noexcept;
  /// Submits and runs deferred work; does not sleep. The kernel runs 20 items of it in one enter:
  /// the rest stays flagged (wants_enter()) for the next step, so that a flood of completions does
  /// not hold up what is ready.
  void enter_nowait() noexcept;
  /// Submits and sleeps until there is a completion, a signal came, or `timeout_ns` (negative: no
  /// limit) passed; all of them are normal, and it may return early without reason.
  void wait(std::int64_t timeout_ns) noexcept;
  /// Hands on the completions that are there now. Returns how many CQEs it took.
  unsigned reap() noexcept;

  /// Operations that are not settled.
  unsigned in_flight() const noexcept { return in_flight_count_; }
  /// Some cancel was missed and will be sent again. wait() limits itself while this holds.
  bool needs_retry() const noexcept { return missed_cancels_ != nullptr; }
  /// `visit` may cancel the operation it is given and no other; it starts none.
  template <typename Visit>
  void for_each_in_flight(Visit visit);
  /// Names what is in flight, a line for each. Async-signal-safe as far as dprintf(3) is.
  void dump(int fd) const noexcept;
  /// For a shutdown whose time is over while operations are still out: gives up the ring's memory
  /// and descriptor for good, and says so on standard error. Their buffers must be given up
  /// likewise.
  void leak() noexcept;

  /// 0 or -errno. `memory`: page-aligned, `entries` (a power of two) of struct io_uring_buf, alive
  /// until unregistered.
  int register_buffer_ring(void* memory, unsigned entries, unsigned short group) noexcept;
  int unregister_buffer_ring(unsigned short group) noexcept;

  Kernel& kernel() const noexcept { return kernel_; }
  const Features& features() const noexcept { return features_; }
  const RingCounters& counters() const noexcept { return counters_; }
  unsigned sq_entries() const noexcept { return memory_.sq_entries; }
  unsigned cq_entries() const noexcept { return memory_.cq_entries; }

 private:
  /// The low bits of user_data: an Operation is aligned to 8.
  enum Tag : std::uint64_t { tag_operation = 0, tag_ignore = 1, tag_cancel = 2, tag_mask = 7 };
  struct Completion {
    std::uint64_t user_data;
    std::int32_t result;
    std::uint32_t flags;
  };

  int set_up(const RingOptions& options) noexcept;
  void register_descriptor() noexcept;
  void check_process() const noexcept;
  io_uring_sqe& take_sqe(std::uint64_t user_data) noexcept;
  void make_room() noexcept;
  unsigned prepared() const noexcept { return sq_tail_ - sq_submitted_; }
  int enter(unsigned min_complete, unsigned flags, const __kernel_timespec* timeout) noexcept;
  void publish_sqes() noexcept;
  void publish_cq_head() noexcept;
  unsigned completions_ready() const noexcept;
  Completion take_completion() noexcept;
  void set_aside_completions() noexcept;
  void dispatch(const Completion& completion) noexcept;
  void one_done(Operation& operation) noexcept;
  void cancel_done(Operation& operation, int result) noexcept;
  void send_cancel(Operation& operation) noexcept;
  void repeat_missed_cancels() noexcept;
  bool retry_due() const noexcept { return needs_retry() && retry_countdown_ == 0; }
  static void link(Operation*& list, Operation& operation) noexcept;
  static void unlink(Operation*& list, Operation& operation) noexcept;

  Kernel& kernel_;
  RingMemory memory_;
  Features features_;
  RingCounters counters_;
  const unsigned generation_;  ///< fork_generation when it was made.
  std::thread::id owner_;      ///< Of enable(); none before.
  bool leaked_ = false;
  bool reaping_ = false;

  int enter_fd_ = -1;         ///< The descriptor, or its registered index.
  unsigned enter_flags_ = 0;  ///< IORING_ENTER_REGISTERED_RING, if enter_fd_ is one.
  unsigned sq_tail_ = 0;  ///< Ours; what lies between *memory_.sq_tail and it is not published yet.
  unsigned sq_submitted_ = 0;  ///< *memory_.sq_head as of the last enter.
  unsigned cq_head_ = 0;  ///< Ours; *memory_.cq_head follows when we enter, or when reap() ends.

  std::vector<Completion>
      aside_;  ///< CQEs that had to be fetched where hooks may not run; older than the queue's.
  Operation* in_flight_ = nullptr;
  Operation* missed_cancels_ = nullptr;  ///< In flight too, but linked here.
  unsigned in_flight_count_ = 0;
  unsigned retry_backoff_ =
      1;  ///< 1, 2, 4 ... 64: steps, or milliseconds asleep, until missed cancels are repeated.
  unsigned retry_countdown_ = 0;  ///< Steps left.
};

// --- inline: what every operation and every step passes ---

// Before whatever reads or writes the ring's memory, which a forked child does not have.
inline void Ring::check_process() const noexcept {
  // Relaxed: see fork_generation.
  if (generation_ != fork_generation.load(std::memory_order_relaxed)) [[unlikely]]
    die_in_forked_child();
}

inline io_uring_sqe& Ring::take_sqe(std::uint64_t user_data) noexcept {
  check_process();
  assert(owner_ == std::thread::id() || owner_ == std::this_thread::get_id());
  if (prepared() == memory_.sq_entries) [[unlikely]]
    make_room();
  io_uring_sqe& sqe = static_cast<io_uring_sqe*>(memory_.sqes)[sq_tail_ & (memory_.sq_entries - 1)];
  ++sq_tail_;
  std::memset(&sqe, 0, sizeof sqe);
  sqe.user_data = user_data;
  return sqe;
}

inline io_uring_sqe& Ring::prepare(Operation& operation, int fd) noexcept {
  assert(!operation.in_flight());
  io_uring_sqe& sqe = take_sqe(reinterpret_cast<std::uintptr_t>(&operation) | tag_operation);
  operation.pending_ = 1;
  operation.target_done_ = false;
  operation.cancel_requested_ = false;
  operation.cancelled_by_task_ = false;
  operation.fd_ = fd;
  link(in_flight_, operation);
  ++in_flight_count_;
  return sqe;
}

inline io_uring_sqe& Ring::prepare_ignored() noexcept { return take_sqe(tag_ignore); }

inline bool Ring::wants_enter() const noexcept {
  check_process();
  if (prepared() != 0 || retry_due()) return true;
  if (!features_.taskrun_flag && in_flight_count_ != 0) return true;  // it would not tell
  // Relaxed: a hint; what it is about is read after the enter, a system call on this thread.
  const unsigned flags = std::atomic_ref(*memory_.sq_flags).load(std::memory_order_relaxed);
  return (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

inline unsigned Ring::completions_ready() const noexcept {
  // Relaxed: only counts; reap() reads the tail again before it looks at a CQE.
  return std::atomic_ref(*memory_.cq_tail).load(std::memory_order_relaxed) - cq_head_;
}

inline bool Ring::has_completions() const noexcept {
  check_process();
  return !aside_.empty() || completions_ready() != 0;
}

inline void Ring::link(Operation*& list, Operation& operation) noexcept {
  operation.previous_in_flight_ = nullptr;
  operation.next_in_flight_ = list;
  if (list != nullptr) list->previous_in_flight_ = &operation;
  list = &operation;
}

template <typename Visit>
void Ring::for_each_in_flight(Visit visit) {
  for (Operation* list : {in_flight_, missed_cancels_}) {
    for (Operation* next; list != nullptr; list = next) {
      next = list->next_in_flight_;
      visit(*list);
    }
  }
}

}  // namespace rota::detail
