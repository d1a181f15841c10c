/// What clients may cost, and how a server ends.
#include <rota/http/server.hpp>
#include <rota/runtime.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>
#include <rota/timeout.hpp>

#include "support/http_client.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace rota::http {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing_support::HttpClient;
using testing_support::Reply;

constexpr auto get_root = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

Router routes() {
  Router router;
  router.get("/", [](Request&) { return Response("Hello, World!"); });
  router.get("/large", [](Request&) { return Response(std::string(8'000'000, 'x')); });
  router.get("/slow", [](Request&) -> Coro<Response> {
    co_await sleep(50ms);
    co_return Response("slow");
  });
  router.post("/echo", [](Request& request) -> Coro<Response> {
    co_return Response(co_await request.read());
  });
  return router;
}

using Test = std::function<Coro<>(std::uint16_t port, Server server)>;

void with_server(ServerOptions options, Test test) {
  RuntimeOptions one;
  one.loops = 1;
  run(
      [](Test body, ServerOptions given) -> Coro<> {
        Server server = co_await start_server(routes(), "127.0.0.1", 0, given);
        co_await timeout(30s, body(server.port(), server));
        co_await server.close(0s);
      }(std::move(test), options),
      one);
}

TEST(HttpLimits, ASlowHeadIsAnswered408) {
  ServerOptions options;
  options.head_timeout = 20ms;
  with_server(options, [](std::uint16_t port, Server server) -> Coro<> {
    HttpClient client = co_await HttpClient::open(port);
    client.send("GET / HTTP/1.1\r\nHost: ");
    const std::string all = co_await client.receive_all();
    EXPECT_TRUE(all.starts_with("HTTP/1.1 408 ")) << all;
    EXPECT_EQ(server.stats().at(0).refused_total, 1u);
  });
}

// Every byte in time does not help: the limit is for the whole head.
TEST(HttpLimits, AHeadThatDripsIsAnswered408) {
  ServerOptions options;
  options.head_timeout = 40ms;
  with_server(options, [](std::uint16_t port, Server server) -> Coro<> {
    HttpClient client = co_await HttpClient::open(port);
    client.send("GET / HTTP/1.1\r\n");
    while (server.stats().at(0).refused_total == 0) {
      client.send("X: y\r\n");
      co_await sleep(5ms);
    }
    EXPECT_THAT(co_await client.receive_all(), HasSubstr(" 408 "));
  });
}

TEST(HttpLimits, ASilentConnectionIsClosedWithoutAWord) {
  ServerOptions options;
  options.idle_timeout = 20ms;
  with_server(options, [](std::uint16_t port, Server server) -> Coro<> {
    HttpClient client = co_await HttpClient::open(port);
    co_await client.ask(get_root);
    EXPECT_EQ(co_await client.receive_all(), "");
    EXPECT_EQ(server.stats().at(0).refused_total, 0u);
  });
}

TEST(HttpLimits, ASlowBodyIsAnswered408) {
  ServerOptions options;
  options.body_timeout = 20ms;
  with_server(options, [](std::uint16_t port, Server) -> Coro<> {
    HttpClient client = co_await HttpClient::open(port);
    client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab");
    EXPECT_THAT(co_await client.receive_all(), HasSubstr(" 408 "));
  });
}

TEST(HttpLimits, ASlowReaderIsCutOff) {
  ServerOptions options;
  options.write_timeout = 20ms;
  with_server(options, [](std::uint16_t port, Server server) -> Coro<> {
    HttpClient client = co_await HttpClient::open(port);
    client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    while (server.stats().at(0).refused_total == 0) co_await sleep(1ms);
    while (server.stats().at(0).connections != 0) co_await sleep(1ms);
    EXPECT_LT((co_await client.receive_all()).size(), 8'000'000u);
  });
}

TEST(HttpLimits, ASlowHandlerIsNotATimeout) {
  ServerOptions options;
  options.head_timeout = options.idle_timeout = options.body_timeout = options.write_timeout = 10ms;
  with_server(options, [](std::uint16_t port, Server) -> Coro<> {
    HttpClient client = co_await HttpClient::open(port);
    EXPECT_EQ((co_await client.ask("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")).body, "slow");
  });
}

TEST(HttpLimits, MoreConnectionsThanAllowedAreAnswered503) {
  ServerOptions options;
  options.max_connections = 2;
  with_server(options, [](std::uint16_t port, Server) -> Coro<> {
    HttpClient one = co_await HttpClient::open(port);
    HttpClient two = co_await HttpClient::open(port);
    co_await one.ask(get_root);
    co_await two.ask(get_root);
    HttpClient three = co_await HttpClient::open(port);
    EXPECT_EQ((co_await three.receive()).status, 503);
    EXPECT_EQ((co_await one.ask(get_root)).status, 200);
  });
}

TEST(HttpLimits, AConnectionEndsAfterItsLastRequest) {
  ServerOptions options;
  options.max_requests = 2;
  with_server(options, [](std::uint16_t port, Server) -> Coro<> {
    HttpClient client = co_await HttpClient::open(port);
    EXPECT_FALSE((co_await client.ask(get_root)).has("Connection: close"));
    EXPECT_TRUE((co_await client.ask(get_root)).has("Connection: close"));
    EXPECT_EQ(co_await client.receive_all(), "");
  });
}

// The answer must reach a client that goes on sending: no reset before it has read.
TEST(HttpLimits, TheLastAnswerIsReadableThoughMoreWasSent) {
  with_server({}, [](std::uint16_t port, Server) -> Coro<> {
    HttpClient client = co_await HttpClient::open(port);
    client.send("GET / HTTP/9.9\r\n\r\n" + std::string(200'000, 'x'));
    const std::string all = co_await client.receive_all();
    EXPECT_TRUE(all.starts_with("HTTP/1.1 ")) << all.substr(0, 100);
    EXPECT_THAT(all, testing::Not(HasSubstr("(reset)")));
  });
}

TEST(HttpLimits, CloseAnswersWhatIsInProgressAndTheNextRequestOfEachConnection) {
  with_server({}, [](std::uint16_t port, Server server) -> Coro<> {
    HttpClient busy = co_await HttpClient::open(port);
    HttpClient idle = co_await HttpClient::open(port);
    co_await idle.ask(get_root);
    busy.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    co_await sleep(5ms);
    Task<> closing = create_task(server.close(5s));
    co_await sleep(5ms);
    const Reply last = co_await idle.ask(get_root);
    EXPECT_EQ(last.status, 200);
    EXPECT_TRUE(last.has("Connection: close")) << last.head;
    const Reply slow = co_await busy.receive();
    EXPECT_EQ(slow.body, "slow");
    EXPECT_TRUE(slow.has("Connection: close")) << slow.head;
    EXPECT_EQ(co_await busy.receive_all(), "");
    EXPECT_EQ(co_await idle.receive_all(), "");
    busy.abort();
    idle.abort();
    co_await closing;
    EXPECT_EQ(server.stats().at(0).connections, 0u);
    EXPECT_THROW(co_await HttpClient::open(port), ConnectionRefusedError);
  });
}

TEST(HttpLimits, CloseEndsConnectionsThatStaySilent) {
  with_server({}, [](std::uint16_t port, Server server) -> Coro<> {
    HttpClient idle = co_await HttpClient::open(port);
    co_await idle.ask(get_root);
    Task<> closing = create_task(server.close(100ms));
    EXPECT_EQ(co_await idle.receive_all(), "");
    co_await closing;
  });
}

TEST(HttpLimits, TimesThatAreNotPositiveAreAnError) {
  RuntimeOptions one;
  one.loops = 1;
  run(
      []() -> Coro<> {
        ServerOptions options;
        options.head_timeout = 0s;
        EXPECT_THROW(co_await start_server(routes(), "127.0.0.1", 0, options), ValueError);
      }(),
      one);
}

}  // namespace
}  // namespace rota::http
