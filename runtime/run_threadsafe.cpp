#include <rota/run_threadsafe.hpp>

#include <string>

namespace rota::detail {

void require_no_loop(const char* operation) {
  if (running_loop == nullptr) return;
  throw RuntimeError(std::string(operation) +
                     " would block the event loop that runs on this thread: await a Task instead");
}

void WakeFuture::operator()() const {
  try {
    loop_.call_soon_threadsafe([future = future_] {
      if (!future.done()) future.set_result();
    });
  } catch (const RuntimeError&) {
    return;
  }
}

}  // namespace rota::detail
