/// stress.hpp: how long a stress test goes on, and from which seed.
///
/// ROTA_STRESS=1: a million rounds instead of a few thousand; then ROTA_WATCHDOG_SECONDS must be
/// raised too. ROTA_SEED=n: the seed that a failed run printed.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace rota::testing_support {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool sanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool sanitized = true;
#else
inline constexpr bool sanitized = false;
#endif
#else
inline constexpr bool sanitized = false;
#endif

/// `normal` rounds, or a million in a long run.
inline int stress_rounds(int normal) {
  const char* const wanted = std::getenv("ROTA_STRESS");
  return wanted != nullptr && wanted[0] == '1' ? 1'000'000 : normal;
}

/// A generator whose seed was printed.
inline std::mt19937_64 stress_random() {
  const char* const given = std::getenv("ROTA_SEED");
  const std::uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  std::printf("ROTA_SEED=%llu\n", static_cast<unsigned long long>(seed));
  std::fflush(stdout);
  return std::mt19937_64(seed);
}

/// Lets up to some microseconds pass without a system call; mostly far less.
inline void random_delay(std::mt19937_64& random) {
  for (std::uint64_t turns = random() % (std::uint64_t{1} << (random() % 14)); turns > 0; --turns) {
    asm volatile("" ::: "memory");
  }
}

}  // namespace rota::testing_support
