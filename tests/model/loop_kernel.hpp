/// loop_kernel.hpp: what a whole EventLoop needs to run under the explorer: the simulated kernel,
/// with a sleep that the model's other threads can end.
#pragma once

#include <rota/loop.hpp>

#include "fork.hpp"
#include "model/explorer.hpp"
#include "support/no_kernel.hpp"
#include "support/sim_kernel.hpp"

#include <liburing.h>

#include <cerrno>

namespace rota::model {

inline const ThreadLocal running_loop(rota::detail::running_loop);

/// Orders nothing between its callers: rota must not lean on what a kernel happens to do.
class LoopKernel final : public testing_support::NoKernel {
 public:
  LoopKernel() {
    rota::detail::fork_generation.never_changes();  // and every use of a ring looks at it
  }

  /// For loops that run over it.
  LoopOptions options() {
    LoopOptions options;
    options.kernel = this;
    options.ring_entries = 4;
    options.completion_entries = 8;
    return options;
  }

  int ring_setup(unsigned entries, io_uring_params& params,
                 rota::detail::RingMemory& memory) noexcept override {
    const NotUnderTest ours;
    const int result = sim_.ring_setup(entries, params, memory);
    memory_ = memory;
    return result;
  }
  int ring_enter(int fd, unsigned to_submit, unsigned min_complete, unsigned flags,
                 const __kernel_timespec* timeout) noexcept override {
    const NotUnderTest ours;
    const int submitted = sim_.ring_enter(fd, to_submit, 0, flags, nullptr);
    if (submitted < 0 || *memory_.cq_tail - *memory_.cq_head >= min_complete) return submitted;
    if (timeout != nullptr) return -ETIME;  // there is no time here: every limit is soon over
    wait_until([this] { return rings_.load(std::memory_order_relaxed) != heard_; });
    ++heard_;
    return sim_.ring_enter(fd, 0, 0, flags, nullptr);
  }
  int ring_register(int fd, unsigned opcode, void* argument, unsigned count) noexcept override {
    const NotUnderTest ours;
    return sim_.ring_register(fd, opcode, argument, count);
  }
  void ring_exit(rota::detail::RingMemory& memory) noexcept override {
    const NotUnderTest ours;
    sim_.ring_exit(memory);
  }
  int close(int fd) noexcept override {
    const NotUnderTest ours;
    return sim_.close(fd);
  }
  int make_doorbell() noexcept override {
    const NotUnderTest ours;
    return sim_.make_doorbell();
  }
  int ring_doorbell(int fd) noexcept override {
    const NotUnderTest ours;
    const int result = sim_.ring_doorbell(fd);
    check(result == 0, "a doorbell that is closed");
    rings_.fetch_add(1, std::memory_order_relaxed);
    return result;
  }

 private:
  testing_support::SimKernel sim_;
  rota::detail::RingMemory memory_;
  atomic<unsigned> rings_{0};
  unsigned heard_ = 0;  // by the owner
};

}  // namespace rota::model
