/// kernel.hpp: everything that a loop asks of the machine, behind one pointer.
///
/// A loop, its ring and its streams reach the kernel, the clock and the doorbell only through this
/// class, chosen when the loop is made. So the same code runs over the real kernel, over a
/// simulated one that interprets the same SQEs, and over a clock that jumps. Results are the
/// kernel's own: >= 0 or a negative errno; `errno` is never used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

struct io_uring_params;
struct __kernel_timespec;

namespace rota::detail {

/// The memory that a ring shares with its kernel, as mapped by Kernel::ring_setup(). Index pointers
/// are the kernel's.
struct RingMemory {
  int fd = -1;
  unsigned features = 0;     ///< IORING_FEAT_*
  unsigned setup_flags = 0;  ///< IORING_SETUP_* as accepted
  unsigned sq_entries = 0;
  unsigned cq_entries = 0;
  unsigned* sq_head = nullptr;
  unsigned* sq_tail = nullptr;
  unsigned* sq_flags = nullptr;
  unsigned* sq_array = nullptr;
  void* sqes = nullptr;  ///< io_uring_sqe[sq_entries]
  unsigned* cq_head = nullptr;
  unsigned* cq_tail = nullptr;
  void* cqes = nullptr;   ///< io_uring_cqe[cq_entries]
  void* owner = nullptr;  ///< The kernel's own bookkeeping for ring_exit().
};

class Kernel {
 public:
  virtual ~Kernel() = default;

  // --- the ring ---
  /// io_uring_setup(2) and the mappings, which a forked child does not inherit. 0 or -errno; on
  /// failure nothing is left behind.
  virtual int ring_setup(unsigned entries, io_uring_params& params,
                         RingMemory& memory) noexcept = 0;
  /// io_uring_enter(2). `timeout`: relative, or null to wait without end; only used with
  /// IORING_ENTER_GETEVENTS and min_complete > 0 (the implementation adds IORING_ENTER_EXT_ARG).
  /// `fd` is the descriptor or, with IORING_ENTER_REGISTERED_RING in `flags`, the registered index.
  virtual int ring_enter(int fd, unsigned to_submit, unsigned min_complete, unsigned flags,
                         const __kernel_timespec* timeout) noexcept = 0;
  /// io_uring_register(2).
  virtual int ring_register(int fd, unsigned opcode, void* argument, unsigned count) noexcept = 0;
  /// Unmaps and closes. Nothing may be in flight.
  virtual void ring_exit(RingMemory& memory) noexcept = 0;

  // --- time ---
  /// Nanoseconds on a clock that never goes back (CLOCK_MONOTONIC, or a simulated one).
  virtual std::int64_t now() noexcept = 0;
  /// Asked by a loop that would otherwise sleep until `deadline` with nothing of the real world
  /// outstanding. A clock that jumps moves there and returns true; the real one returns false, and
  /// the loop sleeps.
  virtual bool jump_to(std::int64_t /*deadline*/) noexcept { return false; }

  /// Lets `nanoseconds` pass after a refusal that only time can cure (ENOMEM, EAGAIN). For the
  /// ring; rare.
  virtual void back_off(std::int64_t nanoseconds) noexcept = 0;

  // --- direct calls, tried before an operation is started; all non-blocking ---
  virtual std::int64_t send(int fd, const void* data, std::size_t bytes, int flags) noexcept = 0;
  virtual std::int64_t sendmsg(int fd, const void* message_header, int flags) noexcept = 0;
  virtual std::int64_t recv(int fd, void* data, std::size_t bytes, int flags) noexcept = 0;
  virtual int accept(int fd, void* address, unsigned* address_bytes, int flags) noexcept = 0;
  virtual int shutdown(int fd, int how) noexcept = 0;
  virtual int close(int fd) noexcept = 0;

  // --- the doorbell ---
  virtual int
  make_doorbell() noexcept = 0;  ///< A descriptor that the loop's ring polls, or -errno.
  virtual int ring_doorbell(
      int fd) noexcept = 0;  ///< Any thread, signal handlers too: makes it readable.
};

/// The machine we run on. Stateless; one for the process.
Kernel& real_kernel() noexcept;
/// The real kernel with a clock that starts at zero and moves only when its loop would sleep
/// (jump_to).
std::unique_ptr<Kernel> make_virtual_clock_kernel();

}  // namespace rota::detail
