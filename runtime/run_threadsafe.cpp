#include <rota/run_threadsafe.hpp>

#include <string>

namespace rota::detail {

void require_no_loop(const char* operation) {
  if (running_loop == nullptr) return;
  throw RuntimeError(std::string(operation) +
                     " would block the event loop that runs on this thread: await a Task instead");
}

}  // namespace rota::detail
