#include <rota/error.hpp>
#include <rota/http/server.hpp>
#include <rota/server.hpp>

#include "server_app.hpp"

#include <algorithm>
#include <utility>

namespace rota::http {
namespace {

void require_positive(std::chrono::nanoseconds time, const char* name) {
  if (time.count() <= 0) throw ValueError(std::string(name) + " must be positive");
}

void check_options(const ServerOptions& options) {
  require_positive(options.head_timeout, "head_timeout");
  require_positive(options.idle_timeout, "idle_timeout");
  require_positive(options.body_timeout, "body_timeout");
  require_positive(options.write_timeout, "write_timeout");
}

}  // namespace

Coro<Server> start_server(Router router, std::string host, std::uint16_t port,
                          ServerOptions options) {
  check_options(options);
  std::vector<LoopHandle> loops(options.loops.begin(), options.loops.end());
  if (loops.empty()) loops.push_back(get_running_loop().handle());
  options.loops = {};  // the caller's
  const auto app = std::make_shared<detail::ServerApp>(std::move(router), options, loops);
  rota::ServerOptions listening;
  listening.backlog = options.backlog;
  listening.reuse_port = options.reuse_port;
  listening.loops = loops;
  const auto handler = [app](StreamReader reader, StreamWriter writer) {
    return detail::serve_connection(app, std::move(reader), std::move(writer));
  };
  rota::Server server = co_await rota::start_server(handler, std::move(host), port, listening);
  co_return Server(app, std::move(server));
}

Coro<> Server::close(std::chrono::nanoseconds grace) const {
  for (const auto& share : app_->shares) {
    try {
      share->loop().call_soon_threadsafe(
          [app = app_, &share = *share, grace] { share.begin_drain(grace / 2); });
    } catch (const RuntimeError&) {
      continue;  // its loop is closed, and its connections with it
    }
  }
  return server_.close(grace);
}

Coro<> Server::serve_forever() const { return server_.serve_forever(); }

std::vector<Address> Server::sockets() const { return server_.sockets(); }

std::uint16_t Server::port() const noexcept { return server_.port(); }

std::vector<ServerStats> Server::stats() const {
  std::vector<ServerStats> all;
  for (const auto& share : app_->shares) all.push_back(share->stats());
  return all;
}

}  // namespace rota::http
