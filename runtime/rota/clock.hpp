/// clock.hpp: the time of a loop.
#pragma once

#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>

namespace rota {

/// The clock of loops: never goes back; its zero is arbitrary. Read it by EventLoop::time().
struct Clock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<Clock>;
  static constexpr bool is_steady = true;
};

using TimePoint = Clock::time_point;
using Duration = Clock::duration;

/// Later than every deadline: "never".
inline constexpr Duration forever = Duration::max();

namespace detail {

/// Any duration in nanoseconds: fractions round up (a timer never fires early), what is too long
/// saturates. Errors: ValueError on NaN.
void reject_nan();
template <typename Rep, typename Period>
Duration to_nanoseconds(std::chrono::duration<Rep, Period> duration) {
  using Seconds = std::chrono::duration<long double>;
  const long double seconds = std::chrono::duration_cast<Seconds>(duration).count();
  if (std::isnan(seconds)) reject_nan();
  constexpr long double limit = 9.0e9L;  // seconds: 285 years
  if (seconds >= limit) return forever;
  if (seconds <= -limit) return -forever;
  return std::chrono::ceil<Duration>(duration);
}
constexpr Duration to_nanoseconds(Duration duration) noexcept { return duration; }

/// now + delay without overflow; a negative delay counts as it is.
constexpr std::int64_t deadline_after(std::int64_t now, Duration delay) noexcept {
  std::int64_t when = 0;
  if (__builtin_add_overflow(now, delay.count(), &when)) {
    return delay.count() > 0 ? std::numeric_limits<std::int64_t>::max() : 0;
  }
  return when;
}

}  // namespace detail
}  // namespace rota
