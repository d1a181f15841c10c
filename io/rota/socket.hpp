/// socket.hpp: Socket, a descriptor with an owner, and asyncio's sock_* operations on it.
///
/// For streams with buffers use streams.hpp; this is the layer of loop.sock_recv and its like. A
/// cancelled sock_recv, sock_recv_into or sock_accept has consumed nothing: no byte and no
/// connection is lost.
#pragma once

#include <rota/address.hpp>
#include <rota/bytes.hpp>
#include <rota/detail/io_wait.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

namespace rota {

/// A non-blocking socket, closed by its destructor. Moved, not copied. Used by one loop at a time.
/// As: socket.socket with setblocking(False).
class Socket {
 public:
  Socket() noexcept = default;  ///< None: is_open() is false.
  /// Takes over `fd`, which becomes non-blocking. Errors: OSError, std::bad_alloc; then the caller
  /// keeps it.
  explicit Socket(int fd);
  Socket(Socket&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~Socket() {
    if (state_ != nullptr) close_and_release();
  }

  /// A new one. `type`: SOCK_STREAM, SOCK_DGRAM ... Errors: OSError. Source: socket(2).
  static Socket make(int family, int type);
  static Socket make(int family);  ///< A stream socket.
  /// Two stream sockets that are connected to each other. As: socket.socketpair.
  static std::pair<Socket, Socket> pair();

  bool is_open() const noexcept { return state_ != nullptr && !state_->closed; }
  int fileno() const noexcept { return is_open() ? state_->fd : -1; }  ///< -1 when closed.

  void bind(const Address& address) const;  ///< Errors: OSError. Source: bind(2).
  void listen(int backlog) const;           ///< Errors: OSError. Source: listen(2).
  Address getsockname() const;              ///< Errors: OSError. Source: getsockname(2).
  Address getpeername() const;              ///< Errors: OSError. Source: getpeername(2).
  void setsockopt(int level, int option, int value) const;  ///< Errors: OSError.
  int getsockopt(int level, int option) const;              ///< Errors: OSError.
  /// `how`: SHUT_RD, SHUT_WR or SHUT_RDWR. Errors: OSError. Source: shutdown(2).
  void shutdown(int how) const;

  /// Operations that wait on it end with OSError(ECANCELED); the descriptor is closed after the
  /// last one, so its number is not used again under them. Idempotent.
  void close() noexcept;
  /// Gives the descriptor to the caller. Nothing may wait on it. Returns -1 when closed.
  int detach() noexcept;

  /// Errors: OSError(EBADF) when closed.
  detail::SocketState& state() const;

 private:
  void close_and_release() noexcept;

  detail::SocketState* state_ = nullptr;
};

/// What sock_accept gives.
struct Accepted {
  Accepted(Socket accepted, const Address& peer) noexcept
      : socket(std::move(accepted)), address(peer) {}

  Socket socket;
  Address address;  ///< Of the peer.
};

namespace detail {

/// Waits until the descriptor is ready, and then makes the call again.
class ReadyWait : public IoWait {
 protected:
  ReadyWait(const char* name, SocketState& socket, short events) noexcept
      : IoWait(name, socket), events_(events) {}
  ReadyWait(ReadyWait&&) noexcept = default;
  ~ReadyWait() override = default;

 private:
  void prepare(io_uring_sqe& sqe) noexcept final;
  bool after_wait(bool cancelled) noexcept final { return cancelled || attempt(); }

  short events_;
};

class [[nodiscard]] SockRecvInto final : public ReadyWait {
 public:
  SockRecvInto(SocketState& socket, std::span<std::byte> buffer) noexcept;
  std::size_t await_resume() { return static_cast<std::size_t>(finish()); }

 private:
  bool attempt() noexcept override;
  std::span<std::byte> buffer_;
};

class [[nodiscard]] SockRecv final : public ReadyWait {
 public:
  SockRecv(SocketState& socket, std::size_t count) noexcept;
  Bytes await_resume() {
    finish();
    return std::move(received_);
  }

 private:
  bool attempt() noexcept override;
  std::size_t count_;
  Bytes received_;
};

class [[nodiscard]] SockAccept final : public ReadyWait {
 public:
  explicit SockAccept(SocketState& socket) noexcept;
  Accepted await_resume();

 private:
  bool attempt() noexcept override;
  Address peer_;
};

class [[nodiscard]] SockConnect final : public IoWait {
 public:
  SockConnect(SocketState& socket, const Address& address) noexcept
      : IoWait("connect", socket), address_(address) {}
  void await_resume() { finish(); }

 private:
  bool attempt() noexcept override { return false; }
  void prepare(io_uring_sqe& sqe) noexcept override;
  bool after_wait(bool cancelled) noexcept override;
  Address address_;
};

class [[nodiscard]] SockSendall final : public IoWait {
 public:
  SockSendall(SocketState& socket, std::span<const std::byte> data) noexcept
      : IoWait("send", socket), rest_(data) {}
  void await_resume() { finish(); }

 private:
  bool attempt() noexcept override;
  void prepare(io_uring_sqe& sqe) noexcept override;
  bool after_wait(bool cancelled) noexcept override;
  std::span<const std::byte> rest_;
};

}  // namespace detail

/// Receives at most `count` bytes; nothing at end of stream, or for count 0.
///
/// Errors:   OSError; CancelledError, after which nothing has been consumed.
/// Thread:   a loop's, the same for all operations that wait on `socket`.
/// Suspends: only while nothing has come.
/// As:       loop.sock_recv.
inline detail::SockRecv sock_recv(const Socket& socket, std::size_t count) {
  return detail::SockRecv(socket.state(), count);
}
/// The same into `buffer`, which must live until the await is over; gives the number of bytes.
/// As: loop.sock_recv_into.
inline detail::SockRecvInto sock_recv_into(const Socket& socket, std::span<std::byte> buffer) {
  return detail::SockRecvInto(socket.state(), buffer);
}
/// Sends all of `data`, which must live until the await is over.
///
/// Errors:   OSError; CancelledError, after which any part from the front may have been sent.
/// Suspends: only while the socket's send buffer is full.
/// As:       loop.sock_sendall.
inline detail::SockSendall sock_sendall(const Socket& socket, std::span<const std::byte> data) {
  return detail::SockSendall(socket.state(), data);
}
inline detail::SockSendall sock_sendall(const Socket& socket, std::string_view data) {
  return sock_sendall(socket, std::as_bytes(std::span(data)));
}
/// Accepts one connection on a listening socket; gives {socket, address}.
///
/// Errors:   OSError; CancelledError, after which nothing has been accepted.
/// Suspends: only while there is none.
/// As:       loop.sock_accept.
inline detail::SockAccept sock_accept(const Socket& socket) {
  return detail::SockAccept(socket.state());
}
/// Connects. A connection that came about before a cancel took effect stands, and the cancel is due
/// at the next await that waits.
///
/// Errors:   OSError (ConnectionRefusedError ...); CancelledError.
/// Suspends: always.
/// As:       loop.sock_connect (numeric addresses only).
inline detail::SockConnect sock_connect(const Socket& socket, const Address& address) {
  return detail::SockConnect(socket.state(), address);
}

}  // namespace rota
