#include "fork.hpp"

#include <cstdlib>
#include <cstring>
#include <pthread.h>
#include <unistd.h>

namespace rota::detail {

atomic<unsigned> fork_generation = 0;

void watch_forks() noexcept {
  // A local static: once in the process, whichever thread comes first. (A child inherits the
  // handler.)
  [[maybe_unused]] static const int registered = ::pthread_atfork(nullptr, nullptr, [] {
    // Relaxed: the child of fork() has one thread.
    fork_generation.fetch_add(1, std::memory_order_relaxed);
  });
}

void die(const char* text) noexcept {
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, text, std::strlen(text));
  std::abort();
}

void die_in_forked_child() noexcept {
  die("rota: an event loop made before fork() is used in the child process\n"
      "  why: its io_uring belongs to the parent; what the child does with it would be the "
      "parent's\n"
      "  do:  start programs with create_subprocess_exec(), which does not fork; or call fork() "
      "before rota::run()\n");
}

}  // namespace rota::detail
