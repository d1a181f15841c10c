#include "server_state.hpp"

#include <rota/detail/bound.hpp>

#include "listener.hpp"
#include "server_connection.hpp"

#include <cerrno>
#include <new>
#include <sys/socket.h>
#include <unistd.h>

namespace rota::detail {

/// An accepted descriptor on its way to another loop: closed, and no longer counted, if that is
/// closed meanwhile. Copied because a callback may be; the copies are one.
class ServerState::Handover {
 public:
  Handover(std::shared_ptr<ServerState> server, ServerShare& share, int fd)
      : content_(std::make_shared<Content>(std::move(server), share, fd)) {}
  void operator()() {
    Content& content = *content_;
    content.server->serve(content.share, std::exchange(content.fd, -1));
  }

 private:
  struct Content : Immovable {
    Content(std::shared_ptr<ServerState> state, ServerShare& target, int accepted)
        : server(std::move(state)), share(target), fd(accepted) {}
    ~Content() {
      if (fd < 0) return;
      ::close(fd);
      share.residents.fetch_sub(1, std::memory_order_relaxed);
      server->done();
    }
    std::shared_ptr<ServerState> server;
    ServerShare& share;
    int fd;
  };
  std::shared_ptr<Content> content_;
};

/// A listening socket on its way to its loop; no longer counted if that is closed meanwhile.
struct ServerState::Opening : Immovable {
  Opening(std::shared_ptr<ServerState> state, Socket listening)
      : server(std::move(state)), socket(std::move(listening)) {
    server->add();
  }
  ~Opening() {
    if (socket.is_open()) server->done();
  }
  std::shared_ptr<ServerState> server;
  Socket socket;
};

ServerState::ServerState(const ConnectionHandler& handler, const std::vector<Socket>& sockets,
                         const ServerOptions& options)
    : options_(options), context_(copy_context()) {
  if (options.limit == 0) throw ValueError("Limit cannot be <= 0");
  for (const Socket& socket : sockets) {
    addresses_.push_back(socket.getsockname());
    descriptors_.push_back(socket.fileno());
  }
  const LoopHandle here = get_running_loop().handle();
  add_share(here, handler);
  if (options.loops.empty()) targets_.push_back(shares_.front().get());
  for (const LoopHandle& loop : options.loops) {
    if (loop != here) add_share(loop, handler);
    targets_.push_back(loop == here ? shares_.front().get() : shares_.back().get());
  }
  options_.loops = {};
}

void ServerState::add_share(LoopHandle loop, const ConnectionHandler& handler) {
  shares_.push_back(std::make_unique<ServerShare>(*this, std::move(loop), handler));
}

// --- opening and closing ----------------------------------------------------------------------

void ServerState::open(std::vector<Socket> sockets) {
  std::size_t next = 0;
  const std::size_t each = options_.reuse_port ? sockets.size() / targets_.size() : sockets.size();
  for (ServerShare* const share : targets_) {
    ServerShare& owner = options_.reuse_port ? *share : *shares_.front();
    for (std::size_t i = 0; i < each; ++i, ++next) {
      auto opening = std::make_shared<Opening>(shared_from_this(), std::move(sockets[next]));
      on_share(owner, [opening](ServerShare& here) {
        Listener::open(opening->server, here, std::move(opening->socket));
      });
    }
    if (!options_.reuse_port) break;
  }
  if (options_.start_serving) start_serving();
}

void ServerState::start_serving() {
  if (is_closed()) throw RuntimeError("the server is closed");
  // relaxed: whoever is first does it; the messages publish what they need.
  if (serving_.exchange(true, std::memory_order_relaxed)) return;
  for (const int fd : descriptors_) {
    // Not a descriptor of this process: a simulated kernel's, which listens already.
    if (::listen(fd, options_.backlog) < 0 && errno != EBADF) throw_os_error(errno, "listen");
  }
  for (const auto& share : shares_) {
    on_share(*share, [](ServerShare& here) {
      for (Listener* const listener : here.listeners) listener->start();
    });
  }
}

void ServerState::close() {
  // relaxed: only who was first matters here; what it means comes to the loops by message.
  if (closed_.exchange(true, std::memory_order_relaxed)) return;
  for (const auto& share : shares_) {
    on_share(*share, [](ServerShare& here) {
      for (Listener* const listener : std::vector(here.listeners)) listener->close();
    });
  }
  on_share(*shares_.front(), [](ServerShare& here) {
    if (here.server.forever_) here.server.forever_->cancel();
  });
  done();
}

namespace {

/// Calls `end` for each connection; it may take the connection out of the list.
void for_each_connection(ServerShare& share, void (StreamTransport::*end)() noexcept) {
  for (ServerConnection* next = share.first_connection; next != nullptr;) {
    ServerConnection& connection = *next;
    next = connection.next_connection();
    (connection.*end)();
  }
}

}  // namespace

void ServerState::close_clients() {
  for (const auto& share : shares_) {
    on_share(*share, [](ServerShare& here) { for_each_connection(here, &StreamTransport::close); });
  }
}

void ServerState::abort_clients() {
  for (const auto& share : shares_) {
    on_share(*share, [](ServerShare& here) { for_each_connection(here, &StreamTransport::abort); });
  }
}

void ServerState::on_share(ServerShare& share, std::function<void(ServerShare&)> action) {
  if (share.is_here()) {
    action(share);
    return;
  }
  try {
    share.loop.call_soon_threadsafe(
        [self = shared_from_this(), &share, action = std::move(action)] { action(share); });
  } catch (const RuntimeError&) {
    return;  // that loop is closed, and what the server had there has ended with it
  }
}

// --- being over -------------------------------------------------------------------------------

void ServerState::add() noexcept {
  count_.fetch_add(
      1, std::memory_order_relaxed);  // the caller's own part keeps the server from being over
}

void ServerState::done() noexcept {
  // acq_rel: pairs with itself: the last one sees what the others did.
  if (count_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  try {
    on_share(*shares_.front(), [](ServerShare& here) { here.server.over(); });
  } catch (const std::bad_alloc&) {
    report("A server that is over cannot say so", std::current_exception(), {});
  }
}

void ServerState::over() noexcept {
  over_ = true;
  for (Waiting& waiting : std::exchange(waiting_, {})) {
    tell_here(std::move(waiting.loop), std::move(waiting.future));
  }
}

void ServerState::tell_when_over(Future<> future) {
  LoopHandle here = get_running_loop().handle();
  if (shares_.front()->is_here()) {
    tell_here(std::move(here), std::move(future));
    return;
  }
  try {
    home().call_soon_threadsafe(
        [self = shared_from_this(), here, future] { self->tell_here(here, future); });
  } catch (const RuntimeError&) {
    future.set_result();  // the server has ended with its loop
  }
}

void ServerState::tell_here(LoopHandle loop, Future<> future) {
  if (!over_) {
    waiting_.push_back({std::move(loop), std::move(future)});
  } else if (loop.core() == running_core()) {
    if (!future.done()) future.set_result();
  } else {
    try {
      loop.call_soon_threadsafe([future = std::move(future)] {
        if (!future.done()) future.set_result();
      });
    } catch (const RuntimeError&) {
      return;  // nobody waits there any more
    }
  }
}

Future<> ServerState::begin_serve_forever() {
  if (!shares_.front()->is_here()) throw_wrong_loop("Server.serve_forever", home().core());
  if (forever_) throw RuntimeError("server is already being awaited on serve_forever()");
  if (is_closed()) throw RuntimeError("server is closed");
  start_serving();
  return forever_.emplace();
}

// --- connections ------------------------------------------------------------------------------

/// The one with fewer connections of two, which change from call to call.
ServerShare& ServerState::choose(ServerShare& here) noexcept {
  if (options_.reuse_port) return here;
  ServerShare& first = *targets_[turn_++ % targets_.size()];
  ServerShare& second = *targets_[turn_ % targets_.size()];
  // relaxed: a guess.
  const bool fewer = second.residents.load(std::memory_order_relaxed) <
                     first.residents.load(std::memory_order_relaxed);
  return fewer ? second : first;
}

void ServerState::place(ServerShare& here, int fd) noexcept {
  ServerShare& share = choose(here);
  add();
  share.residents.fetch_add(1, std::memory_order_relaxed);  // see choose()
  if (&share == &here) {
    serve(share, fd);
    return;
  }
  try {
    share.loop.call_soon_threadsafe(Handover(shared_from_this(), share, fd));
  } catch (...) {
    // The loop is closed: the handover has ended the connection.
    report("A connection could not be handed to its loop", std::current_exception(), {});
  }
}

void ServerState::serve(ServerShare& share, int fd) noexcept {
  EventLoop& loop = loop_of(*running_loop);
  ServerConnection* connection = nullptr;
  try {
    connection = new ServerConnection(loop, fd, shared_from_this(), share);
    connection->retain();
    StreamReader reader(static_cast<ReaderState&>(*connection));
    StreamWriter writer(static_cast<StreamTransport&>(*connection));
    connection->start();
    const auto make_task = [&] {
      return loop.create_task(share.handler(std::move(reader), std::move(writer)));
    };
    const bool has_context = context_.cell()->values != nullptr;
    const Task<> task =
        has_context ? context_.run([] { return copy_context(); }).run(make_task) : make_task();
    connection->watch(*task.base());
  } catch (...) {
    report("A connection could not be served", std::current_exception(), {});
    if (connection != nullptr) return;  // its writer's destructor has closed it
    running_loop->kernel->close(fd);
    share.residents.fetch_sub(1, std::memory_order_relaxed);
    done();
  }
}

void ServerState::report(const char* message, std::exception_ptr exception,
                         std::string task_name) const noexcept {
  loop_of(*running_loop)
      .call_exception_handler({message, std::move(exception), std::move(task_name)});
}

}  // namespace rota::detail
