#include "cpus.hpp"
#include "ring.hpp"
#include "startup_errors.hpp"
#include "uring_compat.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <unistd.h>

namespace rota::detail {
namespace {

constexpr unsigned required_flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                    IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CLAMP |
                                    IORING_SETUP_CQSIZE | IORING_SETUP_R_DISABLED;

// The memory of a ring that was closed is given back to the user's account by a work queue, some
// time later: a program that makes rings again and again meets ENOMEM for a moment. The first wait
// is 1 ms, the last 64 ms, 127 ms in all.
constexpr std::int64_t first_pause_ns = 1'000'000;
constexpr std::int64_t last_pause_ns = 64'000'000;

// The smallest ring that we work with when memory stays short.
constexpr unsigned smallest_sq = 64;
constexpr unsigned smallest_cq = 512;

unsigned halved(unsigned entries, unsigned least) noexcept {
  return std::min(entries, std::max(entries / 2, least));
}

[[noreturn]] void throw_startup_error(int error, const RingOptions& options) {
  const SystemFacts facts =
      options.read_facts != nullptr ? options.read_facts() : read_system_facts();
  const std::uint64_t needed = ring_bytes(std::min(options.sq_entries, smallest_sq),
                                          std::min(options.cq_entries, smallest_cq));
  throw StartupError(error, startup_error_text(error, facts, needed));
}

}  // namespace

Ring::Ring(Kernel& kernel, const RingOptions& options)
    // Relaxed: see fork_generation.
    : kernel_(kernel),
      generation_((watch_forks(), fork_generation.load(std::memory_order_relaxed))) {
  if (const int error = set_up(options); error < 0) throw_startup_error(-error, options);
  enter_fd_ = memory_.fd;
  // The kernel reads SQE numbers from a table; ours are used in the order in which they lie.
  for (unsigned i = 0; i < memory_.sq_entries; ++i) memory_.sq_array[i] = i;
  const std::uint32_t wanted = options.features;
  features_.taskrun_flag = (memory_.setup_flags & IORING_SETUP_TASKRUN_FLAG) != 0;
  features_.registered_ring =
      (wanted & Features::registered_ring_bit) != 0;  // until enable() knows
  features_.no_iowait =
      (wanted & Features::no_iowait_bit) != 0 && (memory_.features & uring::feat_no_iowait) != 0;
  // Bundles came with 6.10 but delivered buffers out of order before 6.15, which feat_no_iowait
  // stands for.
  features_.bundle = (wanted & Features::bundle_bit) != 0 &&
                     (memory_.features & uring::feat_recvsend_bundle) != 0 &&
                     (memory_.features & uring::feat_no_iowait) != 0;
}

int Ring::set_up(const RingOptions& options) noexcept {
  unsigned flags = required_flags;
  if ((options.features & Features::taskrun_flag_bit) != 0) flags |= IORING_SETUP_TASKRUN_FLAG;
  unsigned sq_entries = options.sq_entries;
  unsigned cq_entries = options.cq_entries;
  for (std::int64_t pause_ns = first_pause_ns;;) {
    io_uring_params params{};
    params.flags = flags;
    params.cq_entries = cq_entries;
    const int error = kernel_.ring_setup(sq_entries, params, memory_);
    if (error == -EINVAL && (flags & IORING_SETUP_TASKRUN_FLAG) != 0) {
      flags &= ~IORING_SETUP_TASKRUN_FLAG;
      continue;
    }
    const bool may_wait = pause_ns <= last_pause_ns;
    const bool may_shrink = sq_entries > smallest_sq || cq_entries > smallest_cq;
    if (error != -ENOMEM || !(may_wait || may_shrink)) return error;
    if (may_wait) {
      kernel_.back_off(pause_ns);
      pause_ns *= 2;
    } else {
      sq_entries = halved(sq_entries, smallest_sq);
      cq_entries = halved(cq_entries, smallest_cq);
    }
  }
}

void Ring::enable() {
  assert(owner_ == std::thread::id() && "a ring belongs to the first thread that enables it");
  if (const int error = kernel_.ring_register(memory_.fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
      error < 0)
    throw_startup_error(-error, RingOptions());
  owner_ = std::this_thread::get_id();
  if (features_.registered_ring) register_descriptor();
  // Each loop has worker threads of its own in the kernel, for what cannot be done without blocking
  // (files). Disk work is bounded by CPUs; the rest must not grow without limit. Failure leaves the
  // kernel's own, higher limits.
  unsigned limits[2] = {std::max(2u, usable_cpus()), 64};
  kernel_.ring_register(memory_.fd, IORING_REGISTER_IOWQ_MAX_WORKERS, limits, 2);
}

void Ring::register_descriptor() noexcept {
  io_uring_rsrc_update update{};
  update.offset = ~0u;  // any slot
  update.data = static_cast<std::uint64_t>(memory_.fd);
  features_.registered_ring =
      kernel_.ring_register(memory_.fd, IORING_REGISTER_RING_FDS, &update, 1) == 1;
  if (!features_.registered_ring)
    return;  // all slots of this thread are taken; the descriptor does as well
  enter_fd_ = static_cast<int>(update.offset);
  enter_flags_ = IORING_ENTER_REGISTERED_RING;
}

Ring::~Ring() {
  // Relaxed: see fork_generation. In a forked child there is nothing to end: mappings and requests
  // are the parent's.
  if (leaked_ || generation_ != fork_generation.load(std::memory_order_relaxed)) return;
  assert(in_flight_count_ == 0 && "drain the ring first, or leak() it");
  if (in_flight_count_ != 0) {
    leak();
    return;
  }
  if (enter_flags_ != 0 && owner_ == std::this_thread::get_id()) {
    // The slot holds the ring alive, and with it its locked memory, until the thread ends.
    io_uring_rsrc_update update{};
    update.offset = static_cast<unsigned>(enter_fd_);
    kernel_.ring_register(memory_.fd, IORING_UNREGISTER_RING_FDS, &update, 1);
  }
  kernel_.ring_exit(memory_);
}

void Ring::leak() noexcept {
  if (std::exchange(leaked_, true)) return;
  ::dprintf(STDERR_FILENO,
            "rota: %u operations are still with the kernel; their ring is given up and its memory "
            "never freed\n",
            in_flight_count_);
  dump(STDERR_FILENO);
}

void Ring::dump(int fd) const noexcept {
  for (const Operation* list : {in_flight_, missed_cancels_}) {
    for (; list != nullptr; list = list->next_in_flight_) {
      const char* state = !list->cancel_requested_ ? ""
                          : list->target_done_     ? ", done but for its cancel"
                          : list->cancel_missed_   ? ", cancel missed it and will be repeated"
                                                   : ", cancel sent";
      ::dprintf(fd, "  %s on descriptor %d%s\n", list->name_, list->fd_, state);
    }
  }
}

int Ring::register_buffer_ring(void* memory, unsigned entries, unsigned short group) noexcept {
  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uintptr_t>(memory);
  registration.ring_entries = entries;
  registration.bgid = group;
  return kernel_.ring_register(memory_.fd, IORING_REGISTER_PBUF_RING, &registration, 1);
}

int Ring::unregister_buffer_ring(unsigned short group) noexcept {
  io_uring_buf_reg registration{};
  registration.bgid = group;
  return kernel_.ring_register(memory_.fd, IORING_UNREGISTER_PBUF_RING, &registration, 1);
}

}  // namespace rota::detail
