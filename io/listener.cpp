#include "listener.hpp"

#include "server_state.hpp"

#include <liburing.h>

#include <algorithm>
#include <cerrno>
#include <sys/socket.h>

namespace rota::detail {
namespace {

/// After an error that time cures: Trio's figure. asyncio waits a second, which clients notice.
constexpr std::int64_t retry_delay = 100'000'000;  // ns

/// Errors of one connection, not of the listener: accept(2), Error handling.
bool concerns_one_connection(int error) noexcept {
  switch (error) {
    case ECONNABORTED:
    case EINTR:
    case EAGAIN:
    case EPROTO:
    case EPERM:  // a firewall's
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ENONET:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
      return true;
    default:
      return false;
  }
}

}  // namespace

Listener::Listener(std::shared_ptr<ServerState> server, ServerShare& share, Socket socket)
    : Operation("accept"),
      ServeNode(&Listener::run_serve),
      TimerNode(&Listener::retry),
      server_(std::move(server)),
      share_(share),
      socket_(std::move(socket)) {}

Listener::~Listener() {
  for (const int fd : accepted_) running_loop->kernel->close(fd);
}

void Listener::open(std::shared_ptr<ServerState> server, ServerShare& share, Socket socket) {
  std::unique_ptr<Listener> listener(new Listener(std::move(server), share, std::move(socket)));
  Listener& opened = *listener;
  share.listeners.push_back(&opened);
  Listeners::of(loop_of(*running_loop)).add(std::move(listener));
}

void Listener::start() noexcept {
  if (phase_ != Phase::bound) return;
  phase_ = Phase::accepting;
  arm();
}

void Listener::arm() noexcept {
  EventLoop& loop = loop_of(*running_loop);
  if (loop.closing) return;
  io_uring_sqe& sqe = start_operation(loop, *this, socket_.fileno());
  io_uring_prep_multishot_accept(&sqe, socket_.fileno(), nullptr, nullptr,
                                 SOCK_CLOEXEC | SOCK_NONBLOCK);
}

void Listener::on_result(int result, std::uint32_t /*flags*/) noexcept {
  result_ = result;
  if (result < 0) return;
  reported_ = false;
  if (phase_ == Phase::closing || loop_of(*running_loop).closing) {
    running_loop->kernel->close(result);
    return;
  }
  accepted_.push_back(result);
  queue_serve();
}

void Listener::on_settled() noexcept {
  if (loop_of(*running_loop).closing) return;  // ~Listeners ends it
  if (phase_ == Phase::closing) {
    end_if_idle();
  } else if (result_ >= 0 || concerns_one_connection(-result_)) {
    arm();  // an overflow of completions ends it too
  } else {
    if (!std::exchange(reported_, true)) {
      error_ = -result_;
      queue_serve();
    }
    when = deadline_after(running_loop->now(), Duration(retry_delay));
    running_loop->timers.arm(*this);
  }
}

void Listener::retry(TimerNode& node) noexcept { static_cast<Listener&>(node).arm(); }

void Listener::queue_serve() noexcept {
  if (std::exchange(serve_queued_, true)) return;
  running_loop->ready.push(static_cast<ServeNode&>(*this));
}

void Listener::run_serve(Runnable& node, bool dropped) noexcept {
  auto& self = static_cast<Listener&>(static_cast<ServeNode&>(node));
  self.serve_queued_ = false;
  if (dropped) return;
  self.serve();
  if (self.phase_ == Phase::closing) self.end_if_idle();
}

void Listener::serve() noexcept {
  // What a handler's function does may come back to us, but not add to the list: completions are
  // only reaped between steps.
  for (const int fd : std::exchange(accepted_, {})) server_->place(share_, fd);
  if (error_ != 0) report_error();
}

void Listener::report_error() noexcept {
  try {
    throw_os_error(std::exchange(error_, 0), "accept");
  } catch (...) {
    server_->report("A listening socket cannot accept; it tries again in 100 ms, and so on",
                    std::current_exception(), {});
  }
}

void Listener::close() noexcept {
  if (phase_ == Phase::closing) return;
  phase_ = Phase::closing;
  if (armed()) running_loop->timers.disarm(*this);
  if (in_flight()) cancel_operation(loop_of(*running_loop), *this, false);
  end_if_idle();
}

void Listener::end_if_idle() noexcept {
  if (in_flight() || serve_queued_) return;
  std::erase(share_.listeners, this);
  const std::shared_ptr<ServerState> server = server_;
  Listeners::of(loop_of(*running_loop)).remove(*this);  // we are gone
  server->done();
}

Listeners& Listeners::of(EventLoop& loop) {
  if (auto* const found = loop.find_service<Listeners>()) return *found;
  auto made = std::make_unique<Listeners>();
  Listeners& listeners = *made;
  loop.add_service(std::move(made));
  return listeners;
}

Listeners::~Listeners() {
  [[maybe_unused]] const Listener* leaked = nullptr;
  for (auto& listener : std::exchange(all_, {})) {
    std::erase(listener->share_.listeners, listener.get());
    listener->server_->done();
    // The kernel may still write there.
    if (listener->in_flight()) leaked = listener.release();
  }
}

void Listeners::remove(Listener& listener) noexcept {
  std::erase_if(all_, [&](const auto& each) { return each.get() == &listener; });
}

}  // namespace rota::detail
