/// server.hpp: http::start_server, HTTP/1.1 on every loop that one wants.
///
/// What a request may not be (ambiguous lengths, bare line ends, ...) is refused with 400 and the
/// connection closed: io/http/README.md lists it. No TLS here; put a proxy in front.
#pragma once

#include <rota/address.hpp>
#include <rota/coro.hpp>
#include <rota/http/router.hpp>
#include <rota/loop.hpp>
#include <rota/server.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace rota::http {

namespace detail {
class ServerApp;
}  // namespace detail

/// How to serve, and what a client may cost. Times are kept to about a second, or a quarter of the
/// shortest.
struct ServerOptions {
  int backlog = 4096;                   ///< Connections that may wait to be accepted.
  bool reuse_port = false;              ///< As rota::ServerOptions.
  std::span<const LoopHandle> loops{};  ///< The loops to serve on. Empty: the calling one.

  std::size_t max_connections = 10'000;           ///< More are answered 503 and closed.
  std::size_t body_limit = std::size_t{1} << 20;  ///< Bytes; more is answered 413.
  std::size_t max_requests = 0;                   ///< On one connection; 0: any number.
  std::chrono::nanoseconds head_timeout = std::chrono::seconds(10);  ///< From a head's first byte.
  std::chrono::nanoseconds idle_timeout = std::chrono::seconds(60);  ///< Between two requests.
  /// For a body to come: this long, and a second more for each `body_rate` bytes of it.
  std::chrono::nanoseconds body_timeout = std::chrono::seconds(30);
  std::size_t body_rate = 240;
  std::chrono::nanoseconds write_timeout = std::chrono::seconds(30);  ///< To take what is unsent.
};

/// Of one loop of a server. Each number is right, but they are not of one moment.
struct ServerStats {
  std::uint64_t loop_id = 0;
  std::uint64_t connections = 0;  ///< Open now.
  std::uint64_t connections_total = 0;
  std::uint64_t requests_total = 0;  ///< Answered by a handler, whatever the answer.
  std::uint64_t refused_total = 0;   ///< Malformed, too large, too slow, or too many.
};

/// A running server. A handle: copies mean the same one, which goes on without handles until its
/// loop ends.
class Server {
 public:
  Server(std::shared_ptr<detail::ServerApp> app, rota::Server server) noexcept
      : app_(std::move(app)), server_(std::move(server)) {}

  /// Stops listening; answers what comes on the connections that there are, the last time with
  /// "Connection: close"; those that stay silent are closed after a moment. Gives when all have
  /// ended, at the latest after `grace` and what it takes to close the rest. Thread: a loop's.
  Coro<> close(std::chrono::nanoseconds grace) const;
  /// Waits without end; cancelling it closes the server and its connections at once. Thread: the
  /// loop that made it. Errors: CancelledError.
  Coro<> serve_forever() const;

  std::vector<Address> sockets() const;    ///< What it listens on.
  std::uint16_t port() const noexcept;     ///< Of the first address.
  std::vector<ServerStats> stats() const;  ///< For each of its loops. Thread: any.

 private:
  std::shared_ptr<detail::ServerApp> app_;
  rota::Server server_;
};

/// Listens on `host` and `port` as rota::start_server does, and answers requests by `router`.
/// Errors: OSError; RuntimeError outside of a loop; ValueError (a time that is not positive).
/// Thread: a loop's. Suspends: never.
Coro<Server> start_server(Router router, std::string host, std::uint16_t port,
                          ServerOptions options = {});

}  // namespace rota::http
