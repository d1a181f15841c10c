#include <rota/executor.hpp>
#include <rota/wait.hpp>

#include "executor_parts.hpp"

#include <memory>
#include <string>
#include <utility>

namespace rota {

Coro<> shutdown_default_executor(Duration timeout) {
  EventLoop& loop = get_running_loop();
  loop.executors_closed = true;
  if (loop.executor_jobs == nullptr) co_return;
  auto* shutdown = loop.find_service<detail::ExecutorShutdown>();
  if (shutdown == nullptr) {
    auto made = std::make_unique<detail::ExecutorShutdown>();
    shutdown = made.get();
    loop.add_service(std::move(made));
  }
  try {
    co_await wait_for(shield(shutdown->emptied), timeout);
  } catch (const TimeoutError&) {
    std::size_t left = 0;
    for (auto* job = loop.executor_jobs; job != nullptr; job = job->next_job()) ++left;
    loop.call_exception_handler(
        {"The executors did not finish in time: " + std::to_string(left) +
         " calls of this loop still run or wait; their results will be dropped"});
  }
}

}  // namespace rota
