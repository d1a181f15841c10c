#include "support/sim_files.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <sys/socket.h>

namespace rota::testing_support {

// --- SimDoorbell ------------------------------------------------------------------------------

void SimDoorbell::ring() {
  rung_ = true;
  wake(POLLIN);
}

short SimDoorbell::poll() const { return rung_ ? POLLIN : 0; }

// --- SimStream --------------------------------------------------------------------------------

SimStream::~SimStream() {
  if (peer_ == nullptr) return;
  peer_->peer_ = nullptr;
  peer_->peer_closed_ = true;
  peer_->reset_ = !inbox_.empty();  // as TCP: unread data is answered with a reset
  peer_->wake(POLLIN | POLLOUT | POLLHUP);
}

void SimStream::connect(SimStream& peer) {
  peer_ = &peer;
  peer.peer_ = this;
  connected_ = peer.connected_ = true;
}

std::int64_t SimStream::send(const void* data, std::size_t bytes) {
  if (!connected_) return -ENOTCONN;
  if (reset_) {
    reset_ = false;
    return -ECONNRESET;
  }
  if (write_shut_ || peer_ == nullptr || peer_->read_shut_) return -EPIPE;
  const std::size_t room = peer_->capacity_ - std::min(peer_->inbox_.size(), peer_->capacity_);
  const std::size_t taken = std::min(bytes, room);
  if (taken == 0 && bytes != 0) return -EAGAIN;
  peer_->inbox_.append(static_cast<const char*>(data), taken);
  peer_->wake(POLLIN);
  return static_cast<std::int64_t>(taken);
}

std::int64_t SimStream::recv(void* data, std::size_t bytes, bool peek) {
  if (!connected_) return -ENOTCONN;
  if (inbox_.empty()) {
    if (reset_) {
      reset_ = false;
      return -ECONNRESET;
    }
    return end_of_stream() ? 0 : -EAGAIN;
  }
  const std::size_t taken = std::min(bytes, inbox_.size());
  std::memcpy(data, inbox_.data(), taken);
  if (!peek) {
    inbox_.erase(0, taken);
    if (peer_ != nullptr) peer_->wake(POLLOUT);
  }
  return static_cast<std::int64_t>(taken);
}

int SimStream::shutdown(int how) {
  if (!connected_) return -ENOTCONN;
  if (how != SHUT_WR) read_shut_ = true;
  if (how != SHUT_RD && !write_shut_) {
    write_shut_ = true;
    if (peer_ != nullptr) {
      peer_->peer_closed_ = true;
      peer_->wake(POLLIN | POLLRDHUP);
    }
  }
  wake(POLLIN | POLLOUT | POLLHUP);
  return 0;
}

short SimStream::poll() const {
  int events = 0;
  if (!connected_) return POLLOUT | POLLHUP;
  if (!inbox_.empty() || end_of_stream() || reset_) events |= POLLIN;
  if (end_of_stream()) events |= POLLRDHUP;
  if (end_of_stream() && write_shut_) events |= POLLHUP;
  if (reset_) events |= POLLERR;
  if (peer_ == nullptr || peer_->inbox_.size() < peer_->capacity_) events |= POLLOUT;
  return static_cast<short>(events);
}

// --- SimListener ------------------------------------------------------------------------------

int SimListener::connect(SimStream& client, std::size_t capacity) {
  if (waiting_.size() >= backlog_) return -ECONNREFUSED;
  auto server_side = std::make_shared<SimStream>(observer_, capacity);
  server_side->connect(client);
  waiting_.push_back(std::move(server_side));
  wake(POLLIN);
  return 0;
}

std::shared_ptr<SimStream> SimListener::accept() {
  if (waiting_.empty()) return nullptr;
  auto first = std::move(waiting_.front());
  waiting_.pop_front();
  return first;
}

short SimListener::poll() const { return waiting_.empty() ? 0 : POLLIN; }

}  // namespace rota::testing_support
