#include <rota/detail/debug.hpp>
#include <rota/loop.hpp>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <vector>

namespace rota::detail {
namespace {

/// Locked when a loop is made, when it ends, and in an emergency.
struct Registry {
  std::timed_mutex mutex;
  std::vector<EventLoop*> loops;
};

Registry& registry() {
  static Registry* const instance =
      new Registry;  // never destroyed: loops may outlive static destruction
  return *instance;
}

}  // namespace

void register_loop(EventLoop& loop) {
  const std::lock_guard lock(registry().mutex);
  registry().loops.push_back(&loop);
}

void unregister_loop(EventLoop& loop) noexcept {
  const std::lock_guard lock(registry().mutex);
  std::erase(registry().loops, &loop);
}

void dump_all_loops(int fd) noexcept {
  // Not for ever: whoever hangs may hold the lock.
  std::unique_lock lock(registry().mutex, std::defer_lock);
  if (!lock.try_lock_for(std::chrono::milliseconds(100))) return;
  for (EventLoop* loop : registry().loops) loop->dump(fd);
}

}  // namespace rota::detail
