/// server_state.hpp: a server on all its loops.
///
/// The state is shared by handles, listeners and connections. Each loop has a *share* of it, whose
/// lists only that loop touches; others send it a message. What keeps a server from being over is
/// counted in one number: that it is open, each listener, each connection. Whoever takes the last
/// one away tells the home loop, where wait_closed() is answered.
#pragma once

#include <rota/context.hpp>
#include <rota/detail/atomic.hpp>
#include <rota/detail/immovable.hpp>
#include <rota/future.hpp>
#include <rota/server.hpp>
#include <rota/task.hpp>

#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace rota::detail {

class Listener;
class ServerConnection;
class ServerState;

/// A server's part on one loop.
struct ServerShare : Immovable {
  ServerShare(ServerState& whole, LoopHandle handle, ConnectionHandler handler_copy)
      : server(whole), loop(std::move(handle)), handler(std::move(handler_copy)) {}
  bool is_here() const noexcept { return loop.core() == running_core(); }

  ServerState& server;
  const LoopHandle loop;
  /// Connections there and on the way there. Written by whoever hands one over and by the owner,
  /// read by the acceptor: all relaxed, since it only guides a choice.
  atomic<std::size_t> residents{0};
  // The owner's:
  ConnectionHandler handler;
  std::vector<Listener*> listeners;
  ServerConnection* first_connection = nullptr;
};

class ServerState : public std::enable_shared_from_this<ServerState>, Immovable {
 public:
  /// On the home loop. Errors: OSError, RuntimeError, ValueError.
  ServerState(const ConnectionHandler& handler, const std::vector<Socket>& sockets,
              const ServerOptions& options);
  /// Makes the listeners; with options.start_serving they listen. Once.
  void open(std::vector<Socket> sockets);

  // --- any thread ---
  void close();
  void start_serving();
  void close_clients();
  void abort_clients();
  bool is_closed() const noexcept { return closed_.load(std::memory_order_relaxed); }
  bool is_serving() const noexcept {
    return serving_.load(std::memory_order_relaxed) && !is_closed();  // two hints for the caller
  }
  const std::vector<Address>& addresses() const noexcept { return addresses_; }
  const LoopHandle& home() const noexcept { return shares_.front()->loop; }
  /// Sets `future`, of the running loop, when the server is over.
  void tell_when_over(Future<> future);

  // --- home loop ---
  Future<> begin_serve_forever();  ///< Errors: RuntimeError.
  void end_serve_forever() noexcept { forever_.reset(); }

  // --- for listeners and connections ---
  /// One thing more, or less, that keeps the server from being over.
  void add() noexcept;
  void done() noexcept;
  /// Finds a loop for the accepted `fd`, and hands it over. On `here`'s loop.
  void place(ServerShare& here, int fd) noexcept;
  void report(const char* message, std::exception_ptr exception,
              std::string task_name) const noexcept;
  const ServerOptions& options() const noexcept { return options_; }

 private:
  class Handover;
  struct Opening;
  /// Who waits for the end.
  struct Waiting {
    LoopHandle loop;
    Future<> future;
  };

  void add_share(LoopHandle loop, const ConnectionHandler& handler);
  ServerShare& choose(ServerShare& here) noexcept;
  void serve(ServerShare& share, int fd) noexcept;
  void on_share(ServerShare& share, std::function<void(ServerShare&)> action);
  void tell_here(LoopHandle loop, Future<> future);
  void over() noexcept;

  ServerOptions options_;  ///< Without loops.
  Context context_;        ///< Of who made the server; each handler runs in a copy.
  std::vector<std::unique_ptr<ServerShare>> shares_;  ///< The home loop's is the first.
  std::vector<ServerShare*> targets_;                 ///< Those that handlers run on.
  std::vector<Address> addresses_;
  std::vector<int> descriptors_;  ///< Of the listeners, which own them.
  /// That it is open, listeners and connections. Any loop adds while it holds one itself; see
  /// done().
  atomic<std::size_t> count_{1};
  atomic<bool> closed_{false};   ///< Set once, by any thread.
  atomic<bool> serving_{false};  ///< Set once, by any thread.
  // The home loop's:
  std::optional<Future<>> forever_;
  std::vector<Waiting> waiting_;
  bool over_ = false;
  std::size_t turn_ = 0;  ///< The acceptor's: where choose() begins.
};

}  // namespace rota::detail
