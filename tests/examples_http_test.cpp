/// examples_http_test.cpp: the example's HTTP server, as a program that one starts, asks and ends.
#include <rota/connection.hpp>
#include <rota/error.hpp>
#include <rota/runtime.hpp>

#include "support/json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <spawn.h>
#include <string>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

extern char** environ;

namespace rota {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;
using testing_support::parse_json;

/// http_server in a process of its own; ended, at the latest, by the destructor.
class ServerProgram {
 public:
  explicit ServerProgram(std::vector<std::string> arguments) {
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) return;
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files, ends[1], STDERR_FILENO);
    posix_spawn_file_actions_addclose(&files, ends[0]);
    posix_spawn_file_actions_addclose(&files, ends[1]);
    std::string program = ROTA_EXAMPLES_DIR "/http_server";
    std::vector<char*> values = {program.data()};
    for (std::string& argument : arguments) values.push_back(argument.data());
    values.push_back(nullptr);
    if (::posix_spawn(&child_, program.c_str(), &files, nullptr, values.data(), environ) != 0) {
      child_ = -1;
    }
    posix_spawn_file_actions_destroy(&files);
    ::close(ends[1]);
    output_ = ends[0];
  }
  ServerProgram(const ServerProgram&) = delete;
  ServerProgram& operator=(const ServerProgram&) = delete;
  ~ServerProgram() {
    if (child_ > 0) {
      ::kill(child_, SIGKILL);
      ::waitpid(child_, nullptr, 0);
    }
    ::close(output_);
  }

  std::string read_line() {
    std::string line;
    for (char letter = 0; ::read(output_, &letter, 1) == 1 && letter != '\n';) line += letter;
    return line;
  }
  std::string read_rest() {
    std::string text;
    std::array<char, 4096> chunk{};
    for (ssize_t count; (count = ::read(output_, chunk.data(), chunk.size())) > 0;) {
      text.append(chunk.data(), static_cast<std::size_t>(count));
    }
    return text;
  }
  void send_signal(int signal) const { ::kill(child_, signal); }
  /// Its exit code; -1 when a signal ended it.
  int wait() {
    int status = 0;
    ::waitpid(std::exchange(child_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  pid_t child_ = -1;
  int output_ = -1;
};

std::uint16_t port_in(std::string_view line) {
  const std::string_view digits = line.substr(line.rfind(':') + 1);
  std::uint16_t port = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), port);
  return port;
}

/// What the server says to `request`, to its end.
Coro<std::string> ask(std::uint16_t port, std::string request) {
  auto [reader, writer] = co_await open_connection("127.0.0.1", port);
  writer.write(request);
  const Bytes answer = co_await reader.read();
  co_return answer.str();
}

struct Answer {
  std::string head;
  std::string body;
};

/// `head` ends before its empty line.
Answer exchange(std::uint16_t port, const std::string& head, const std::string& body) {
  const std::string text =
      run(ask(port, head + "\r\nHost: test\r\nConnection: close\r\n\r\n" + body), {.loops = 1});
  const std::size_t end = text.find("\r\n\r\n");
  if (end == std::string::npos) return {text, {}};
  return {text.substr(0, end + 2), text.substr(end + 4)};
}

Answer get(std::uint16_t port, const std::string& path) {
  return exchange(port, "GET " + path + " HTTP/1.1", {});
}

class HttpServerExample : public testing::Test {
 protected:
  void SetUp() override {
    const std::string line = server_.read_line();
    ASSERT_THAT(line, StartsWith("listening on http://127.0.0.1:"));
    port_ = port_in(line);
    ASSERT_NE(port_, 0);
  }

  ServerProgram server_{{"--port", "0", "--loops", "2"}};
  std::uint16_t port_ = 0;
};

TEST_F(HttpServerExample, AnswersItsRoutes) {
  const Answer text = get(port_, "/plaintext");
  EXPECT_THAT(text.head, AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("text/plain")));
  EXPECT_EQ(text.body, "Hello, World!");
  const Answer json = get(port_, "/json");
  EXPECT_THAT(json.head, HasSubstr("\r\nContent-Type: application/json\r\n"));
  EXPECT_EQ(json.body, R"({"message":"Hello, World!"})");
  const Answer page = get(port_, "/");
  EXPECT_THAT(page.head, HasSubstr("\r\nContent-Type: text/html; charset=utf-8\r\n"));
  EXPECT_THAT(page.body, AllOf(StartsWith("<!doctype html>"), HasSubstr("</html>")));
}

TEST_F(HttpServerExample, SendsBackWhatItIsSent) {
  const Answer sized = exchange(port_, "POST /echo HTTP/1.1\r\nContent-Length: 5", "hello");
  EXPECT_THAT(sized.head, HasSubstr("\r\nContent-Type: application/octet-stream\r\n"));
  EXPECT_EQ(sized.body, "hello");
  const Answer chunked =
      exchange(port_, "POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue",
               "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n");
  EXPECT_THAT(chunked.head, HasSubstr("\r\nContent-Length: 5\r\n"));
  EXPECT_EQ(chunked.body, "hello");
}

TEST_F(HttpServerExample, ThePageNeedsNothingFromElsewhere) {
  std::string page = get(port_, "/").body;
  constexpr std::string_view name_space = "http://www.w3.org/2000/svg";  // nobody fetches it
  if (const auto at = page.find(name_space); at != page.npos) page.erase(at, name_space.size());
  EXPECT_EQ(page.find("http://"), page.npos);
  EXPECT_EQ(page.find("https://"), page.npos);
  EXPECT_EQ(page.find("src="), page.npos);
}

TEST_F(HttpServerExample, DrawsTiles) {
  const Answer tile = get(port_, "/mandelbrot/2/1/1.png");
  EXPECT_THAT(tile.head,
              AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("\r\nContent-Type: image/png\r\n")));
  EXPECT_THAT(tile.body, StartsWith("\x89PNG\r\n\x1a\n"));
}

TEST_F(HttpServerExample, KnowsWhatItDoesNotHave) {
  for (const char* path : {"/nothing", "/mandelbrot/0/1/0.png", "/mandelbrot/41/0/0.png",
                           "/mandelbrot/a/b/c.png", "/mandelbrot/1/-1/0.png"}) {
    EXPECT_THAT(get(port_, path).head, StartsWith("HTTP/1.1 404 ")) << path;
  }
}

TEST_F(HttpServerExample, SaysWhatItsLoopsDo) {
  get(port_, "/mandelbrot/0/0/0.png");
  get(port_, "/plaintext");
  const Answer answer = get(port_, "/stats");
  const auto stats = parse_json(answer.body);
  ASSERT_TRUE(stats.valid()) << answer.body;
  const auto& loops = stats["loops"];
  ASSERT_THAT(loops.elements(), SizeIs(2));
  for (const char* name :
       {"steps", "tasks", "cqes", "enters", "wakes", "requests", "connections"}) {
    double sum = 0;
    for (const auto& loop : loops.elements()) {
      EXPECT_TRUE(loop[name].is_number()) << name;
      sum += loop[name].number();
    }
    EXPECT_EQ(stats["totals"][name].number(), sum) << name;
  }
  EXPECT_EQ(stats["totals"]["requests"].number(), 3);
  EXPECT_EQ(stats["executor"]["finished"].number(), 1);
  EXPECT_EQ(stats["executor"]["queued"].number(), 0);
  EXPECT_EQ(stats["executor"]["running"].number(), 0);
  EXPECT_GT(stats["executor"]["run_time_us"].number(), 0);
}

TEST_F(HttpServerExample, EndsOrderlyOnSigterm) {
  get(port_, "/plaintext");
  server_.send_signal(SIGTERM);
  EXPECT_EQ(server_.read_rest(), "stopped: every connection has ended; requests answered: 1\n");
  EXPECT_EQ(server_.wait(), 0);
}

TEST_F(HttpServerExample, SaysThatItsPortIsTaken) {
  ServerProgram second({"--port", std::to_string(port_)});
  EXPECT_THAT(second.read_rest(),
              AllOf(StartsWith("http_server: port " + std::to_string(port_) + " of 127.0.0.1 is "),
                    HasSubstr("\n  why: "), HasSubstr("\n  do:  ")));
  EXPECT_EQ(second.wait(), 1);
}

TEST(HttpServerExampleOptions, AreExplained) {
  ServerProgram help({"--help"});
  EXPECT_THAT(help.read_rest(), StartsWith("usage: http_server "));
  EXPECT_EQ(help.wait(), 0);
  ServerProgram wrong({"--port", "70000"});
  EXPECT_THAT(wrong.read_rest(), StartsWith("usage: http_server "));
  EXPECT_EQ(wrong.wait(), 2);
}

}  // namespace
}  // namespace rota
