#include "support/sim_ring.hpp"

#include "support/sim_kernel.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <poll.h>
#include <sys/socket.h>

namespace rota::testing_support {
namespace {

// As the kernel: a multishot gives way to others after so many results in a row.
constexpr int multishot_results_in_a_row = 32;

constexpr std::uint64_t largest_buffer_ring = 32768;

bool needs_file(unsigned opcode) {
  return opcode != IORING_OP_NOP && opcode != IORING_OP_ASYNC_CANCEL && opcode != IORING_OP_CLOSE;
}

short events_that_unblock(const io_uring_sqe& sqe) {
  constexpr int always = POLLHUP | POLLERR;
  switch (sqe.opcode) {
    case IORING_OP_POLL_ADD:
      return static_cast<short>(sqe.poll32_events | always);
    case IORING_OP_SEND:
      return POLLOUT | always;
    default:
      return POLLIN | always;
  }
}

}  // namespace

SimRing::SimRing(SimKernel& kernel, unsigned entries, io_uring_params& params)
    : kernel_(kernel),
      setup_flags_(params.flags),
      enabled_((params.flags & IORING_SETUP_R_DISABLED) == 0) {
  params.sq_entries = std::bit_ceil(entries);
  params.cq_entries = std::bit_ceil(params.cq_entries);
  sq_array_.resize(params.sq_entries);
  sqes_.resize(params.sq_entries);
  cqes_.resize(params.cq_entries);
}

void SimRing::describe(detail::RingMemory& memory) {
  static_assert(sizeof(Completion) == sizeof(io_uring_cqe));
  memory.setup_flags = setup_flags_;
  memory.sq_entries = static_cast<unsigned>(sqes_.size());
  memory.cq_entries = static_cast<unsigned>(cqes_.size());
  memory.sq_head = &sq_head_;
  memory.sq_tail = &sq_tail_;
  memory.sq_flags = &sq_flags_;
  memory.sq_array = sq_array_.data();
  memory.sqes = sqes_.data();
  memory.cq_head = &cq_head_;
  memory.cq_tail = &cq_tail_;
  memory.cqes = cqes_.data();
}

unsigned SimRing::submit(unsigned count) {
  unsigned taken = 0;
  for (; taken < count && sq_head_ != sq_tail_; ++taken, ++sq_head_) {
    Requests current;
    const unsigned slot = sq_array_[sq_head_ & (sqes_.size() - 1)];
    current.push_back({std::make_unique<io_uring_sqe>(sqes_[slot]), nullptr, 0, false});
    Request& request = current.front();
    if (needs_file(request.sqe->opcode)) {
      request.file = kernel_.file(request.sqe->fd);
      if (request.file == nullptr) {
        finish(request, -EBADF);
        continue;
      }
    }
    try_front(current);
  }
  return taken;
}

void SimRing::run_work(unsigned limit) {
  for (; limit > 0 && !work_.empty(); --limit) {
    Requests current;
    current.splice(current.end(), work_, work_.begin());
    if (current.front().cancelled)
      finish(current.front(), -ECANCELED);
    else
      try_front(current);
  }
  set_flag(IORING_SQ_TASKRUN, !work_.empty());
}

// The request is in no list of ours while it runs: what it wakes cannot be itself.
void SimRing::try_front(Requests& current) {
  switch (attempt(current.front())) {
    case Outcome::finished:
      return;
    case Outcome::blocked:
      parked_.splice(parked_.end(), current);
      return;
    case Outcome::again:
      work_.splice(work_.end(), current);
      set_flag(IORING_SQ_TASKRUN, true);
  }
}

void SimRing::woken(SimFile& file, short events) {
  for (auto it = parked_.begin(); it != parked_.end();) {
    const auto next = std::next(it);
    if (it->file.get() == &file && (events_that_unblock(*it->sqe) & events) != 0)
      work_.splice(work_.end(), parked_, it);
    it = next;
  }
  set_flag(IORING_SQ_TASKRUN, !work_.empty());
}

// --- operations -------------------------------------------------------------------------------

SimRing::Outcome SimRing::attempt(Request& request) {
  io_uring_sqe& sqe = *request.sqe;
  switch (sqe.opcode) {
    case IORING_OP_NOP:
      return finish(request, 0);
    case IORING_OP_POLL_ADD:
      return attempt_poll(request);
    case IORING_OP_RECV:
      return attempt_recv(request);
    case IORING_OP_SEND:
      return attempt_send(request);
    case IORING_OP_ACCEPT:
      return attempt_accept(request);
    case IORING_OP_CONNECT:
      return finish(request, connect(request));
    case IORING_OP_CLOSE:
      return finish(request, kernel_.close(sqe.fd));
    case IORING_OP_SHUTDOWN:
      return finish(request, kernel_.shutdown(sqe.fd, static_cast<int>(sqe.len)));
    case IORING_OP_ASYNC_CANCEL:
      return finish(request, cancel(sqe));
    default:
      return finish(request, -EINVAL);
  }
}

SimRing::Outcome SimRing::attempt_poll(Request& request) {
  const int events = request.file->poll() & events_that_unblock(*request.sqe);
  if (events == 0) return Outcome::blocked;
  if ((request.sqe->len & IORING_POLL_ADD_MULTI) == 0) return finish(request, events);
  // An edge: one result for a wake, then wait for the next.
  return post_more(request, events, 0) ? Outcome::blocked : finish(request, events);
}

SimRing::Outcome SimRing::attempt_recv(Request& request) {
  auto* stream = dynamic_cast<SimStream*>(request.file.get());
  if (stream == nullptr) return finish(request, -ENOTSOCK);
  const io_uring_sqe& sqe = *request.sqe;
  const bool multishot = (sqe.ioprio & IORING_RECV_MULTISHOT) != 0;
  const bool peek = (sqe.msg_flags & MSG_PEEK) != 0;
  for (int results = 0;;) {
    void* data = reinterpret_cast<void*>(sqe.addr);
    std::size_t bytes = sqe.len;
    io_uring_buf* buffer = nullptr;
    if ((sqe.flags & IOSQE_BUFFER_SELECT) != 0) {
      buffer = next_buffer(sqe.buf_group);
      if (buffer == nullptr) return finish(request, -ENOBUFS);
      data = reinterpret_cast<void*>(buffer->addr);
      bytes = sqe.len == 0 ? buffer->len : std::min<std::size_t>(sqe.len, buffer->len);
    }
    const std::int64_t received =
        stream->recv(data, std::min(bytes, kernel_.limits.transfer_bytes), peek);
    if (received == -EAGAIN) return Outcome::blocked;
    std::uint32_t flags = (stream->poll() & POLLIN) != 0 ? IORING_CQE_F_SOCK_NONEMPTY : 0;
    if (buffer != nullptr && received > 0) {
      flags |= IORING_CQE_F_BUFFER | std::uint32_t{buffer->bid} << IORING_CQE_BUFFER_SHIFT;
      ++buffers_.at(sqe.buf_group).head;
    }
    if (!multishot || received <= 0 || !post_more(request, received, flags))
      return finish(request, received, flags);
    if (++results == multishot_results_in_a_row) return Outcome::again;
  }
}

SimRing::Outcome SimRing::attempt_send(Request& request) {
  auto* stream = dynamic_cast<SimStream*>(request.file.get());
  if (stream == nullptr) return finish(request, -ENOTSOCK);
  const io_uring_sqe& sqe = *request.sqe;
  const bool wait_for_all = (sqe.msg_flags & MSG_WAITALL) != 0;
  while (request.done_bytes < sqe.len) {
    const auto* data = reinterpret_cast<const char*>(sqe.addr) + request.done_bytes;
    const std::size_t bytes = std::min(sqe.len - request.done_bytes, kernel_.limits.transfer_bytes);
    const std::int64_t sent = stream->send(data, bytes);
    if (sent == -EAGAIN) {
      if (request.done_bytes > 0 && !wait_for_all) break;
      return Outcome::blocked;
    }
    if (sent < 0)
      return finish(request,
                    request.done_bytes > 0 ? static_cast<std::int64_t>(request.done_bytes) : sent);
    request.done_bytes += static_cast<std::size_t>(sent);
    if (!wait_for_all) break;
  }
  return finish(request, static_cast<std::int64_t>(request.done_bytes));
}

SimRing::Outcome SimRing::attempt_accept(Request& request) {
  auto* listener = dynamic_cast<SimListener*>(request.file.get());
  if (listener == nullptr) return finish(request, -EINVAL);
  const bool multishot = (request.sqe->ioprio & IORING_ACCEPT_MULTISHOT) != 0;
  for (;;) {
    const int fd = kernel_.accept_from(*listener);
    if (fd == -EAGAIN) return Outcome::blocked;
    if (fd < 0 || !multishot || !post_more(request, fd, 0)) return finish(request, fd);
  }
}

int SimRing::connect(Request& request) {
  auto* stream = dynamic_cast<SimStream*>(request.file.get());
  if (stream == nullptr) return -ENOTSOCK;
  return kernel_.connect_to(*stream, reinterpret_cast<const sockaddr*>(request.sqe->addr));
}

int SimRing::cancel(const io_uring_sqe& sqe) {
  const bool all = (sqe.cancel_flags & (IORING_ASYNC_CANCEL_ALL | IORING_ASYNC_CANCEL_ANY)) != 0;
  int found = cancel_matching(parked_, sqe, !all);
  if (all || found == 0) found += cancel_matching(work_, sqe, !all);
  if (found == 0) return -ENOENT;
  return all ? found : 0;
}

int SimRing::cancel_matching(Requests& requests, const io_uring_sqe& sqe, bool only_first) {
  int found = 0;
  for (auto it = requests.begin(); it != requests.end();) {
    const auto current = it++;
    const bool any = (sqe.cancel_flags & IORING_ASYNC_CANCEL_ANY) != 0;
    const bool by_fd = (sqe.cancel_flags & IORING_ASYNC_CANCEL_FD) != 0;
    const bool matches =
        any || (by_fd ? current->sqe->fd == sqe.fd : current->sqe->user_data == sqe.addr);
    if (!matches || current->cancelled) continue;
    current->cancelled = true;
    if (&requests == &parked_) work_.splice(work_.end(), parked_, current);
    ++found;
    if (only_first) break;
  }
  set_flag(IORING_SQ_TASKRUN, !work_.empty());
  return found;
}

// --- provided buffers, registrations ----------------------------------------------------------

io_uring_buf* SimRing::next_buffer(unsigned short group) {
  const auto found = buffers_.find(group);
  if (found == buffers_.end()) return nullptr;
  Buffers& buffers = found->second;
  if (buffers.ring->tail == buffers.head) return nullptr;
  return &buffers.ring->bufs[buffers.head & (buffers.entries - 1)];
}

int SimRing::register_something(unsigned opcode, void* argument) {
  switch (opcode) {
    case IORING_REGISTER_ENABLE_RINGS:
      if (enabled_) return -EBADFD;
      enabled_ = true;
      return 0;
    case IORING_REGISTER_IOWQ_MAX_WORKERS:
      return 0;
    case IORING_REGISTER_PBUF_RING: {
      const auto& request = *static_cast<io_uring_buf_reg*>(argument);
      if (!std::has_single_bit(request.ring_entries) || request.ring_entries > largest_buffer_ring)
        return -EINVAL;
      const bool added =
          buffers_
              .try_emplace(request.bgid, reinterpret_cast<io_uring_buf_ring*>(request.ring_addr),
                           request.ring_entries, static_cast<unsigned short>(0))
              .second;
      return added ? 0 : -EEXIST;
    }
    case IORING_UNREGISTER_PBUF_RING:
      return buffers_.erase(static_cast<io_uring_buf_reg*>(argument)->bgid) == 1 ? 0 : -ENOENT;
    default:
      return -EINVAL;
  }
}

// --- completions ------------------------------------------------------------------------------

SimRing::Outcome SimRing::finish(const Request& request, std::int64_t result, std::uint32_t flags) {
  if (result < 0 || (request.sqe->flags & IOSQE_CQE_SKIP_SUCCESS) == 0)
    post({request.sqe->user_data, static_cast<std::int32_t>(result), flags});
  return Outcome::finished;
}

// A result that leaves the request alive needs room in the queue: without, it has to be the last
// one.
bool SimRing::post_more(const Request& request, std::int64_t result, std::uint32_t flags) {
  if (!has_room()) return false;
  store({request.sqe->user_data, static_cast<std::int32_t>(result), flags | IORING_CQE_F_MORE});
  return true;
}

void SimRing::post(const Completion& completion) {
  if (has_room()) return store(completion);
  overflow_.push_back(completion);
  set_flag(IORING_SQ_CQ_OVERFLOW, true);
}

bool SimRing::flush_overflow() {
  while (!overflow_.empty() && ready() < cqes_.size()) {
    store(overflow_.front());
    overflow_.pop_front();
  }
  set_flag(IORING_SQ_CQ_OVERFLOW, !overflow_.empty());
  return overflow_.empty();
}

bool SimRing::has_room() const { return overflow_.empty() && ready() < cqes_.size(); }

void SimRing::store(const Completion& completion) {
  cqes_[cq_tail_ & (cqes_.size() - 1)] = completion;
  ++cq_tail_;
}

void SimRing::set_flag(unsigned flag, bool on) {
  if (flag == IORING_SQ_TASKRUN && (setup_flags_ & IORING_SETUP_TASKRUN_FLAG) == 0) return;
  sq_flags_ = on ? sq_flags_ | flag : sq_flags_ & ~flag;
}

}  // namespace rota::testing_support
