#include "model/fiber.hpp"

#include <cstdlib>
#include <cstring>
#include <cxxabi.h>

#if __has_feature(address_sanitizer)
#include <sanitizer/common_interface_defs.h>
#endif

namespace rota::model {
namespace {

constexpr std::size_t stack_bytes = std::size_t{1} << 20;

Fiber* left = nullptr;     ///< By the latest switch.
Fiber* entered = nullptr;  ///< By the latest switch.

#if __has_feature(address_sanitizer)
void announce_switch(void** leaving, const void* bottom, std::size_t bytes) noexcept {
  __sanitizer_start_switch_fiber(leaving, bottom, bytes);
}
void announce_arrival(void* entering, const void** bottom, std::size_t* bytes) noexcept {
  __sanitizer_finish_switch_fiber(entering, bottom, bytes);
}
#else
void announce_switch(void** /*leaving*/, const void* /*bottom*/, std::size_t /*bytes*/) noexcept {}
void announce_arrival(void* /*entering*/, const void** /*bottom*/,
                      std::size_t* /*bytes*/) noexcept {}
#endif

}  // namespace

Fiber::Fiber()
    : stack_(std::make_unique_for_overwrite<std::byte[]>(stack_bytes)),
      bottom_(stack_.get()),
      bytes_(stack_bytes) {
  ::getcontext(&context_);
  context_.uc_stack.ss_sp = stack_.get();
  context_.uc_stack.ss_size = stack_bytes;
  ::makecontext(&context_, &Fiber::enter, 0);
}

void Fiber::enter() noexcept {
  Fiber& self = *entered;
  self.arrived();
  for (;;) self.switch_to(self.job());
}

void Fiber::switch_to(Fiber& next) noexcept {
  // libstdc++ keeps them per thread of the machine.
  static_assert(sizeof(Exceptions) == 16);
  std::memcpy(&exceptions_, abi::__cxa_get_globals(), sizeof exceptions_);
  left = this;
  entered = &next;
  announce_switch(&fake_stack_, next.bottom_, next.bytes_);
  ::swapcontext(&context_, &next.context_);
  arrived();
}

void Fiber::arrived() noexcept {
  announce_arrival(fake_stack_, &left->bottom_, &left->bytes_);
  std::memcpy(static_cast<void*>(abi::__cxa_get_globals()), &exceptions_, sizeof exceptions_);
}

}  // namespace rota::model
