/// doorbell.hpp: the operation that wakes a sleeping loop: a multishot poll of its core's eventfd,
/// which is never read.
#pragma once

#include <rota/detail/operation.hpp>
#include <rota/loop.hpp>

namespace rota {

class EventLoop::Doorbell final : public detail::Operation {
 public:
  explicit Doorbell(EventLoop& loop) noexcept : Operation("doorbell"), loop_(loop) {}

  /// Before every run, and again when the kernel ended it (an overflow does).
  void arm() noexcept;
  /// The loop closes: the end of the poll is not followed by a new one.
  void stop() noexcept;

 private:
  void on_result(int, std::uint32_t) noexcept override {}  // that it came is all that it has to say
  void on_settled() noexcept override {
    if (!stopped_) arm();
  }

  EventLoop& loop_;
  bool stopped_ = false;
};

}  // namespace rota
