/// bound.hpp: objects of one loop: bound at first use, checked at every use.
#pragma once

#include <rota/detail/atomic.hpp>
#include <rota/detail/loop_state.hpp>

#include <cstdint>

namespace rota::detail {

/// Throws RuntimeError "<what> is bound to a different event loop", naming both loops and the await
/// site.
[[noreturn]] void throw_wrong_loop(const char* what, const LoopCore* owner);
[[noreturn]] void throw_wrong_loop(const char* what, std::uint64_t owner);

/// Which loop an object belongs to: none yet, or for ever the one that used it first. Kept by id,
/// which is never used twice: an object may outlive its loop, and another loop have its address.
class LoopBound {
 public:
  LoopBound() = default;
  LoopBound(const LoopBound&) = delete;
  LoopBound& operator=(const LoopBound&) = delete;

  /// Binds it to the running loop if it is unbound. Errors: RuntimeError on another loop, and
  /// outside of every loop once it is bound.
  void use(const char* operation) {
    LoopCore* const here = running_core();
    // relaxed: what is guarded by it is written after it was bound, on the loop that it names.
    if (here == nullptr || owner_.load(std::memory_order_relaxed) != here->id()) [[unlikely]]
      bind(here, operation);
  }

 private:
  void bind(LoopCore* here, const char* operation);

  atomic<std::uint64_t> owner_{0};  ///< 0: unbound. Written once, by compare-exchange.
};

}  // namespace rota::detail
