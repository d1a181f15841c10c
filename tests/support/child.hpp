/// child.hpp: runs a function in a forked child, for what would spoil this process: filters,
/// limits, crashes.
#pragma once

#include <csignal>
#include <grp.h>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace rota::testing_support {

struct ChildResult {
  int exit_code = -1;  ///< -1: it did not exit.
  int signal = 0;      ///< That ended it.
  std::string output;  ///< Of standard error and standard output.
};

/// Runs `body` in a child and exits with what it returns; the parent's other threads are not there.
/// An exception that leaves `body` is printed, exit code 120.
template <typename Body>
ChildResult run_in_child(Body body) {
  int ends[2];
  if (::pipe(ends) != 0) return {};
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], STDOUT_FILENO);
    ::dup2(ends[1], STDERR_FILENO);
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    int code = 120;
    try {
      code = body();
    } catch (const std::exception& error) {
      ::dprintf(STDERR_FILENO, "%s", error.what());
    }
    ::_exit(code);
  }
  ::close(ends[1]);
  ChildResult result;
  char buffer[4096];
  for (ssize_t bytes; (bytes = ::read(ends[0], buffer, sizeof buffer)) > 0;)
    result.output.append(buffer, static_cast<std::size_t>(bytes));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
  return result;
}

/// In a child of a root process: limits locked memory and becomes a user without any privilege, one
/// whom no other process shares (the kernel counts locked memory for a user). False: not possible
/// here.
inline bool become_unprivileged(rlim_t memlock_bytes) {
  const rlimit limit{memlock_bytes, memlock_bytes};
  const uid_t user = 100'000 + static_cast<uid_t>(::getpid());
  return ::setrlimit(RLIMIT_MEMLOCK, &limit) == 0 && ::setgroups(0, nullptr) == 0 &&
         ::setresgid(user, user, user) == 0 && ::setresuid(user, user, user) == 0;
}

}  // namespace rota::testing_support
