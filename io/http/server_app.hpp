/// server_app.hpp: what the connections of a server share: its routes and options, and for each
/// loop their list, the date, and the clock that their time limits go by.
#pragma once

#include <rota/detail/atomic.hpp>
#include <rota/detail/immovable.hpp>
#include <rota/http/router.hpp>
#include <rota/http/server.hpp>
#include <rota/loop.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace rota::http::detail {

class Connection;
class ServerApp;

/// A count that one loop writes and any thread reads.
class Counter {
 public:
  void add(std::uint64_t more) noexcept {
    // relaxed: one writer, and readers want only the number.
    value_.store(value_.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
  }
  std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  rota::detail::atomic<std::uint64_t> value_{0};
};

/// One loop's part of a server. That loop's thread only, but for stats().
///
/// While it has connections it wakes a few times per shortest time limit, at least once a second:
/// to look for those that have taken too long, and to write the date. So a request costs neither a
/// timer nor a look at the clock.
class Share : rota::detail::Immovable {
 public:
  Share(const ServerOptions& options, LoopHandle loop);

  void enter(const std::shared_ptr<const ServerApp>& app, Connection& connection);
  void leave(Connection& connection) noexcept;
  /// From here on each connection ends with its next answer, or after `patience` without a request.
  void begin_drain(std::chrono::nanoseconds patience);
  bool draining() const noexcept { return draining_; }

  std::int64_t now() const noexcept { return now_; }                  ///< ns; at most a tick old.
  std::string_view date_line() const noexcept { return date_line_; }  ///< "Date: ...\r\n"
  const LoopHandle& loop() const noexcept { return loop_; }
  ServerStats stats() const noexcept;

  Counter opened;    ///< Connections.
  Counter closed;    ///< Connections.
  Counter answered;  ///< Requests that a handler was given.
  Counter refused;

 private:
  void tick(const std::shared_ptr<const ServerApp>& app);
  void read_clocks();

  const LoopHandle loop_;
  const std::chrono::nanoseconds period_;
  Connection* first_ = nullptr;
  std::int64_t now_ = 0;
  std::string date_line_;
  bool ticking_ = false;
  bool draining_ = false;
};

class ServerApp : rota::detail::Immovable {
 public:
  ServerApp(Router router_, const ServerOptions& options_, const std::vector<LoopHandle>& loops);

  Share& share_here() const;  ///< The running loop's.

  const Router router;
  const ServerOptions options;
  std::vector<std::unique_ptr<Share>> shares;
  mutable rota::detail::atomic<std::size_t> connections{0};  ///< Of all loops; relaxed: a limit.
};

/// The handler of rota::start_server.
Coro<> serve_connection(std::shared_ptr<const ServerApp> app, StreamReader reader,
                        StreamWriter writer);

}  // namespace rota::http::detail
