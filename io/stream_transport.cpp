/// stream_transport.cpp: receiving and sending. The end of a connection and who waits for it:
/// stream_close.cpp.
#include <rota/detail/stream_transport.hpp>
#include <rota/error.hpp>

#include <liburing.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <new>
#include <poll.h>
#include <sys/socket.h>

namespace rota::detail {
namespace {

/// What is collected is sent at once when it is this much: more would not make the packets larger.
constexpr std::size_t eager_bytes = std::size_t{16} * 1024;
/// One SEND request has at most this much, so that drain() hears of progress. Four times the
/// high-water mark: fewer requests than that would not show in a profile.
constexpr std::size_t send_request_bytes = std::size_t{256} * 1024;

/// With this many others ready, what is collected goes into a request, and to the kernel together
/// with those of the others; once one of a step does, the rest of the step follow, since the kernel
/// is entered anyway. Alone, a request would only come back as one more completion. CPU per answer
/// of an HTTP server that is half busy: 6.39 us when 4 others must be ready and the last ones of
/// each step go alone, 6.16 when they follow, 6.00 with 2, 6.11 with 1.
constexpr std::size_t batch_ready = 2;

bool means_not_now(std::int64_t result) noexcept { return result == -EAGAIN || result == -EINTR; }

}  // namespace

void ReceiveOperation::on_result(int result, std::uint32_t flags) noexcept {
  result_ = result;
  static_cast<StreamTransport&>(*this).received(result, flags);
}
void ReceiveOperation::on_settled() noexcept {
  static_cast<StreamTransport&>(*this).receive_settled();
}
void SendOperation::on_settled() noexcept { static_cast<StreamTransport&>(*this).send_settled(); }

StreamTransport::StreamTransport(EventLoop& loop, int fd, std::size_t limit)
    : ReaderState(loop.core, limit),
      FlushNode(&StreamTransport::run_flush),
      fd_(fd),
      registry_(StreamRegistry::of(loop)) {
  if (registry_.slab() == nullptr) receiving_ = Receiving::poll;
  hold();  // the loop's
  registry_.add(*this);
}

// --- receiving --------------------------------------------------------------------------------

void StreamTransport::arm_receive() noexcept {
  EventLoop& loop = loop_of(*running_loop);
  if (receiving() || !wants_data() || loop.closing) return;
  io_uring_sqe& sqe = start_operation(loop, receive(), fd_);
  if (receiving_ == Receiving::poll) {
    io_uring_prep_poll_add(&sqe, fd_, POLLIN);
  } else {
    io_uring_prep_recv_multishot(&sqe, fd_, nullptr, 0, 0);
    sqe.flags |= IOSQE_BUFFER_SELECT;
    sqe.buf_group = BufferSlab::group;
  }
}

void StreamTransport::received(int result, std::uint32_t flags) noexcept {
  if ((flags & IORING_CQE_F_BUFFER) == 0) return;
  BufferSlab& slab = *registry_.slab();
  const unsigned id = flags >> IORING_CQE_BUFFER_SHIFT;
  if (result <= 0) {
    slab.put_back(id);
    return;
  }
  Bytes chunk = slab.take(id, static_cast<std::size_t>(result));
  if (phase_ == Phase::open) deliver(std::move(chunk));
}

void StreamTransport::deliver(Bytes chunk) noexcept {
  try {
    if (registry_.slab()->may_keep(awaited())) {
      feed(std::move(chunk));
    } else {
      feed(chunk.span());
    }
  } catch (const std::bad_alloc&) {
    lose(ENOMEM, "stream recv");
  }
}

void StreamTransport::receive_settled() noexcept {
  if (loop_of(*running_loop).closing && phase_ != Phase::closed) {
    phase_ = Phase::dropping;
    drop();
  }
  if (phase_ == Phase::open) receive_ended(ReceiveOperation::result());
  arm_receive();
  close_if_idle();
}

void StreamTransport::receive_ended(int result) noexcept {
  if (result == -ENOBUFS) {
    run_dry();
  } else if (result < 0 && result != -ECANCELED && !means_not_now(result)) {
    lose(-result, "stream recv");
  } else if (receiving_ == Receiving::poll) {
    if (result >= 0 && wants_data()) polled();
  } else if (result == 0) {
    feed_eof();
  }  // else it was cancelled, or overflown completions have ended it
}

void StreamTransport::run_dry() noexcept {
  BufferSlab& slab = *registry_.slab();
  ++slab.counters.starved;
  if (!slab.grow(running_loop->steps_total)) receiving_ = Receiving::poll;
}

/// Something has come. It is received here, since another multishot might find the ring empty
/// again.
void StreamTransport::polled() noexcept {
  BufferSlab* const slab = registry_.slab();
  if (slab != nullptr) {
    ++slab->counters.fallback;
    if (slab->has_recovered()) receiving_ = Receiving::multishot;
  }
  std::array<std::byte, eager_bytes> buffer;
  const std::int64_t result =
      running_loop->kernel->recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (result == 0) {
    feed_eof();
  } else if (result > 0) {
    try {
      feed(std::span(buffer).first(static_cast<std::size_t>(result)));
    } catch (const std::bad_alloc&) {
      lose(ENOMEM, "stream recv");
    }
  } else if (!means_not_now(result)) {
    lose(static_cast<int>(-result), "stream recv");
  }
}

void StreamTransport::pause_reading() noexcept {
  if (receiving()) cancel_operation(loop_of(*running_loop), receive(), false);
}

void StreamTransport::resume_reading() noexcept { arm_receive(); }

// --- sending ----------------------------------------------------------------------------------

void StreamTransport::require_open_end() const {
  if (write_end_ != WriteEnd::open) throw RuntimeError("Cannot call write() after write_eof()");
}

bool StreamTransport::write(std::span<const std::byte> data) {
  require_open_end();
  if (phase_ != Phase::open) return false;
  if (data.size() >= eager_bytes && unsent() == 0) {
    // Straight from the caller's memory; only what is left is copied.
    data = data.subspan(try_send(data));
    if (phase_ == Phase::open && !data.empty()) {
      pending_.append(data.data(), data.size());
      start_send(SendWhen::writable);
    }
  } else if (!data.empty()) {
    pending_.append(data.data(), data.size());
    collected();
  }
  const bool kept = phase_ == Phase::open;
  close_if_idle();
  return kept;
}

bool StreamTransport::write(Bytes data) {
  require_open_end();
  if (phase_ != Phase::open) return false;
  if (!data.empty()) {
    pending_.append(std::move(data));
    collected();
  }
  const bool kept = phase_ == Phase::open;
  close_if_idle();
  return kept;
}

void StreamTransport::collected() noexcept {
  if (sending()) return;  // its end sends the rest
  if (pending_.size() >= eager_bytes) {
    send_collected();
  } else if (!flush_queued_) {
    flush_queued_ = true;
    running_loop->deferred.push(*this);
  }
}

void StreamTransport::run_flush(Runnable& node, bool dropped) noexcept {
  auto& self = static_cast<StreamTransport&>(static_cast<FlushNode&>(node));
  self.flush_queued_ = false;
  const bool idle = !self.sending() && !self.pending_.empty() && self.phase_ == Phase::open;
  if (!dropped && idle) {
    const std::uint64_t step = running_loop->steps_total;
    if (running_loop->ready.size() >= batch_ready || self.registry_.batch_step == step) {
      self.registry_.batch_step = step;
      self.start_send(SendWhen::at_once);
    } else {
      self.send_collected();
    }
  }
  self.close_if_idle();
}

void StreamTransport::flush() noexcept {
  send_collected();
  close_if_idle();
}

void StreamTransport::send_collected() noexcept {
  if (sending() || pending_.empty() || phase_ == Phase::dropping) return;
  pending_.consume(try_send(pending_.span()));
  if (phase_ == Phase::dropping) return;
  if (!pending_.empty()) start_send(SendWhen::writable);
  sent();
}

/// Returns how many bytes the socket took now.
std::size_t StreamTransport::try_send(std::span<const std::byte> data) noexcept {
  const std::int64_t result =
      running_loop->kernel->send(fd_, data.data(), data.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (result >= 0) return static_cast<std::size_t>(result);
  if (!means_not_now(result)) lose(static_cast<int>(-result), "stream send");
  return 0;
}

void StreamTransport::start_send(SendWhen when) noexcept {
  EventLoop& loop = loop_of(*running_loop);
  if (loop.closing) return;
  if (sending_.empty()) sending_ = pending_.take_all();
  io_uring_sqe& sqe = start_operation(loop, send_operation(), fd_);
  io_uring_prep_send(&sqe, fd_, sending_.data(), std::min(sending_.size(), send_request_bytes),
                     MSG_WAITALL | MSG_NOSIGNAL);
  if (when == SendWhen::writable) sqe.ioprio |= IORING_RECVSEND_POLL_FIRST;
}

void StreamTransport::send_settled() noexcept {
  const int result = SendOperation::result();
  if (loop_of(*running_loop).closing) phase_ = Phase::dropping;
  if (phase_ == Phase::dropping) {
    drop();
  } else if (result < 0 && result != -ECANCELED && !means_not_now(result)) {
    lose(-result, "stream send");
  } else {
    if (result > 0) sending_.remove_prefix(static_cast<std::size_t>(result));
    if (sending_.empty()) sending_ = Bytes();
    if (unsent() != 0) start_send(SendWhen::writable);
    sent();
  }
  close_if_idle();
}

void StreamTransport::sent() noexcept {
  if (drain_waits_ && unsent() <= low_water_) {
    drain_waits_ = false;
    drains_.wake_all();
  }
  if (write_end_ == WriteEnd::asked && unsent() == 0) {
    write_end_ = WriteEnd::done;
    running_loop->kernel->shutdown(fd_, SHUT_WR);
  }
}

void StreamTransport::write_eof() noexcept {
  if (phase_ != Phase::open || write_end_ != WriteEnd::open) return;
  write_end_ = WriteEnd::asked;
  send_collected();
  if (phase_ == Phase::open) sent();
  close_if_idle();
}

void StreamTransport::set_limits(std::size_t high, std::size_t low) noexcept {
  high_water_ = high;
  low_water_ = low;
  if (phase_ == Phase::open) sent();
}

}  // namespace rota::detail
