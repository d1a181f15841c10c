/// server_connection.hpp: a connection that a server accepted, with its handler's task.
#pragma once

#include <rota/detail/stream_transport.hpp>
#include <rota/task.hpp>

#include <memory>

namespace rota::detail {

class ServerState;
struct ServerShare;

struct ReportNode : Runnable {
  using Runnable::Runnable;
};

class ServerConnection final : public StreamTransport, public Waiter, public ReportNode {
 public:
  /// Owner. Takes over `fd`, links itself into the share. As StreamTransport.
  ServerConnection(EventLoop& loop, int fd, std::shared_ptr<ServerState> server,
                   ServerShare& share);

  /// The connection is told when the task ends. Owner, once.
  void watch(TaskBase& task) noexcept;
  ServerConnection* next_connection() const noexcept { return next_; }

 private:
  ~ServerConnection() override = default;
  void on_closed() noexcept override;
  static void task_done(Waiter& waiter, bool abandoned) noexcept;
  static void run_report(Runnable& node, bool dropped) noexcept;

  std::shared_ptr<ServerState> server_;
  ServerShare& share_;
  TaskBase* task_ = nullptr;          ///< A reference, from watch() until it was reported.
  ServerConnection* next_ = nullptr;  ///< In the share's list.
  ServerConnection* previous_ = nullptr;
};

}  // namespace rota::detail
