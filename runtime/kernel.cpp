#include <rota/detail/atomic.hpp>
#include <rota/detail/kernel.hpp>

#include <liburing.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace rota::detail {
namespace {

/// -1 and errno become the negative errno.
template <typename T>
T or_error(T result) noexcept {
  return result < 0 ? static_cast<T>(-errno) : result;
}

/// The two mappings of a ring, RingMemory::owner.
struct Mappings {
  void* rings = MAP_FAILED;
  std::size_t rings_bytes = 0;
  void* sqes = MAP_FAILED;
  std::size_t sqes_bytes = 0;

  void unmap() noexcept {
    if (rings != MAP_FAILED) ::munmap(rings, rings_bytes);
    if (sqes != MAP_FAILED) ::munmap(sqes, sqes_bytes);
  }
};

/// Maps `bytes` of the ring. A forked child must not have it: the mapping is shared, so that a
/// child's stores to the indexes would corrupt the parent's queues.
int map(void*& address, std::size_t bytes, int fd, std::uint64_t offset) noexcept {
  address = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd,
                   static_cast<off_t>(offset));
  if (address == MAP_FAILED) return -errno;
  return or_error(::madvise(address, bytes, MADV_DONTFORK));
}

int map_all(Mappings& mappings, const io_uring_params& params, int fd) noexcept {
  mappings.rings_bytes = std::max(params.sq_off.array + params.sq_entries * sizeof(unsigned),
                                  params.cq_off.cqes + params.cq_entries * sizeof(io_uring_cqe));
  mappings.sqes_bytes = params.sq_entries * sizeof(io_uring_sqe);
  // One mapping for both queues since Linux 5.4.
  if (const int error = map(mappings.rings, mappings.rings_bytes, fd, IORING_OFF_SQ_RING);
      error < 0)
    return error;
  return map(mappings.sqes, mappings.sqes_bytes, fd, IORING_OFF_SQES);
}

void point_into(RingMemory& memory, const Mappings& mappings,
                const io_uring_params& params) noexcept {
  const auto at = [&](unsigned offset) -> void* {
    return static_cast<char*>(mappings.rings) + offset;
  };
  const auto index = [&](unsigned offset) { return static_cast<unsigned*>(at(offset)); };
  memory.features = params.features;
  memory.setup_flags = params.flags;
  memory.sq_entries = params.sq_entries;
  memory.cq_entries = params.cq_entries;
  memory.sq_head = index(params.sq_off.head);
  memory.sq_tail = index(params.sq_off.tail);
  memory.sq_flags = index(params.sq_off.flags);
  memory.sq_array = index(params.sq_off.array);
  memory.sqes = mappings.sqes;
  memory.cq_head = index(params.cq_off.head);
  memory.cq_tail = index(params.cq_off.tail);
  memory.cqes = at(params.cq_off.cqes);
}

class RealKernel : public Kernel {
 public:
  int ring_setup(unsigned entries, io_uring_params& params, RingMemory& memory) noexcept final {
    const auto fd = static_cast<int>(::syscall(__NR_io_uring_setup, entries, &params));
    if (fd < 0) return -errno;
    auto* mappings = new (std::nothrow) Mappings;
    const int error = mappings == nullptr ? -ENOMEM : map_all(*mappings, params, fd);
    if (error < 0) {
      if (mappings != nullptr) mappings->unmap();
      delete mappings;
      ::close(fd);
      return error;
    }
    point_into(memory, *mappings, params);
    memory.fd = fd;
    memory.owner = mappings;
    return 0;
  }

  int ring_enter(int fd, unsigned to_submit, unsigned min_complete, unsigned flags,
                 const __kernel_timespec* timeout) noexcept final {
    io_uring_getevents_arg argument{};
    const void* pointer = nullptr;
    std::size_t bytes = 0;
    if (timeout != nullptr) {
      argument.ts = reinterpret_cast<std::uintptr_t>(timeout);
      flags |= IORING_ENTER_EXT_ARG;
      pointer = &argument;
      bytes = sizeof argument;
    }
    return static_cast<int>(or_error(
        ::syscall(__NR_io_uring_enter, fd, to_submit, min_complete, flags, pointer, bytes)));
  }

  int ring_register(int fd, unsigned opcode, void* argument, unsigned count) noexcept final {
    return static_cast<int>(
        or_error(::syscall(__NR_io_uring_register, fd, opcode, argument, count)));
  }

  void ring_exit(RingMemory& memory) noexcept final {
    auto* mappings = static_cast<Mappings*>(memory.owner);
    mappings->unmap();
    delete mappings;
    ::close(memory.fd);
    memory = {};
  }

  std::int64_t now() noexcept override {
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
  }

  void back_off(std::int64_t nanoseconds) noexcept final {
    const timespec time{nanoseconds / 1'000'000'000, nanoseconds % 1'000'000'000};
    ::nanosleep(&time, nullptr);
  }

  std::int64_t send(int fd, const void* data, std::size_t bytes, int flags) noexcept final {
    return or_error(std::int64_t{::send(fd, data, bytes, flags)});
  }
  std::int64_t sendmsg(int fd, const void* message_header, int flags) noexcept final {
    return or_error(std::int64_t{::sendmsg(fd, static_cast<const msghdr*>(message_header), flags)});
  }
  std::int64_t recv(int fd, void* data, std::size_t bytes, int flags) noexcept final {
    return or_error(std::int64_t{::recv(fd, data, bytes, flags)});
  }
  int accept(int fd, void* address, unsigned* address_bytes, int flags) noexcept final {
    return or_error(::accept4(fd, static_cast<sockaddr*>(address), address_bytes, flags));
  }
  int shutdown(int fd, int how) noexcept final { return or_error(::shutdown(fd, how)); }
  int close(int fd) noexcept final {
    const int result = or_error(::close(fd));
    return result == -EINTR
               ? 0
               : result;  // Linux has closed it all the same: close(2), Dealing with error returns
  }

  int make_doorbell() noexcept final { return or_error(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }
  int ring_doorbell(int fd) noexcept final {
    // A signal handler may be here: what it interrupted must find its errno as it was.
    const int saved = errno;
    const std::uint64_t one = 1;
    const int result = ::write(fd, &one, sizeof one) == sizeof one ? 0 : -errno;
    errno = saved;
    return result;
  }
};

/// Thread: any; several loops may share it.
class VirtualClockKernel final : public RealKernel {
 public:
  // Relaxed: the time is a number by itself, it publishes nothing else.
  std::int64_t now() noexcept override { return now_.load(std::memory_order_relaxed); }

  bool jump_to(std::int64_t deadline) noexcept override {
    std::int64_t now = now_.load(std::memory_order_relaxed);
    while (now < deadline &&
           !now_.compare_exchange_weak(now, deadline, std::memory_order_relaxed)) {
    }
    return true;
  }

 private:
  atomic<std::int64_t> now_ = 0;  ///< Nanoseconds; written by jump_to() only, and only forward.
};

}  // namespace

Kernel& real_kernel() noexcept {
  // Never destroyed: threads may outlive main()'s statics.
  static union Immortal {
    Immortal() : kernel() {}
    ~Immortal() {}
    RealKernel kernel;
  } immortal;
  return immortal.kernel;
}

std::unique_ptr<Kernel> make_virtual_clock_kernel() {
  return std::make_unique<VirtualClockKernel>();
}

}  // namespace rota::detail
