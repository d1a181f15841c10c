// What the load generator counts, against servers that do all kinds of things.
#include "../perf/load_run.hpp"

#include <rota/runtime.hpp>
#include <rota/server.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>

#include "support/io.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <utility>
#include <vector>

namespace {

using load::Failure;
using load::Mode;
using load::Options;
using load::Report;
using rota::Bytes;
using rota::Coro;
using rota::StreamReader;
using rota::StreamWriter;
using rota::testing_support::run_alone;
using namespace std::chrono_literals;

Coro<> echo(StreamReader reader, StreamWriter writer) {
  for (Bytes data = co_await reader.read(65536); !data.empty();
       data = co_await reader.read(65536)) {
    writer.write(data);
    co_await writer.drain();
  }
}

/// Answers by path. "/hang-up" and "/silence" do what they say.
Coro<> web(StreamReader reader, StreamWriter writer) {
  constexpr std::string_view chunked =
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
  for (;;) {
    const Bytes request = co_await reader.readuntil("\r\n\r\n");
    const std::string_view text = request.view();
    const std::string_view path = text.substr(4, text.find(' ', 4) - 4);
    if (path == "/plain") writer.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    if (path == "/chunked") writer.write(chunked);
    if (path == "/missing") writer.write("HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
    if (path == "/nonsense") writer.write("What do you mean?\r\n");
    if (path == "/hang-up") co_return;
    if (path == "/last") {
      writer.write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
      co_return;
    }
    if (path == "/until-the-end") {
      writer.write("HTTP/1.1 200 OK\r\n\r\nhello");
      co_return;
    }
  }
}

Options tcp_options() {
  Options options;
  options.host = "127.0.0.1";
  options.connections = 3;
  options.warmup = load::Seconds(0);
  options.duration = 50ms;
  return options;
}
Options http_options(std::vector<std::string> paths) {
  Options options = tcp_options();
  options.mode = Mode::http;
  options.authority = "server";
  options.paths = std::move(paths);
  return options;
}

template <typename Handler>
Coro<Report> measure(Options options, Handler handler) {
  const rota::Server server = co_await rota::start_server(handler, "127.0.0.1", 0);
  options.port = server.port();
  co_return co_await load::run_load(options, [](const Report&) {});
}

std::uint64_t errors(const Report& report, Failure failure) {
  return report.stats.errors[static_cast<std::size_t>(failure)];
}
/// Of this kind, and no others.
void expect_only(const Report& report, Failure failure) {
  EXPECT_GT(errors(report, failure), 0u);
  EXPECT_EQ(errors(report, failure), report.stats.errors_total());
}

// --- answers ----------------------------------------------------------------------------------

TEST(LoadRun, CountsEchoes) {
  const Report report = run_alone(measure(tcp_options(), echo));
  EXPECT_GT(report.stats.requests_total(), 0u);
  EXPECT_EQ(report.stats.errors_total(), 0u);
  EXPECT_EQ(report.stats.silent_connections, 0u);
  EXPECT_EQ(report.measured, 50ms);
  // What came in pieces is counted when it is whole.
  EXPECT_GE(report.stats.bytes_read, 64 * report.stats.requests_total());
}

TEST(LoadRun, CountsEachAnswerOfAPipeline) {
  Options options = tcp_options();
  options.size = 3000;
  options.pipeline = 16;
  const Report report = run_alone(measure(options, echo));
  EXPECT_GT(report.stats.requests_total(), 16u);
  EXPECT_EQ(report.stats.errors_total(), 0u);
}

TEST(LoadRun, SpreadsConnectionsOverLoops) {
  Options options = tcp_options();
  options.loops = 2;
  const Report report = rota::run(measure(options, echo), {.loops = 2});
  EXPECT_GT(report.stats.requests_total(), 0u);
  EXPECT_EQ(report.stats.errors_total(), 0u);
}

TEST(LoadRun, AsksForUrlsInTurn) {
  const Report report = run_alone(measure(http_options({"/plain", "/chunked"}), web));
  EXPECT_GT(report.stats.requests_total(), 1u);
  EXPECT_EQ(report.stats.errors_total(), 0u);
}

TEST(LoadRun, CountsWhatIsNo2xxAsAnsweredAndAsError) {
  Options options = http_options({"/plain", "/missing"});
  options.pipeline = 2;
  const Report report = run_alone(measure(options, web));
  expect_only(report, Failure::status);
  // Every second one; the measurement may begin or end between the two of a batch.
  EXPECT_NEAR(static_cast<double>(report.stats.requests_total()),
              2 * static_cast<double>(report.stats.errors_total()), 2 * options.connections);
}

TEST(LoadRun, OpensAConnectionAgainThatTheServerEndsOrderly) {
  for (const char* path : {"/last", "/until-the-end"}) {
    Options options = http_options({path});
    options.pipeline = 2;  // the second one is not answered, and sent again
    const Report report = run_alone(measure(options, web));
    EXPECT_GT(report.stats.requests_total(), 3u) << path;
    EXPECT_EQ(report.stats.errors_total(), 0u) << path;
  }
}

TEST(LoadRun, CountsNothingOfTheWarmUp) {
  Options options = tcp_options();
  options.warmup = 50ms;
  const Report report = run_alone(measure(options, [](StreamReader reader, StreamWriter writer) {
    return [](StreamReader from, StreamWriter to) -> Coro<> {
      to.write(co_await from.read(64));
      co_await rota::sleep(1h);
    }(std::move(reader), std::move(writer));
  }));
  EXPECT_EQ(report.stats.requests_total(), 0u);  // each had one, in the warm-up
  EXPECT_EQ(report.stats.bytes_read, 0u);
  EXPECT_EQ(report.stats.errors_total(), 0u);  // in flight at the end is no error
}

// --- errors -----------------------------------------------------------------------------------

TEST(LoadRun, NamesConnectionsThatAreNotAnsweredOnce) {
  // A request in flight at the end is no error; so this is all that is seen of a server that is
  // full.
  const Report report = run_alone(measure(http_options({"/silence"}), web));
  EXPECT_EQ(report.stats.silent_connections, 3u);
  EXPECT_EQ(report.stats.errors_total(), 0u);
}

TEST(LoadRun, CountsRefusedConnections) {
  Options options = tcp_options();
  const rota::Socket bound = rota::Socket::make(AF_INET);  // and does not listen
  bound.bind(*rota::Address::parse("127.0.0.1", 0));
  options.port = bound.getsockname().port();
  const Report report = run_alone(load::run_load(options, [](const Report&) {}));
  expect_only(report, Failure::connect);
}

TEST(LoadRun, CountsWhatWasInFlightOnALostConnection) {
  expect_only(run_alone(measure(http_options({"/plain", "/hang-up"}), web)), Failure::lost);
}

TEST(LoadRun, CountsWhatIsNotAnsweredInTime) {
  Options options = http_options({"/plain", "/silence"});
  options.timeout = 20ms;
  options.duration = 200ms;
  expect_only(run_alone(measure(options, web)), Failure::timeout);
}

TEST(LoadRun, CountsWhatIsNoResponse) {
  expect_only(run_alone(measure(http_options({"/plain", "/nonsense"}), web)), Failure::malformed);
}

TEST(LoadRun, TakesMoreThanWasAskedForAsMalformed) {
  const auto twice = [](StreamReader reader, StreamWriter writer) -> Coro<> {
    for (Bytes data = co_await reader.read(64); !data.empty(); data = co_await reader.read(64)) {
      writer.write(data);
      writer.write(data);
    }
  };
  const Report report = run_alone(measure(tcp_options(), twice));
  EXPECT_GT(errors(report, Failure::malformed), 0u);
}

// --- time -------------------------------------------------------------------------------------

/// An echo server that stands still once, for 60 ms.
Coro<> stalling_echo(StreamReader reader, StreamWriter writer) {
  rota::EventLoop& loop = rota::get_running_loop();
  std::optional<rota::TimePoint> stall = loop.time() + 50ms;
  for (Bytes data = co_await reader.read(65536); !data.empty();
       data = co_await reader.read(65536)) {
    if (stall && loop.time() >= *stall) {
      stall.reset();
      co_await rota::sleep(60ms);
    }
    writer.write(data);
  }
}

TEST(LoadRun, OpenLoopCountsFromThePlannedStart) {
  Options options = tcp_options();
  options.connections = 1;
  options.duration = 250ms;
  const Report closed = run_alone(measure(options, stalling_echo));
  options.rate = 1000;
  const Report open = run_alone(measure(options, stalling_echo));
  // One request of the closed loop met the stall; of the open loop all that were due in it, and
  // that is a quarter.
  EXPECT_GE(closed.stats.latency.max(), 60'000'000u);
  EXPECT_LT(closed.stats.latency.quantile(0.9), 30'000'000u);
  EXPECT_GE(open.stats.latency.quantile(0.9), 30'000'000u);
}

TEST(LoadRun, OpenLoopSendsAtItsRate) {
  Options options = tcp_options();
  options.rate = 400;
  options.duration = 250ms;
  const Report report = run_alone(measure(options, echo));
  // Those that are answered between the end and the last step are not counted anywhere.
  const std::uint64_t due = report.stats.requests_total() + report.stats.unanswered_total;
  EXPECT_LE(due, 100u);
  EXPECT_GE(due, 100u - options.connections);
}

TEST(LoadRun, EndsEarlyWhenCancelled) {
  Options options = tcp_options();
  options.duration = 1h;
  const auto interrupted = [](Options given) -> Coro<Report> {
    const rota::Server server = co_await rota::start_server(echo, "127.0.0.1", 0);
    given.port = server.port();
    auto task = rota::create_task(load::run_load(given, [](const Report&) {}));
    co_await rota::sleep(50ms);
    task.cancel();
    co_return co_await task;
  };
  const Report report = run_alone(interrupted(options));
  EXPECT_GT(report.stats.requests_total(), 0u);
  EXPECT_GT(report.measured, 0ms);  // its clock starts a little after that of the 50 ms
  EXPECT_LT(report.measured, 1h);
}

// --- the plan ---------------------------------------------------------------------------------

TEST(LoadPlan, DealsEvenlySpacedStartsOutInTurn) {
  Options options = tcp_options();
  options.rate = 1000;
  const load::Plan plan(options, rota::TimePoint(1s));
  EXPECT_EQ(plan.start_of(0, 0), rota::TimePoint(1000ms));
  EXPECT_EQ(plan.start_of(2, 0), rota::TimePoint(1002ms));
  EXPECT_EQ(plan.start_of(0, 1), rota::TimePoint(1003ms));
  EXPECT_EQ(plan.due_before(0, rota::TimePoint(1003ms)), 1u);
  EXPECT_EQ(plan.due_before(0, rota::TimePoint(1003ms + 1ns)), 2u);
  EXPECT_EQ(plan.due_before(2, rota::TimePoint(1001ms)), 0u);
}

TEST(LoadPlan, GivesAnyBatchOfRequestsAsOnePiece) {
  Options options = http_options({"/a", "/b", "/c"});
  options.pipeline = 4;
  const load::Requests requests(options);
  const auto request = [](const char* path) {
    return std::string("GET ") + path + " HTTP/1.1\r\nHost: server\r\n\r\n";
  };
  EXPECT_EQ(requests.batch(0, 1), request("/a"));
  EXPECT_EQ(requests.batch(5, 4), request("/c") + request("/a") + request("/b") + request("/c"));
}

}  // namespace
