#include <rota/server.hpp>

#include "server_state.hpp"

#include <cerrno>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <optional>
#include <sys/socket.h>

namespace rota {
namespace detail {
namespace {

/// A socket bound to `address`. Errors: OSError with the address in its text.
Socket bound_socket(const Address& address, const ServerOptions& options) {
  Socket socket = Socket::make(address.family());
  if (options.reuse_address) socket.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1);
  if (options.reuse_port) socket.setsockopt(SOL_SOCKET, SO_REUSEPORT, 1);
  // So that the IPv4 socket may have the same port.
  if (address.family() == AF_INET6) socket.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 1);
  socket.bind(address);
  return socket;
}

/// One socket for each address. Of several, those of a family that this machine lacks are left out.
/// Returns: nothing when a port that was free for the first address is taken for another one.
std::optional<std::vector<Socket>> try_bind(const std::vector<Address>& addresses,
                                            const ServerOptions& options) {
  std::vector<Socket> sockets;
  for (const Address& address : addresses) {
    const bool follows = address.port() == 0 && !sockets.empty();
    const std::uint16_t port = follows ? sockets.front().getsockname().port() : address.port();
    try {
      sockets.push_back(bound_socket(address.with_port(port), options));
    } catch (const OSError& error) {
      const int code = error.code().value();
      if (follows && code == EADDRINUSE) return std::nullopt;
      const bool lacking = code == EAFNOSUPPORT || code == EADDRNOTAVAIL;
      if (!lacking || &address != &addresses.back() || sockets.empty()) throw;
    }
  }
  return sockets;
}

std::vector<Socket> bind_all(const std::vector<Address>& addresses, const ServerOptions& options) {
  constexpr int tries = 16;  // free ports that somebody else has in the other family
  for (int i = 1; i < tries; ++i) {
    if (auto sockets = try_bind(addresses, options)) return std::move(*sockets);
  }
  throw OSError(EADDRINUSE, "no port is free for both IPv4 and IPv6");
}

Server open_server(const ConnectionHandler& handler, std::vector<Socket> sockets,
                   const ServerOptions& options) {
  for (const Socket& socket : sockets) {
    // Accepted sockets inherit it. What is not TCP refuses, which is as good.
    const int on = 1;
    ::setsockopt(socket.fileno(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  auto state = std::make_shared<ServerState>(handler, sockets, options);
  state->open(std::move(sockets));
  return Server(std::move(state));
}

/// The options' span may end before the coroutine runs: so this has a vector of its own.
Coro<Server> bind_and_open(ConnectionHandler handler, std::string host, std::uint16_t port,
                           ServerOptions options, std::vector<LoopHandle> loops) {
  options.loops = loops;
  auto sockets = bind_all(numeric_addresses(host, port, AddressUse::listen), options);
  if (options.reuse_port) {
    // A listening socket for each further loop, at the same addresses.
    std::vector<Address> addresses;
    addresses.reserve(sockets.size());
    for (const Socket& socket : sockets) addresses.push_back(socket.getsockname());
    for (std::size_t i = 1; i < loops.size(); ++i) {
      for (Socket& socket : bind_all(addresses, options)) sockets.push_back(std::move(socket));
    }
  }
  co_return open_server(handler, std::move(sockets), options);
}

Coro<Server> adopt_and_open(ConnectionHandler handler, Socket socket, ServerOptions options,
                            std::vector<LoopHandle> loops) {
  options.loops = loops;
  int type = 0;
  socklen_t bytes = sizeof type;
  if (::getsockopt(socket.fileno(), SOL_SOCKET, SO_TYPE, &type, &bytes) == 0 &&
      type != SOCK_STREAM) {
    throw ValueError("A stream socket was expected");
  }
  if (options.reuse_port && loops.size() > 1) {
    throw ValueError("reuse_port needs a socket for each loop: give host and port");
  }
  std::vector<Socket> sockets;
  sockets.push_back(std::move(socket));
  co_return open_server(handler, std::move(sockets), options);
}

std::vector<LoopHandle> copied(std::span<const LoopHandle> loops) {
  return {loops.begin(), loops.end()};
}

Coro<> wait_until_over(std::shared_ptr<ServerState> state) {
  const Future<> over;
  state->tell_when_over(over);
  co_await over;
}

Coro<> serve_until_cancelled(std::shared_ptr<ServerState> state) {
  const Future<> forever = state->begin_serve_forever();
  std::exception_ptr cancelled;
  try {
    co_await forever;
  } catch (const CancelledError&) {
    cancelled = std::current_exception();
  }
  state->end_serve_forever();
  state->close();
  state->close_clients();
  co_await wait_until_over(state);
  std::rethrow_exception(cancelled);
}

/// Sets a future when time is over, unless it is set before.
class Deadline : Immovable {
 public:
  Deadline(Future<> future, Duration delay)
      : timer_(get_running_loop().call_later(delay, [this] { pass(); })),
        future_(std::move(future)) {}
  ~Deadline() { timer_.cancel(); }
  bool has_passed() const noexcept { return passed_; }

 private:
  void pass() {
    if (future_.done()) return;
    passed_ = true;
    future_.set_result();
  }

  TimerHandle timer_;
  Future<> future_;
  bool passed_ = false;
};

/// Whether the server was over before `delay` had passed.
Coro<bool> is_over_within(std::shared_ptr<ServerState> state, Duration delay) {
  const Future<> over;
  state->tell_when_over(over);
  const Deadline deadline(over, delay);
  co_await over;
  co_return !deadline.has_passed();
}

Coro<> close_with_grace(std::shared_ptr<ServerState> state, Duration grace) {
  // No co_await in a condition: `if (co_await f()) co_return;` ends in a wild jump under g++ 12.
  state->close();
  bool over = co_await is_over_within(state, grace);
  if (over) co_return;
  state->close_clients();
  over = co_await is_over_within(state, grace);
  if (over) co_return;
  state->abort_clients();
  co_await wait_until_over(state);
}

Coro<> close_and_wait(std::shared_ptr<ServerState> state) {
  state->close();
  co_await wait_until_over(std::move(state));
}

}  // namespace

Coro<Server> start_server_on(ConnectionHandler handler, std::string host, std::uint16_t port,
                             const ServerOptions& options) {
  return bind_and_open(std::move(handler), std::move(host), port, options, copied(options.loops));
}

Coro<Server> start_server_on(ConnectionHandler handler, Socket socket,
                             const ServerOptions& options) {
  return adopt_and_open(std::move(handler), std::move(socket), options, copied(options.loops));
}

}  // namespace detail

void Server::close() const { state_->close(); }
Coro<> Server::close(std::chrono::nanoseconds grace) const {
  return detail::close_with_grace(state_, grace);
}
Coro<> Server::wait_closed() const { return detail::wait_until_over(state_); }
void Server::close_clients() const { state_->close_clients(); }
void Server::abort_clients() const { state_->abort_clients(); }
void Server::start_serving() const { state_->start_serving(); }
Coro<> Server::serve_forever() const { return detail::serve_until_cancelled(state_); }
bool Server::is_serving() const noexcept { return state_->is_serving(); }
std::uint16_t Server::port() const noexcept { return state_->addresses().front().port(); }
LoopHandle Server::get_loop() const { return state_->home(); }
Coro<> Server::aexit(const std::exception_ptr& /*exception*/) const {
  return detail::close_and_wait(state_);
}

std::vector<Address> Server::sockets() const {
  if (state_->is_closed()) return {};
  return state_->addresses();
}

}  // namespace rota
