/// no_kernel.hpp: a Kernel that can do nothing; base of those that can do a little.
#pragma once

#include <rota/detail/kernel.hpp>

#include <cerrno>

namespace rota::testing_support {

class NoKernel : public detail::Kernel {
 public:
  int ring_setup(unsigned, io_uring_params&, detail::RingMemory&) noexcept override {
    return -ENOSYS;
  }
  int ring_enter(int, unsigned, unsigned, unsigned, const __kernel_timespec*) noexcept override {
    return -ENOSYS;
  }
  int ring_register(int, unsigned, void*, unsigned) noexcept override { return -ENOSYS; }
  void ring_exit(detail::RingMemory&) noexcept override {}
  std::int64_t now() noexcept override { return 0; }
  void back_off(std::int64_t) noexcept override {}
  std::int64_t send(int, const void*, std::size_t, int) noexcept override { return -ENOSYS; }
  std::int64_t sendmsg(int, const void*, int) noexcept override { return -ENOSYS; }
  std::int64_t recv(int, void*, std::size_t, int) noexcept override { return -ENOSYS; }
  int accept(int, void*, unsigned*, int) noexcept override { return -ENOSYS; }
  int shutdown(int, int) noexcept override { return -ENOSYS; }
  int close(int) noexcept override { return -ENOSYS; }
  int make_doorbell() noexcept override { return -ENOSYS; }
  int ring_doorbell(int) noexcept override { return -ENOSYS; }
};

}  // namespace rota::testing_support
