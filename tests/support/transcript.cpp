/// transcript.cpp: commands on a pseudo-terminal, since programs that write to a pipe hold their
/// lines back.

#include "support/transcript.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <memory>
#include <optional>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

extern char** environ;

namespace rota::testing_support {
namespace {

using Clock = std::chrono::steady_clock;

// For the whole session. An example that takes longer is no good example.
constexpr std::chrono::seconds time_limit{20};

class Process {
 public:
  Process(const std::string& line, const std::string& folder)
      : terminal_(posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    if (terminal_ < 0 || grantpt(terminal_) != 0 || unlockpt(terminal_) != 0) return;
    const std::string tty = ptsname(terminal_);
    std::string script = "cd '" + folder + "' && exec " + line;
    std::string shell = "sh";
    std::string option = "-c";
    const std::array<char*, 4> arguments = {shell.data(), option.data(), script.data(), nullptr};
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, tty.c_str(), O_WRONLY | O_NOCTTY, 0);
    posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
    if (posix_spawn(&child_, "/bin/sh", &files, nullptr, arguments.data(), environ) != 0)
      child_ = -1;
    posix_spawn_file_actions_destroy(&files);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  ~Process() {
    if (child_ > 0) {
      kill(child_, SIGKILL);
      waitpid(child_, nullptr, 0);
    }
    close(terminal_);
  }

  bool started() const { return child_ > 0; }

  void interrupt() {
    kill(child_, SIGINT);
    interrupted_ = true;
  }

  /// The next line; nothing at the end of the output or at the deadline.
  std::optional<std::string> read_line(Clock::time_point deadline) {
    for (;;) {
      if (const auto end = unread_.find('\n'); end != std::string::npos) {
        std::string line = unread_.substr(0, end);
        unread_.erase(0, end + 1);
        if (line.ends_with('\r')) line.pop_back();
        return line;
      }
      if (!read_more(deadline)) return std::nullopt;
    }
  }

  /// Reads the rest and waits. Returns what is wrong with the end.
  std::string finish(Clock::time_point deadline) {
    if (const auto line = read_line(deadline)) return "wrote more than it should: " + *line;
    if (Clock::now() >= deadline) return "did not end in time";
    int status = 0;
    waitpid(child_, &status, 0);  // its output is closed: it is about to end
    child_ = -1;
    // By the signal, or as a shell would say it: 128 + SIGINT.
    const bool by_interrupt =
        interrupted_ && ((WIFSIGNALED(status) && WTERMSIG(status) == SIGINT) ||
                         (WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGINT));
    if (by_interrupt || (WIFEXITED(status) && WEXITSTATUS(status) == 0)) return {};
    return WIFEXITED(status) ? "ended with status " + std::to_string(WEXITSTATUS(status))
                             : "was killed by signal " + std::to_string(WTERMSIG(status));
  }

 private:
  bool read_more(Clock::time_point deadline) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    pollfd wanted{terminal_, POLLIN, 0};
    if (left.count() <= 0 || poll(&wanted, 1, static_cast<int>(left.count())) <= 0) return false;
    std::array<char, 4096> chunk{};
    const ssize_t count = read(terminal_, chunk.data(), chunk.size());
    if (count <= 0) return false;  // EIO: the child has closed its end
    unread_.append(chunk.data(), static_cast<std::size_t>(count));
    return true;
  }

  int terminal_;
  pid_t child_ = -1;
  bool interrupted_ = false;
  std::string unread_;
};

/// Compares what the command writes with what it should. `more_may_come`: it runs on in the
/// background.
std::string compare(Process& process, const Command& command, Clock::time_point deadline) {
  bool skipping = false;
  for (const std::string& expected : command.expected) {
    if (expected == "...") {
      skipping = true;
      continue;
    }
    if (expected == "^C") {
      process.interrupt();
      continue;
    }
    std::optional<std::string> line;
    do {
      line = process.read_line(deadline);
    } while (skipping && line && !matches(expected, *line));
    skipping = false;
    if (!line) return "expected '" + expected + "', but nothing more came";
    if (!matches(expected, *line))
      return "expected '" + expected + "', but it wrote '" + *line + "'";
  }
  if (command.in_background) return {};
  while (skipping && process.read_line(deadline)) {
  }
  return process.finish(deadline);
}

}  // namespace

std::vector<Command> parse_transcript(const std::vector<std::string>& source_lines) {
  constexpr std::string_view indentation = "///     ";
  std::vector<Command> session;
  for (const std::string& line : source_lines) {
    if (!line.starts_with("///")) break;
    if (!line.starts_with(indentation)) {
      if (session.empty()) continue;
      break;
    }
    std::string text = line.substr(indentation.size());
    if (text.starts_with("$ ")) {
      const bool in_background = text.ends_with(" &");
      session.push_back(
          {text.substr(2, text.size() - (in_background ? 4 : 2)), in_background, false, {}});
    } else if (!session.empty() && text == "^C") {
      session.back().interrupted = true;
      session.back().expected.push_back(text);  // in its place: what follows is said because of it
    } else if (!session.empty()) {
      session.back().expected.push_back(std::move(text));
    }
  }
  return session;
}

bool matches(std::string_view pattern, std::string_view line) {
  const std::size_t dots = pattern.find("...");
  if (dots == pattern.npos) return pattern == line;
  if (!line.starts_with(pattern.substr(0, dots))) return false;
  const std::string_view rest = pattern.substr(dots + 3);
  for (std::size_t at = dots; at <= line.size(); ++at) {
    if (matches(rest, line.substr(at))) return true;
  }
  return false;
}

std::string play(const std::vector<Command>& session, const std::string& folder) {
  const auto deadline = Clock::now() + time_limit;
  std::vector<std::unique_ptr<Process>> background;
  for (const Command& command : session) {
    auto process = std::make_unique<Process>(command.line, folder);
    if (!process->started()) return command.line + ": cannot be started on a pseudo-terminal";
    if (const std::string wrong = compare(*process, command, deadline); !wrong.empty())
      return command.line + ": " + wrong;
    if (command.in_background) background.push_back(std::move(process));
  }
  for (const auto& process : background) {
    process->interrupt();
    while (process->read_line(deadline)) {  // what it says at its end is not part of the session
    }
    if (const std::string wrong = process->finish(deadline); !wrong.empty())
      return "in the background: " + wrong;
  }
  return {};
}

}  // namespace rota::testing_support
