/// cpu.hpp: what depends on the processor; nothing else does.
#pragma once

namespace rota::detail {

/// In a loop that waits for another thread: leaves the core's shared parts to its neighbour for a
/// moment.
inline void relax_cpu() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace rota::detail
