// rota_load and an example's server, as two programs that talk.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <netinet/in.h>
#include <optional>
#include <spawn.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace {

using testing::HasSubstr;

const std::string load_program = ROTA_PERF_DIR "/rota_load";
const std::string server_program = ROTA_EXAMPLES_DIR "/echo_server";

/// echo_server on a free port. Killed at the end.
class EchoServer {
 public:
  EchoServer() {
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) return;
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    std::string program = server_program, option = "--port", port = "0";
    const std::array<char*, 4> arguments = {program.data(), option.data(), port.data(), nullptr};
    if (::posix_spawn(&child_, program.c_str(), &files, nullptr, arguments.data(), environ) != 0) {
      child_ = -1;
    }
    posix_spawn_file_actions_destroy(&files);
    ::close(ends[1]);
    read_address(ends[0]);
    ::close(ends[0]);
  }
  EchoServer(const EchoServer&) = delete;
  EchoServer& operator=(const EchoServer&) = delete;
  ~EchoServer() {
    if (child_ <= 0) return;
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }
  const std::string& address() const noexcept { return address_; }  ///< Empty: it does not run.

 private:
  /// "listening on 127.0.0.1:40123"
  void read_address(int output) {
    constexpr std::string_view words = "listening on ";
    std::string line;
    for (char letter = 0; ::read(output, &letter, 1) == 1 && letter != '\n';) line += letter;
    if (line.starts_with(words)) address_ = line.substr(words.size());
  }

  pid_t child_ = -1;
  std::string address_;
};

struct Ended {
  int status = -1;
  std::string output;
};

Ended run_load(const std::string& arguments) {
  Ended ended;
  std::FILE* const output = ::popen((load_program + ' ' + arguments).c_str(), "r");
  if (output == nullptr) return ended;
  for (int letter; (letter = std::fgetc(output)) != EOF;) {
    ended.output += static_cast<char>(letter);
  }
  const int status = ::pclose(output);
  if (WIFEXITED(status)) ended.status = WEXITSTATUS(status);
  return ended;
}

std::optional<double> member(const std::string& json, const std::string& name) {
  const std::string key = '"' + name + "\": ";
  const std::size_t at = json.find(key);
  if (at == std::string::npos) return std::nullopt;
  return std::stod(json.substr(at + key.size()));
}

class LoadSmoke : public testing::Test {
 protected:
  void SetUp() override {
    for (const std::string& program : {load_program, server_program}) {
      if (!std::filesystem::exists(program)) GTEST_SKIP() << program << " was not built";
    }
  }
};

TEST_F(LoadSmoke, MeasuresAnEchoServer) {
  const EchoServer server;
  ASSERT_NE(server.address(), "");
  for (const char* options : {"", "--loops 2 --pipeline 4", "--rate 1000"}) {
    const Ended ended = run_load("tcp " + server.address() +
                                 " --connections 4 --duration 0.1 --warmup 0.05 --json - --quiet " +
                                 options + " 2>/dev/null");
    EXPECT_EQ(ended.status, 0) << options;
    EXPECT_GT(member(ended.output, "requests_total").value_or(0), 0) << ended.output;
    EXPECT_EQ(member(ended.output, "errors_total").value_or(-1), 0) << ended.output;
    EXPECT_NEAR(member(ended.output, "seconds").value_or(0), 0.1, 1e-6);
    EXPECT_GT(member(ended.output, "p50_us").value_or(0), 0);
    EXPECT_GE(member(ended.output, "max_us").value_or(0),
              member(ended.output, "p999_us").value_or(1e9));
  }
}

/// A port that nobody listens on, and that nobody else can be given: a port that was only free a
/// moment ago may be a client's by now, even this client's own.
class RefusedPort {
 public:
  RefusedPort() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &length), 0);
    port_ = ntohs(address.sin_port);
  }
  RefusedPort(const RefusedPort&) = delete;
  RefusedPort& operator=(const RefusedPort&) = delete;
  ~RefusedPort() { ::close(fd_); }
  std::uint16_t port() const noexcept { return port_; }

 private:
  int fd_;
  std::uint16_t port_ = 0;
};

TEST_F(LoadSmoke, SaysAtItsEndThatRequestsFailed) {
  const RefusedPort refused;
  const Ended ended = run_load("tcp 127.0.0.1:" + std::to_string(refused.port()) +
                               " --connections 2 --duration 0.05 --warmup 0 --quiet");
  EXPECT_EQ(ended.status, 1);
  EXPECT_THAT(ended.output, HasSubstr(" connect\n"));
  EXPECT_THAT(ended.output, HasSubstr("2 of 2 connections were not answered once"));
}

TEST_F(LoadSmoke, ExplainsItself) {
  const Ended ended = run_load("--help");
  EXPECT_EQ(ended.status, 0);
  EXPECT_THAT(ended.output, HasSubstr("usage: rota_load"));
}

TEST_F(LoadSmoke, RefusesAWrongCommandLineWithAReasonAndARemedy) {
  for (const char* arguments :
       {"", "udp 127.0.0.1:1", "tcp 127.0.0.1", "tcp 127.0.0.1:99999", "tcp some.name:80",
        "http https://127.0.0.1/", "http http://127.0.0.1/a http://127.0.0.2/",
        "http 'http://127.0.0.1/a b'", "tcp 127.0.0.1:1 127.0.0.1:2",
        "tcp 127.0.0.1:1 --connections none", "tcp 127.0.0.1:1 --connections 0",
        "tcp 127.0.0.1:1 --duration -1", "tcp 127.0.0.1:1 --rate", "tcp 127.0.0.1:1 --frequency 1",
        "tcp 127.0.0.1:1 --loops 8 --connections 4", "tcp 127.0.0.1:1 --json /no/such/folder/x",
        "tcp 127.0.0.1:1 --size 16000000 --pipeline 4096"}) {
    const Ended ended = run_load(arguments + std::string(" 2>&1"));
    EXPECT_EQ(ended.status, 2) << arguments;
    EXPECT_THAT(ended.output, HasSubstr("rota_load: ")) << arguments;
    EXPECT_THAT(ended.output, HasSubstr("\n  why: ")) << arguments;
    EXPECT_THAT(ended.output, HasSubstr("\n  do:  ")) << arguments;
  }
}

}  // namespace
