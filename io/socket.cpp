#include <rota/detail/chunk_buffer.hpp>
#include <rota/socket.hpp>

#include <liburing.h>

#include <cassert>
#include <cerrno>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace rota {
namespace {

void check(int result, const char* operation) {
  if (result < 0) detail::throw_os_error(errno, operation);
}

Address address_by(int (*get)(int, sockaddr*, socklen_t*), int fd, const char* operation) {
  sockaddr_storage storage{};
  socklen_t bytes = sizeof storage;
  auto* const address = reinterpret_cast<sockaddr*>(&storage);
  check(get(fd, address, &bytes), operation);
  return Address(address, bytes);
}

}  // namespace

Socket::Socket(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  // A simulated kernel's descriptors are none of ours, and never block.
  if (flags >= 0 && (flags & O_NONBLOCK) == 0)
    check(::fcntl(fd, F_SETFL, flags | O_NONBLOCK), "fcntl");
  state_ = new detail::SocketState(fd);
}

Socket Socket::make(int family, int type) {
  const int fd = ::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  check(fd, "socket");
  return Socket(fd);
}

Socket Socket::make(int family) { return make(family, SOCK_STREAM); }

std::pair<Socket, Socket> Socket::pair() {
  int fds[2] = {};
  check(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), "socketpair");
  return {Socket(fds[0]), Socket(fds[1])};
}

detail::SocketState& Socket::state() const {
  if (!is_open()) detail::throw_os_error(EBADF, "the socket is closed");
  return *state_;
}

void Socket::bind(const Address& address) const {
  if (::bind(state().fd, address.data(), address.size()) < 0) {
    throw OSError(errno, "bind to " + address.to_string());
  }
}

void Socket::listen(int backlog) const { check(::listen(state().fd, backlog), "listen"); }

Address Socket::getsockname() const {
  return address_by(&::getsockname, state().fd, "getsockname");
}

Address Socket::getpeername() const {
  return address_by(&::getpeername, state().fd, "getpeername");
}

void Socket::setsockopt(int level, int option, int value) const {
  check(::setsockopt(state().fd, level, option, &value, sizeof value), "setsockopt");
}

int Socket::getsockopt(int level, int option) const {
  int value = 0;
  socklen_t bytes = sizeof value;
  check(::getsockopt(state().fd, level, option, &value, &bytes), "getsockopt");
  return value;
}

void Socket::shutdown(int how) const { check(::shutdown(state().fd, how), "shutdown"); }

void Socket::close() noexcept {
  if (state_ != nullptr) state_->close();
}

void Socket::close_and_release() noexcept {
  state_->close();
  state_->release();
}

int Socket::detach() noexcept {
  if (!is_open()) return -1;
  const int fd = std::exchange(state_->fd, -1);
  state_->close();
  return fd;
}

namespace detail {

void ReadyWait::prepare(io_uring_sqe& sqe) noexcept {
  io_uring_prep_poll_add(&sqe, socket_.fd, static_cast<unsigned>(events_));
}

SockRecvInto::SockRecvInto(SocketState& socket, std::span<std::byte> buffer) noexcept
    : ReadyWait("recv", socket, POLLIN), buffer_(buffer) {}

bool SockRecvInto::attempt() noexcept {
  if (buffer_.empty()) return succeed(0);
  return succeed_unless_blocked(
      kernel().recv(socket_.fd, buffer_.data(), buffer_.size(), MSG_DONTWAIT));
}

SockRecv::SockRecv(SocketState& socket, std::size_t count) noexcept
    : ReadyWait("recv", socket, POLLIN), count_(count) {}

bool SockRecv::attempt() noexcept {
  if (count_ == 0) return succeed(0);
  // On the stack first: a wait holds no memory, and what is kept fits what came.
  constexpr std::size_t small = 4096;
  if (count_ <= small) {
    std::byte buffer[small];
    const std::int64_t result = kernel().recv(socket_.fd, buffer, count_, MSG_DONTWAIT);
    if (result > 0) received_ = Bytes(std::span(buffer, static_cast<std::size_t>(result)));
    return succeed_unless_blocked(result);
  }
  Bytes block = ChunkBuffer::make_block(count_);
  const std::int64_t result =
      kernel().recv(socket_.fd, ChunkBuffer::memory(block), count_, MSG_DONTWAIT);
  if (result > 0) {
    ChunkBuffer::set_size(block, static_cast<std::size_t>(result));
    received_ = std::move(block);
  }
  return succeed_unless_blocked(result);
}

SockAccept::SockAccept(SocketState& socket) noexcept : ReadyWait("accept", socket, POLLIN) {}

bool SockAccept::attempt() noexcept {
  sockaddr_storage storage{};
  unsigned bytes = sizeof storage;
  const int fd = kernel().accept(socket_.fd, &storage, &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
  // A connection that its peer has given up is none: the next one counts.
  if (fd == -ECONNABORTED) return attempt();
  if (fd >= 0) peer_ = Address(reinterpret_cast<const sockaddr*>(&storage), bytes);
  return succeed_unless_blocked(fd);
}

Accepted SockAccept::await_resume() { return Accepted(Socket(static_cast<int>(finish())), peer_); }

void SockConnect::prepare(io_uring_sqe& sqe) noexcept {
  io_uring_prep_connect(&sqe, socket_.fd, address_.data(), address_.size());
}

bool SockConnect::after_wait(bool /*cancelled*/) noexcept {
  if (result_ == -ECANCELED && cancelled_by_task()) return true;
  return succeed(result_);
}

bool SockSendall::attempt() noexcept {
  while (!rest_.empty()) {
    const std::int64_t result =
        kernel().send(socket_.fd, rest_.data(), rest_.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (result < 0) return succeed_unless_blocked(result);
    rest_ = rest_.subspan(static_cast<std::size_t>(result));
  }
  return succeed(0);
}

void SockSendall::prepare(io_uring_sqe& sqe) noexcept {
  io_uring_prep_send(&sqe, socket_.fd, rest_.data(), rest_.size(), MSG_WAITALL | MSG_NOSIGNAL);
  sqe.ioprio |= IORING_RECVSEND_POLL_FIRST;  // we have just been told that it would block
}

bool SockSendall::after_wait(bool cancelled) noexcept {
  if (result_ > 0) rest_ = rest_.subspan(static_cast<std::size_t>(result_));
  if (rest_.empty()) return succeed(0);
  if (cancelled) return true;
  // -ECANCELED without a due cancel: the task's scope has taken it back meanwhile. On we go.
  if (result_ < 0 && result_ != -ECANCELED) return succeed(result_);
  return attempt();
}

}  // namespace detail
}  // namespace rota
