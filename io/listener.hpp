/// listener.hpp: one listening socket on one loop: a multishot accept, and what it does when the
/// kernel has no descriptors left.
#pragma once

#include <rota/detail/operation.hpp>
#include <rota/loop.hpp>
#include <rota/socket.hpp>

#include <memory>
#include <vector>

namespace rota::detail {

class ServerState;
struct ServerShare;

struct ServeNode : Runnable {
  using Runnable::Runnable;
};

/// Belongs to its loop's Listeners. Connections that were accepted before close() are served;
/// later ones are closed.
class Listener final : public Operation, public ServeNode, public TimerNode {
 public:
  /// Owner. Adds itself to the loop's Listeners, to the share, and to what keeps the server open.
  static void open(std::shared_ptr<ServerState> server, ServerShare& share, Socket socket);
  ~Listener() override;

  void start() noexcept;  ///< Begins to accept. Owner.
  void close() noexcept;  ///< It may be gone after this. Owner.

 private:
  friend class Listeners;
  enum class Phase : std::uint8_t { bound, accepting, closing };

  Listener(std::shared_ptr<ServerState> server, ServerShare& share, Socket socket);
  void arm() noexcept;
  void on_result(int result, std::uint32_t flags) noexcept override;
  void on_settled() noexcept override;
  void queue_serve() noexcept;
  void end_if_idle() noexcept;
  void serve() noexcept;
  void report_error() noexcept;
  static void run_serve(Runnable& node, bool dropped) noexcept;
  static void retry(TimerNode& node) noexcept;

  std::shared_ptr<ServerState> server_;
  ServerShare& share_;
  Socket socket_;
  std::vector<int> accepted_;
  int error_ = 0;          ///< To be reported: an errno.
  bool reported_ = false;  ///< Already, and no accept has succeeded since.
  bool serve_queued_ = false;
  Phase phase_ = Phase::bound;
};

/// The listeners of one loop: they end with it.
class Listeners final : public LoopService {
 public:
  static Listeners& of(EventLoop& loop);
  ~Listeners() override;
  void add(std::unique_ptr<Listener> listener) { all_.push_back(std::move(listener)); }
  void remove(Listener& listener) noexcept;

 private:
  std::vector<std::unique_ptr<Listener>> all_;
};

}  // namespace rota::detail
