/// demo_server.cpp: a fork, a pipe, and as much of JSON as /stats needs.
#include "demo_server.hpp"

#include <rota/bytes.hpp>
#include <rota/connection.hpp>
#include <rota/wait.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <stdexcept>
#include <string_view>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace demo {
namespace {

using namespace std::chrono_literals;

constexpr int start_limit = 30'000;  // ms
constexpr int end_limit = 10'000;    // ms; it gives its connections 5 s

[[noreturn]] void fail(const std::string& what, const std::string& why) {
  throw std::runtime_error(what + "\n  why: " + why);
}

/// The child's part of fork(): only what is safe there.
[[noreturn]] void become_server(char* const* arguments, int output, pid_t parent) noexcept {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(127);  // it ended before we said that
  ::dup2(output, STDOUT_FILENO);
  ::execv(arguments[0], arguments);
  ::_exit(127);
}

/// The number behind `name` in the JSON object `text`.
std::uint64_t member(std::string_view text, std::string_view name) {
  const std::string key = "\"" + std::string(name) + "\":";
  const std::size_t at = text.find(key);
  std::uint64_t value = 0;
  if (at != text.npos) {
    const std::string_view rest = text.substr(at + key.size());
    const auto [stop, error] = std::from_chars(rest.begin(), rest.end(), value);
    if (error == std::errc()) return value;
  }
  fail("/stats cannot be read", "it says nothing of '" + std::string(name) + "'");
}

ServerFigures parse_figures(std::string_view json) {
  const std::size_t executor = json.find("\"executor\":");
  if (executor == json.npos) fail("/stats cannot be read", std::string(json.substr(0, 200)));
  ServerFigures figures;
  std::string_view loops = json.substr(0, executor);
  loops.remove_prefix(std::min(loops.find('['), loops.size()));
  for (std::size_t end; (end = loops.find('}')) != loops.npos; loops.remove_prefix(end + 1)) {
    const std::string_view loop = loops.substr(0, end);
    figures.loops.push_back({member(loop, "steps"), member(loop, "tasks"), member(loop, "wakes"),
                             member(loop, "requests"), member(loop, "connections")});
  }
  json.remove_prefix(executor);
  figures.queued = member(json, "queued");
  figures.running = member(json, "running");
  figures.finished = member(json, "finished");
  return figures;
}

rota::Coro<std::string> fetch_stats(std::uint16_t port) {
  auto [reader, writer] = co_await rota::open_connection("127.0.0.1", port);
  writer.write("GET /stats HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
  const rota::Bytes answer = co_await reader.read();
  co_return answer.str();
}

}  // namespace

ServerProcess::ServerProcess(const ServerOptions& options) {
  if (::access(options.program.c_str(), X_OK) != 0) {
    fail("the server " + options.program + " cannot be started",
         std::string(std::strerror(errno)) + "\n  do:  ./dev demo builds it; or --server PATH");
  }
  start(options);
  try {
    read_url();
  } catch (...) {
    end();
    throw;
  }
}

ServerProcess::~ServerProcess() { end(); }

void ServerProcess::start(const ServerOptions& options) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail("no pipe", std::strerror(errno));
  std::vector<std::string> words = {options.program, "--loops", std::to_string(options.loops),
                                    "--port", std::to_string(options.port)};
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const pid_t parent = ::getpid();
  child_ = ::fork();
  if (child_ == 0) become_server(arguments.data(), ends[1], parent);
  ::close(ends[1]);
  output_ = ends[0];
  if (child_ < 0) fail("no process for the server", std::strerror(errno));
}

bool ServerProcess::wait_for_output(int milliseconds) const noexcept {
  pollfd wanted{output_, POLLIN, 0};
  int ready = 0;
  do {
    ready = ::poll(&wanted, 1, milliseconds);
  } while (ready < 0 && errno == EINTR);
  return ready > 0;
}

/// "listening on http://127.0.0.1:40123"
void ServerProcess::read_url() {
  constexpr std::string_view words = "listening on ";
  std::string line;
  char letter = 0;
  while (wait_for_output(start_limit) && ::read(output_, &letter, 1) == 1 && letter != '\n') {
    line += letter;
  }
  const std::size_t colon = line.rfind(':');
  if (!line.starts_with(words) || colon == line.npos) {
    fail("the server did not start",
         line.empty() ? "it ended at once; if it knew why, that stands above" : "it says: " + line);
  }
  url_ = line.substr(words.size());
  std::from_chars(line.data() + colon + 1, line.data() + line.size(), port_);
}

int ServerProcess::end() noexcept {
  if (child_ <= 0) return status_;
  ::kill(child_, SIGTERM);
  std::array<char, 256> last_words{};
  bool in_time = true;
  ssize_t count = 1;  // 0: the pipe is closed, for the server has ended
  while (count > 0 && (in_time = wait_for_output(end_limit))) {
    count = ::read(output_, last_words.data(), last_words.size());
  }
  if (!in_time) ::kill(child_, SIGKILL);
  int status = 0;
  ::waitpid(child_, &status, 0);
  status_ = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  child_ = -1;
  ::close(output_);
  return status_;
}

rota::Coro<ServerFigures> ask_figures(std::uint16_t port) {
  const std::string answer = co_await rota::wait_for(fetch_stats(port), 10s);
  if (!answer.starts_with("HTTP/1.1 200 ")) fail("/stats answers with an error", answer);
  co_return parse_figures(answer.substr(answer.find("\r\n\r\n")));
}

}  // namespace demo
