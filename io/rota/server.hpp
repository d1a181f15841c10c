/// server.hpp: start_server(), which listens and makes a task of every connection.
#pragma once

#include <rota/address.hpp>
#include <rota/coro.hpp>
#include <rota/loop.hpp>
#include <rota/socket.hpp>
#include <rota/streams.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace rota {

namespace detail {
class ServerState;
}  // namespace detail

/// How to listen, and where handlers run.
struct ServerOptions {
  int backlog = 100;                         ///< Connections that may wait to be accepted.
  std::size_t limit = default_stream_limit;  ///< Of the readers, in bytes.
  bool reuse_address = true;                 ///< Not to wait for the ends of old connections.
  /// A listening socket for each loop, between which the kernel chooses by the peer's address;
  /// other processes may share the port too. False: one, and each connection goes to the loop with
  /// fewer of two.
  bool reuse_port = false;
  bool start_serving = true;  ///< False: not before start_serving() or serve_forever().
  /// The loops that handlers run on. Empty: the calling one, so that handlers may share plain data
  /// as in asyncio. Several: handlers must be thread-safe.
  std::span<const LoopHandle> loops{};
};

/// A listening server. A handle: copies mean the same server, which goes on without handles until
/// it is closed or its loop is. Thread: any, where nothing else is said; functions act on the
/// server's other loops by message. As: asyncio.Server.
class Server {
 public:
  explicit Server(std::shared_ptr<detail::ServerState> state) noexcept : state_(std::move(state)) {}

  /// Stops listening. Connections live on. Idempotent. Suspends: never.
  void close() const;
  /// close(), then gives the connections `grace` to end by themselves; then close_clients(), and as
  /// long again; then abort_clients(). Gives when the last one has ended. Cancelled, it leaves the
  /// rest undone. Thread: a loop's. (Not in asyncio.)
  Coro<> close(std::chrono::nanoseconds grace) const;
  /// Waits until close() was called and the last connection has ended. Thread: a loop's.
  Coro<> wait_closed() const;
  void close_clients() const;  ///< Closes every connection, after what was written is sent.
  void abort_clients() const;  ///< Closes every connection now.

  /// Begins to accept, if that has not begun. Errors: RuntimeError when closed; OSError.
  void start_serving() const;
  /// start_serving(), then waits without end. Cancelling it closes the server and its connections.
  /// Thread: the loop that made the server. Errors: RuntimeError (closed, or called twice at a
  /// time); CancelledError, also when the server is closed meanwhile.
  Coro<> serve_forever() const;
  bool is_serving() const noexcept;

  /// What it listens on; nothing once closed. (asyncio gives the sockets.)
  std::vector<Address> sockets() const;
  std::uint16_t port() const noexcept;  ///< Of the first address; also when closed.
  LoopHandle get_loop() const;          ///< The loop that made it.

  // As a scope: `co_await with(co_await start_server(...), body)` closes and waits.
  void aenter() const noexcept {}
  Coro<> aexit(const std::exception_ptr& exception) const;

 private:
  std::shared_ptr<detail::ServerState> state_;
};

namespace detail {

using ConnectionHandler = std::function<Coro<>(StreamReader, StreamWriter)>;

template <typename Handler>
ConnectionHandler connection_handler(Handler handler) {
  using Given = std::invoke_result_t<Handler&, StreamReader, StreamWriter>;
  if constexpr (std::same_as<Given, Coro<>>) {
    return handler;
  } else if constexpr (std::is_void_v<Given>) {
    return [handler = std::move(handler)](StreamReader reader, StreamWriter writer) mutable {
      handler(std::move(reader), std::move(writer));
      return []() -> Coro<> { co_return; }();
    };
  } else {
    return [handler = std::move(handler)](StreamReader reader, StreamWriter writer) mutable {
      return [](Given given) -> Coro<> {
        co_await std::move(given);
      }(handler(std::move(reader), std::move(writer)));
    };
  }
}

Coro<Server> start_server_on(ConnectionHandler handler, std::string host, std::uint16_t port,
                             const ServerOptions& options);
Coro<Server> start_server_on(ConnectionHandler handler, Socket socket,
                             const ServerOptions& options);

}  // namespace detail

/// Listens on `host` (a numeric address, "localhost", or "": everywhere) and `port` (0: a free
/// one), and calls `handler(StreamReader, StreamWriter)` for each connection; the Coro that it
/// gives becomes a task. What a handler throws is told to the exception handler, and ends its
/// connection; a ConnectionError (the peer has gone) is told in debug mode only. For several loops
/// the handler is copied to each.
///
/// Errors:   OSError with the address; RuntimeError outside of a loop; ValueError (limit 0).
/// Thread:   a loop's.
/// Suspends: never.
/// As:       asyncio.start_server. (Names need a resolver.)
template <typename Handler>
  requires std::invocable<Handler&, StreamReader, StreamWriter>
Coro<Server> start_server(Handler handler, std::string host, std::uint16_t port,
                          ServerOptions options = {}) {
  return detail::start_server_on(detail::connection_handler(std::move(handler)), std::move(host),
                                 port, options);
}
/// The same on a bound stream socket, which it takes over. Errors: ValueError (another type).
template <typename Handler>
  requires std::invocable<Handler&, StreamReader, StreamWriter>
Coro<Server> start_server(Handler handler, Socket socket, ServerOptions options = {}) {
  return detail::start_server_on(detail::connection_handler(std::move(handler)), std::move(socket),
                                 options);
}

}  // namespace rota
