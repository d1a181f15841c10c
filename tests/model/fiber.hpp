/// fiber.hpp: a stack of its own, and the switch from one to another: the model's threads take
/// turns on one thread of the machine.
#pragma once

#include <rota/detail/immovable.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <ucontext.h>

namespace rota::model {

class Fiber : rota::detail::Immovable {
 public:
  Fiber();  ///< With a stack. It begins at the first switch to it.
  /// The stack that we are on already.
  struct Here {};
  explicit Fiber(Here /*here*/) noexcept {}

  /// What it does at the next switch to it, when its last job has ended. Returns who is next.
  std::function<Fiber&()> job;

  /// From `this`, which runs, to `next`. Returns when somebody switches back.
  void switch_to(Fiber& next) noexcept;

 private:
  static void enter() noexcept;
  void arrived() noexcept;

  std::unique_ptr<std::byte[]> stack_;
  ucontext_t context_{};
  /// What a stack has beside its memory: the exceptions that are being handled on it ...
  struct Exceptions {
    void* caught = nullptr;
    unsigned uncaught = 0;
  } exceptions_;
  /// ... and what AddressSanitizer keeps.
  void* fake_stack_ = nullptr;
  const void* bottom_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace rota::model
