/// stats.hpp: LoopStats, what a loop has done so far. Counted always; a count costs an increment.
#pragma once

#include <cstdint>

namespace rota {

/// Of one loop, since it was made. As: nothing in asyncio.
struct LoopStats {
  std::uint64_t loop_id = 0;
  std::uint64_t tasks = 0;                 ///< Alive now.
  std::uint64_t ready_length = 0;          ///< Queued to run now.
  std::uint64_t timers = 0;                ///< Armed now.
  std::uint64_t operations_in_flight = 0;  ///< At the kernel now.
  std::uint64_t steps_total = 0;
  std::uint64_t tasks_resumed_total = 0;
  std::uint64_t enters_total = 0;  ///< io_uring_enter(2) calls.
  std::uint64_t sleeps_total = 0;  ///< Those that waited for the kernel.
  std::uint64_t wakes_total = 0;   ///< Sleeps that another thread ended.
  std::uint64_t sqes_total = 0;    ///< Requests submitted.
  std::uint64_t cqes_total = 0;    ///< Completions taken.
};

}  // namespace rota
