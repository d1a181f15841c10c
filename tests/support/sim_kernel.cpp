#include "support/sim_kernel.hpp"

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <netinet/in.h>
#include <sys/socket.h>

namespace rota::testing_support {
namespace {

constexpr unsigned work_in_an_enter = 20;  // IO_LOCAL_TW_DEFAULT_MAX of Linux
constexpr unsigned feature_no_iowait = 1u << 17;
constexpr unsigned enter_no_iowait = 1u << 7;

constexpr std::int64_t second = 1'000'000'000;

}  // namespace

SimKernel::~SimKernel() {
  // Files wake each other when they go: everything that looks at what was woken must still be
  // there.
  rings_.clear();
  files_.clear();
}

// --- the world --------------------------------------------------------------------------------

int SimKernel::add(std::shared_ptr<SimFile> file) {
  if (files_.size() >= limits.descriptors) return -EMFILE;
  files_.emplace(next_descriptor_, std::move(file));
  return next_descriptor_++;  // never used again: a late use of a closed one is seen
}

std::shared_ptr<SimFile> SimKernel::file(int fd) const {
  const auto found = files_.find(fd);
  return found == files_.end() ? nullptr : found->second;
}

template <typename File>
std::shared_ptr<File> SimKernel::file_as(int fd) const {
  return std::dynamic_pointer_cast<File>(file(fd));
}

std::pair<int, int> SimKernel::make_stream_pair() {
  auto one = std::make_shared<SimStream>(*this, limits.stream_bytes);
  auto other = std::make_shared<SimStream>(*this, limits.stream_bytes);
  one->connect(*other);
  const int first = add(std::move(one));
  return {first, add(std::move(other))};
}

int SimKernel::make_socket() {
  return add(std::make_shared<SimStream>(*this, limits.stream_bytes));
}

int SimKernel::make_listener(std::uint16_t port, std::size_t backlog) {
  if (!listeners_[port].expired()) return -EADDRINUSE;
  auto listener = std::make_shared<SimListener>(*this, backlog);
  listeners_[port] = listener;
  return add(std::move(listener));
}

void SimKernel::at(std::int64_t time, std::function<void()> action) {
  actions_.emplace(time, std::move(action));
}

void SimKernel::run_due_actions() {
  while (!actions_.empty() && actions_.begin()->first <= now_) {
    const auto action = actions_.extract(actions_.begin());  // it may add others
    action.mapped()();
  }
}

void SimKernel::woken(SimFile& file, short events) {
  for (const auto& [fd, ring] : rings_) ring->woken(file, events);
}

// --- rings ------------------------------------------------------------------------------------

int SimKernel::ring_setup(unsigned entries, io_uring_params& params,
                          detail::RingMemory& memory) noexcept {
  if (entries == 0 || params.cq_entries < entries) return -EINVAL;
  params.features = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE |
                    IORING_FEAT_FAST_POLL | IORING_FEAT_EXT_ARG | IORING_FEAT_NATIVE_WORKERS |
                    IORING_FEAT_CQE_SKIP | feature_no_iowait;
  const int fd = next_descriptor_++;
  auto ring = std::make_unique<SimRing>(*this, entries, params);
  ring->describe(memory);
  memory.fd = fd;
  memory.features = params.features;
  rings_.emplace(fd, std::move(ring));
  return 0;
}

void SimKernel::ring_exit(detail::RingMemory& memory) noexcept {
  const auto ring = rings_.extract(
      memory.fd);  // its requests may hold the last reference to a file: see ~SimKernel()
  memory = {};
}

int SimKernel::ring_register(int fd, unsigned opcode, void* argument, unsigned /*count*/) noexcept {
  const auto found = rings_.find(fd);
  if (found == rings_.end()) return -EBADF;
  auto* update = static_cast<io_uring_rsrc_update*>(argument);
  switch (opcode) {
    case IORING_REGISTER_RING_FDS:
      update->offset = static_cast<unsigned>(registered_rings_.size());
      registered_rings_.push_back(fd);
      return 1;
    case IORING_UNREGISTER_RING_FDS:
      registered_rings_.at(update->offset) = -1;
      return 1;
    default:
      return found->second->register_something(opcode, argument);
  }
}

int SimKernel::ring_enter(int fd, unsigned to_submit, unsigned min_complete, unsigned flags,
                          const __kernel_timespec* timeout) noexcept {
  assert(thread_ == std::this_thread::get_id() && "the simulated kernel has one thread");
  constexpr unsigned known =
      IORING_ENTER_GETEVENTS | IORING_ENTER_REGISTERED_RING | enter_no_iowait;
  if ((flags & ~known) != 0) return -EINVAL;
  if ((flags & IORING_ENTER_REGISTERED_RING) != 0)
    fd = registered_rings_.at(static_cast<std::size_t>(fd));
  const auto found = rings_.find(fd);
  if (found == rings_.end()) return -EBADF;
  SimRing& ring = *found->second;
  if (!ring.enabled()) return -EBADFD;
  run_due_actions();
  const auto submitted = static_cast<int>(ring.submit(to_submit));
  if ((flags & IORING_ENTER_GETEVENTS) == 0) return submitted;
  ring.run_work(std::max(work_in_an_enter, min_complete));
  ring.flush_overflow();
  const int waited = wait(ring, min_complete, timeout);
  return submitted > 0 ? submitted : waited;
}

int SimKernel::wait(SimRing& ring, unsigned min_complete, const __kernel_timespec* timeout) {
  const std::int64_t never = std::numeric_limits<std::int64_t>::max();
  const std::int64_t end =
      timeout == nullptr ? never : now_ + timeout->tv_sec * second + timeout->tv_nsec;
  while (ring.ready() < min_complete) {
    if (ring.has_work()) {
      ring.run_work(std::max(work_in_an_enter, min_complete));
      if (!ring.flush_overflow()) return -EBUSY;
      continue;
    }
    const std::int64_t next = actions_.empty() ? never : actions_.begin()->first;
    if (next == never && end == never) {
      std::fputs("simulated kernel: a wait without end, and nothing can happen any more\n", stderr);
      std::abort();
    }
    now_ = std::max(now_, std::min(next, end));
    if (end < next) return -ETIME;
    run_due_actions();
  }
  return 0;
}

// --- direct calls -----------------------------------------------------------------------------

std::int64_t SimKernel::send(int fd, const void* data, std::size_t bytes, int /*flags*/) noexcept {
  const auto stream = file_as<SimStream>(fd);
  return stream ? stream->send(data, std::min(bytes, limits.transfer_bytes)) : -EBADF;
}

std::int64_t SimKernel::sendmsg(int fd, const void* message_header, int flags) noexcept {
  const auto& message = *static_cast<const msghdr*>(message_header);
  std::int64_t total = 0;
  for (std::size_t i = 0; i < message.msg_iovlen; ++i) {
    const iovec& part = message.msg_iov[i];
    const std::int64_t sent = send(fd, part.iov_base, part.iov_len, flags);
    if (sent < 0) return total > 0 ? total : sent;
    total += sent;
    if (static_cast<std::size_t>(sent) < part.iov_len) break;
  }
  return total;
}

std::int64_t SimKernel::recv(int fd, void* data, std::size_t bytes, int flags) noexcept {
  const auto stream = file_as<SimStream>(fd);
  return stream
             ? stream->recv(data, std::min(bytes, limits.transfer_bytes), (flags & MSG_PEEK) != 0)
             : -EBADF;
}

int SimKernel::accept(int fd, void* /*address*/, unsigned* address_bytes, int /*flags*/) noexcept {
  if (address_bytes != nullptr) *address_bytes = 0;
  const auto listener = file_as<SimListener>(fd);
  return listener ? accept_from(*listener) : -EBADF;
}

int SimKernel::accept_from(SimListener& listener) {
  if (listener.empty()) return -EAGAIN;
  if (files_.size() >= limits.descriptors) return -EMFILE;
  return add(listener.accept());
}

int SimKernel::connect_to(SimStream& stream, const sockaddr* address) {
  if (stream.connected()) return -EISCONN;
  if (address->sa_family != AF_INET) return -EAFNOSUPPORT;
  const auto port = ntohs(reinterpret_cast<const sockaddr_in*>(address)->sin_port);
  const auto found = listeners_.find(port);
  const auto listener = std::dynamic_pointer_cast<SimListener>(
      found == listeners_.end() ? nullptr : found->second.lock());
  return listener ? listener->connect(stream, limits.stream_bytes) : -ECONNREFUSED;
}

int SimKernel::shutdown(int fd, int how) noexcept {
  const auto stream = file_as<SimStream>(fd);
  return stream ? stream->shutdown(how) : -EBADF;
}

int SimKernel::close(int fd) noexcept { return files_.erase(fd) == 1 ? 0 : -EBADF; }

int SimKernel::make_doorbell() noexcept { return add(std::make_shared<SimDoorbell>(*this)); }

int SimKernel::ring_doorbell(int fd) noexcept {
  assert(thread_ == std::this_thread::get_id() && "the simulated kernel has one thread");
  const auto doorbell = file_as<SimDoorbell>(fd);
  if (!doorbell) return -EBADF;
  doorbell->ring();
  return 0;
}

}  // namespace rota::testing_support
