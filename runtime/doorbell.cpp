#include "doorbell.hpp"

#include "ring.hpp"

#include <poll.h>

namespace rota {

void EventLoop::Doorbell::arm() noexcept {
  if (in_flight()) return;
  io_uring_sqe& sqe = loop_.ring().prepare(*this, loop_.core->doorbell());
  io_uring_prep_poll_multishot(&sqe, loop_.core->doorbell(), POLLIN);
}

void EventLoop::Doorbell::stop() noexcept {
  stopped_ = true;
  loop_.ring().cancel(*this, false);
}

}  // namespace rota
