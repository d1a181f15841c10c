/// stream_close.cpp: how a connection ends, and who waits for a transport.
#include <rota/detail/stream_transport.hpp>
#include <rota/error.hpp>

#include <cassert>
#include <cerrno>
#include <sys/socket.h>

namespace rota::detail {

// --- the end of a connection ------------------------------------------------------------------

void StreamTransport::close() noexcept {
  if (phase_ != Phase::open) return;
  send_collected();
  if (phase_ == Phase::open) phase_ = Phase::closing;  // else that has lost it
  if (receiving()) cancel_operation(loop_of(*running_loop), receive(), false);
  close_if_idle();
}

void StreamTransport::abort() noexcept {
  if (phase_ == Phase::dropping || phase_ == Phase::closed) return;
  phase_ = Phase::dropping;
  drop();
  close_if_idle();
}

void StreamTransport::lose(int error, const char* operation) noexcept {
  if (phase_ == Phase::dropping || phase_ == Phase::closed) return;
  phase_ = Phase::dropping;
  drop();
  try {
    throw_os_error(error, operation);
  } catch (...) {
    fail(std::current_exception());
  }
  drains_.wake_all();
}

/// Dropping: nothing more is sent or received. What a request refers to stays until that is
/// settled.
void StreamTransport::drop() noexcept {
  EventLoop& loop = loop_of(*running_loop);
  pending_.clear();
  if (sending()) {
    cancel_operation(loop, send_operation(), false);
  } else {
    sending_ = Bytes();
  }
  if (receiving()) cancel_operation(loop, receive(), false);
}

void StreamTransport::close_if_idle() noexcept {
  if (phase_ == Phase::open || phase_ == Phase::closed) return;
  if (phase_ == Phase::closing && unsent() != 0) return;
  if (receiving() || sending() || flush_queued_) return;
  finish();
}

void StreamTransport::finish() noexcept {
  phase_ = Phase::closed;
  running_loop->kernel->close(std::exchange(fd_, -1));
  pending_.clear();
  if (!ended()) feed_eof();
  drains_.wake_all();
  closes_.wake_all();
  registry_.remove(*this);
  on_closed();
  unhold();  // the loop's: we may be gone
}

void StreamTransport::loop_closed() noexcept {
  if (receiving() || sending()) {
    if (registry_.slab() != nullptr) registry_.slab()->leak();  // the kernel may still write there
    return;
  }
  flush_queued_ = false;
  finish();
}

namespace {

/// The end of a writer on another thread, on its way to the loop.
struct DropMessage : Runnable {
  explicit DropMessage(StreamTransport& dropped) noexcept
      : Runnable(&DropMessage::arrived), transport(dropped) {}
  static void arrived(Runnable& node, bool dropped) noexcept {
    const std::unique_ptr<DropMessage> self(static_cast<DropMessage*>(&node));
    if (!dropped) self->transport.close();
    self->transport.release();
  }
  StreamTransport& transport;
};

}  // namespace

void StreamTransport::drop_writer() noexcept {
  if (core() == running_core()) {
    close();
    release();
    return;
  }
  LoopCore* const owner = core();
  owner->retain();  // until the wake-up is over: the transport may be gone by then
  auto* const message = new DropMessage(*this);
  if (!owner->post(*message)) DropMessage::arrived(*message, true);  // it was closed with its loop
  owner->release();
}

namespace {

Address address_by(int (*get)(int, sockaddr*, socklen_t*), int fd) noexcept {
  sockaddr_storage storage{};
  socklen_t bytes = sizeof storage;
  auto* const address = reinterpret_cast<sockaddr*>(&storage);
  return get(fd, address, &bytes) == 0 ? Address(address, bytes) : Address();
}

}  // namespace

Address StreamTransport::peername() {
  if (peername_ == nullptr && fd_ >= 0) {
    const Address address = address_by(&::getpeername, fd_);
    if (address.empty()) return address;
    peername_ = std::make_unique<Address>(address);
  }
  return peername_ == nullptr ? Address() : *peername_;
}

Address StreamTransport::sockname() const { return address_by(&::getsockname, fd_); }

// --- the registry -----------------------------------------------------------------------------

StreamRegistry& StreamRegistry::of(EventLoop& loop) {
  if (auto* const found = loop.find_service<StreamRegistry>()) return *found;
  auto made = std::make_unique<StreamRegistry>(loop);
  StreamRegistry& registry = *made;
  loop.add_service(std::move(made));
  return registry;
}

StreamRegistry::~StreamRegistry() {
  for (StreamTransport* next = first_; next != nullptr;) {
    StreamTransport& transport = *next;
    next = transport.next_;
    transport.loop_closed();
  }
}

void StreamRegistry::add(StreamTransport& transport) noexcept {
  ++count_;
  transport.next_ = first_;
  if (first_ != nullptr) first_->previous_ = &transport;
  first_ = &transport;
}

void StreamRegistry::remove(StreamTransport& transport) noexcept {
  --count_;
  (transport.previous_ == nullptr ? first_ : transport.previous_->next_) = transport.next_;
  if (transport.next_ != nullptr) transport.next_->previous_ = transport.previous_;
}

// --- who waits --------------------------------------------------------------------------------

void StreamWaitList::push(StreamWait& wait) noexcept {
  wait.list_ = this;
  if (first_ == nullptr) {
    wait.next_ = wait.previous_ = first_ = &wait;
    return;
  }
  wait.next_ = first_;
  wait.previous_ = first_->previous_;
  wait.previous_->next_ = first_->previous_ = &wait;
}

void StreamWaitList::wake_all() noexcept {
  while (first_ != nullptr) {
    StreamWait& wait = *first_;
    wait.unlink();
    wait.task_->make_ready();
  }
}

StreamWait::~StreamWait() {
  if (next_ != nullptr) [[unlikely]]
    unlink();
  if (held_) transport_.unhold();
}

void StreamWait::hold() noexcept {
  held_ = true;
  transport_.hold();
}

void StreamWait::unlink() noexcept {
  StreamWait& next = *std::exchange(next_, nullptr);
  if (list_->first_ == this) list_->first_ = &next == this ? nullptr : &next;
  previous_->next_ = &next == this ? nullptr : &next;
  next.previous_ = previous_;
}

void StreamWait::cancel(Waiting& waiting, TaskBase& task) noexcept {
  static_cast<StreamWait&>(waiting).unlink();
  task.make_ready();
}

namespace {

/// The attempt of an await that only gave way to others.
void go_on(Runnable& node, bool dropped) noexcept {
  TaskBase& task = TaskBase::of_attempt(node);
  if (!dropped) task.resume_now();
}

}  // namespace

bool DrainAwaiter::await_ready() {
  transport_.use("StreamWriter.drain");
  if (transport_.exception() || transport_.is_closed()) return true;
  if (transport_.is_closing()) return false;
  if (transport_.above_high_water()) {
    transport_.flush();
    transport_.drain_waits_ |= transport_.above_high_water();
  }
  return !transport_.drain_waits_ && spend_budget(*running_loop);
}

void DrainAwaiter::suspend(TaskBase& task, std::coroutine_handle<> leaf) noexcept {
  hold();
  if (transport_.is_closing()) {
    // One step, as asyncio: so a loop of write and drain lets the end of the connection happen.
    task_ = &task;
    task.requeue(leaf);
  } else if (!transport_.drain_waits_) {
    task.queue_attempt(*this, leaf, &go_on);
  } else {
    waited_ = true;
    task_ = &task;
    if (task.begin_wait(*this, leaf)) transport_.drains_.push(*this);
  }
}

void DrainAwaiter::await_resume() {
  if (task_ != nullptr) task_->throw_if_cancelled();
  transport_.throw_exception();
  if (!waited_ && transport_.is_closed()) {
    throw ConnectionResetError(ECONNRESET, "StreamWriter.drain: the connection is closed");
  }
}

bool ClosedAwaiter::await_ready() {
  transport_.use("StreamWriter.wait_closed");
  return transport_.is_closed() && spend_budget(*running_loop);
}

void ClosedAwaiter::suspend(TaskBase& task, std::coroutine_handle<> leaf) noexcept {
  hold();
  if (transport_.is_closed()) {
    task.queue_attempt(*this, leaf, &go_on);
    return;
  }
  task_ = &task;
  if (task.begin_wait(*this, leaf)) transport_.closes_.push(*this);
}

void ClosedAwaiter::await_resume() {
  if (task_ != nullptr) task_->throw_if_cancelled();
  transport_.throw_exception();
}

}  // namespace rota::detail
