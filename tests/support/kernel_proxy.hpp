/// kernel_proxy.hpp: a Kernel in front of another one, which makes calls fail and writes down what
/// was asked.
///
/// Over the real kernel as over the simulated one: what it injects is what the real one would
/// answer on a bad day.
#pragma once

#include <rota/detail/kernel.hpp>

#include <liburing.h>

#include <cstdint>
#include <deque>
#include <vector>

namespace rota::testing_support {

class KernelProxy : public detail::Kernel {
 public:
  struct Setup {
    unsigned sq_entries;
    unsigned cq_entries;
    unsigned flags;
  };

  explicit KernelProxy(detail::Kernel& target) : target_(target) {}

  // --- faults: each is used up by one call ---
  std::deque<int> setup_errors;  ///< 0: let this one through.
  std::deque<int> enter_errors;  ///< Instead of entering; 0: let this one through.
  unsigned cancels_to_miss = 0;  ///< These ASYNC_CANCELs are answered -ENOENT and find nothing.

  // --- what was asked ---
  std::vector<Setup> setups;
  std::vector<std::int64_t> back_offs;
  unsigned enter_flags = 0;  ///< Of all enters together.
  unsigned enters = 0;

  int ring_setup(unsigned entries, io_uring_params& params,
                 detail::RingMemory& memory) noexcept override {
    setups.push_back({entries, params.cq_entries, params.flags});
    if (const int error = take(setup_errors); error != 0) return error;
    const int result = target_.ring_setup(entries, params, memory);
    memory_ = memory;
    return result;
  }
  int ring_enter(int fd, unsigned to_submit, unsigned min_complete, unsigned flags,
                 const __kernel_timespec* timeout) noexcept override {
    ++enters;
    enter_flags |= flags;
    if (const int error = take(enter_errors); error != 0) return error;
    misdirect_cancels(to_submit);
    return target_.ring_enter(fd, to_submit, min_complete, flags, timeout);
  }
  int ring_register(int fd, unsigned opcode, void* argument, unsigned count) noexcept override {
    return target_.ring_register(fd, opcode, argument, count);
  }
  void ring_exit(detail::RingMemory& memory) noexcept override { target_.ring_exit(memory); }
  std::int64_t now() noexcept override { return target_.now(); }
  bool jump_to(std::int64_t deadline) noexcept override { return target_.jump_to(deadline); }
  void back_off(std::int64_t nanoseconds) noexcept override { back_offs.push_back(nanoseconds); }
  std::int64_t send(int fd, const void* data, std::size_t bytes, int flags) noexcept override {
    return target_.send(fd, data, bytes, flags);
  }
  std::int64_t sendmsg(int fd, const void* message_header, int flags) noexcept override {
    return target_.sendmsg(fd, message_header, flags);
  }
  std::int64_t recv(int fd, void* data, std::size_t bytes, int flags) noexcept override {
    return target_.recv(fd, data, bytes, flags);
  }
  int accept(int fd, void* address, unsigned* address_bytes, int flags) noexcept override {
    return target_.accept(fd, address, address_bytes, flags);
  }
  int shutdown(int fd, int how) noexcept override { return target_.shutdown(fd, how); }
  int close(int fd) noexcept override { return target_.close(fd); }
  int make_doorbell() noexcept override { return target_.make_doorbell(); }
  int ring_doorbell(int fd) noexcept override { return target_.ring_doorbell(fd); }

 private:
  static int take(std::deque<int>& errors) {
    if (errors.empty()) return 0;
    const int error = errors.front();
    errors.pop_front();
    return error;
  }

  // A cancel that comes in the moment in which its target is in no list of the kernel finds
  // nothing. That moment cannot be had at will; a cancel with a wrong address is answered alike.
  void misdirect_cancels(unsigned count) {
    for (unsigned i = 0; i < count && cancels_to_miss > 0; ++i) {
      const unsigned slot = (*memory_.sq_head + i) & (memory_.sq_entries - 1);
      io_uring_sqe& sqe = static_cast<io_uring_sqe*>(memory_.sqes)[memory_.sq_array[slot]];
      if (sqe.opcode != IORING_OP_ASYNC_CANCEL) continue;
      sqe.addr = ~std::uint64_t{0};
      --cancels_to_miss;
    }
  }

  detail::Kernel& target_;
  detail::RingMemory memory_;  ///< Of the ring made last.
};

}  // namespace rota::testing_support
