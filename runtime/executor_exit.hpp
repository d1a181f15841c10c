/// executor_exit.hpp: how a loop's calls on executors end with it.
#pragma once

#include <rota/future.hpp>
#include <rota/loop.hpp>

#include <cstddef>

namespace rota::detail {

/// Told when the loop's last job is home. Made by shutdown_default_executor().
struct ExecutorShutdown final : LoopService {
  Future<> emptied;
};

/// Asks every call of `loop` that has not come back to stop. Returns how many there are. Owner.
std::size_t stop_executor_jobs(LoopState& loop) noexcept;

}  // namespace rota::detail
