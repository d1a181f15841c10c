#include "server_connection.hpp"

#include <rota/error.hpp>

#include "server_state.hpp"

#include <exception>

namespace rota::detail {
namespace {

/// A connection that was lost: a handler need not catch it, and a busy server would talk of little
/// else.
bool is_peers_doing(const std::exception_ptr& error) noexcept {
  try {
    std::rethrow_exception(error);
  } catch (const ConnectionError&) {
    return true;
  } catch (...) {
    (void)std::current_exception();
    return false;
  }
}

}  // namespace

ServerConnection::ServerConnection(EventLoop& loop, int fd, std::shared_ptr<ServerState> server,
                                   ServerShare& share)
    : StreamTransport(loop, fd, server->options().limit),
      Waiter(&ServerConnection::task_done),
      ReportNode(&ServerConnection::run_report),
      server_(std::move(server)),
      share_(share),
      next_(share.first_connection) {
  if (next_ != nullptr) next_->previous_ = this;
  share.first_connection = this;
}

void ServerConnection::on_closed() noexcept {
  (previous_ == nullptr ? share_.first_connection : previous_->next_) = next_;
  if (next_ != nullptr) next_->previous_ = previous_;
  share_.residents.fetch_sub(1, std::memory_order_relaxed);
  server_->done();
}

void ServerConnection::watch(TaskBase& task) noexcept {
  task.retain();
  task_ = &task;
  retain();  // until task_done()
  task.waiters().push(*this);
}

void ServerConnection::task_done(Waiter& waiter, bool /*abandoned*/) noexcept {
  auto& self = static_cast<ServerConnection&>(waiter);
  const Outcome outcome = self.task_->outcome();
  if (outcome == Outcome::exception) {
    self.task_->mark_retrieved();
    running_loop->ready.push(static_cast<ReportNode&>(self));
    return;
  }
  if (outcome == Outcome::cancelled) self.close();
  // After a value: a handler may have given its writer to somebody else.
  std::exchange(self.task_, nullptr)->release();
  self.release();
}

void ServerConnection::run_report(Runnable& node, bool dropped) noexcept {
  auto& self = static_cast<ServerConnection&>(static_cast<ReportNode&>(node));
  TaskBase& task = *std::exchange(self.task_, nullptr);
  if (!dropped) {
    const std::exception_ptr& error = task.operations().exception(task);
    if (!is_peers_doing(error) || loop_of(*running_loop).get_debug()) {
      self.server_->report("Unhandled exception in a connection handler", error, task.name());
    }
    self.close();
  }
  task.release();
  self.release();
}

}  // namespace rota::detail
