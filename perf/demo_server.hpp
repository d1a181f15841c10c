/// demo_server.hpp: the example's HTTP server as a child process, and what it says of itself.
#pragma once

#include <rota/coro.hpp>

#include <cstdint>
#include <string>
#include <sys/types.h>
#include <vector>

namespace demo {

struct ServerOptions {
  std::string program;     ///< The path of http_server.
  unsigned loops = 0;      ///< 0: one for each CPU.
  std::uint16_t port = 0;  ///< 0: any that is free.
};

/// The child. It lives as long as this object; if we are killed, the kernel ends it. It has a
/// process group of its own: Ctrl-C is ours, and it is ended when its load has been.
class ServerProcess {
 public:
  /// Starts it, and waits until it listens. To be called before there are other threads. Errors:
  /// std::runtime_error.
  explicit ServerProcess(const ServerOptions& options);
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;
  ~ServerProcess();  ///< end().

  const std::string& url() const noexcept { return url_; }  ///< "http://127.0.0.1:40123"
  std::uint16_t port() const noexcept { return port_; }

  /// Lets it finish what it was asked, kills it if that takes too long. Returns its exit status, or
  /// -1 when a signal ended it. Idempotent.
  int end() noexcept;

 private:
  void start(const ServerOptions& options);
  void read_url();
  bool wait_for_output(int milliseconds) const noexcept;

  pid_t child_ = -1;  ///< -1: it has been waited for.
  int output_ = -1;
  int status_ = -1;
  std::string url_;
  std::uint16_t port_ = 0;
};

/// Of one loop of the server. Totals since it started, but for tasks and connections: now.
struct LoopFigures {
  std::uint64_t steps = 0;
  std::uint64_t tasks = 0;
  std::uint64_t wakes = 0;
  std::uint64_t requests = 0;
  std::uint64_t connections = 0;
};

struct ServerFigures {
  std::vector<LoopFigures> loops;
  std::uint64_t queued = 0;  ///< Calls that wait for the CPU pool.
  std::uint64_t running = 0;
  std::uint64_t finished = 0;  ///< Since the server started.
};

/// Asks /stats. Errors: std::runtime_error, and OSError, when the server does not answer as it
/// should.
rota::Coro<ServerFigures> ask_figures(std::uint16_t port);

}  // namespace demo
