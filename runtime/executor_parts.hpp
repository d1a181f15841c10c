/// executor_parts.hpp: what the parts of the executors know of each other.
#pragma once

#include <rota/future.hpp>
#include <rota/loop.hpp>

#include <cstddef>

namespace rota {
class Executor;
}  // namespace rota

namespace rota::detail {

/// The oneTBB arena, for cpu_pool(). Errors: std::bad_alloc.
Executor* make_cpu_pool();

/// Told when the loop's last job is home. Made by shutdown_default_executor().
struct ExecutorShutdown final : LoopService {
  Future<> emptied;
};

/// Asks every call of `loop` that has not come back to stop. Returns how many there are. Owner.
std::size_t stop_executor_jobs(LoopState& loop) noexcept;

}  // namespace rota::detail
