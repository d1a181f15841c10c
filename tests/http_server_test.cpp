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
#include <stdexcept>
#include <string>
#include <vector>

namespace rota::http {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;
using testing_support::HttpClient;
using testing_support::Reply;

Response hello(Request&) { return Response("Hello, World!"); }

Coro<Response> echo(Request& request) { co_return Response(co_await request.read()); }

Router routes() {
  Router router;
  router.get("/", hello);
  router.post("/echo", echo);
  router.post("/ignore", hello);
  router.get("/tiles/{z}/{x}/{y}.png", [](Request& request) {
    return Response(std::string(request.parameter("z")) + "|" +
                    std::string(request.parameter("x")) + "|" +
                    std::string(request.parameter("y")));
  });
  router.get("/query", [](Request& request) { return Response(request.query_value("a", "none")); });
  router.get("/host",
             [](Request& request) { return Response(std::string(request.header("HOST"))); });
  router.get("/large", [](Request&) { return Response(std::string(300'000, 'x')); });
  router.get("/fails", [](Request&) -> Response { throw std::logic_error("planned"); });
  router.get("/fails-later", [](Request&) -> Coro<Response> {
    co_await sleep(0s);
    throw HttpError(418, "a teapot");
  });
  router.get("/stream", [](Request&) {
    return Response::stream([](BodyWriter& out) -> Coro<> {
      co_await out.write("one ");
      co_await sleep(0s);
      co_await out.write("two");
    });
  });
  router.get("/stream-fails", [](Request&) {
    return Response::stream([](BodyWriter& out) -> Coro<> {
      co_await out.write("one ");
      throw std::logic_error("planned");
    });
  });
  router.get("/nothing", [](Request&) { return Response({}, "", 204); });
  router.get("/headers", [](Request&) {
    return Response("x").add_header("X-One", "1").add_header("X-Two", "2");
  });
  return router;
}

using Test = std::function<Coro<>(std::uint16_t port, Server server)>;

/// Runs `test` against a server of `options`, which is closed at once afterwards. Returns what the
/// exception handler was told.
std::vector<std::string> with_server(Test test, ServerOptions options = {}) {
  std::vector<std::string> reports;
  RuntimeOptions one;
  one.loops = 1;
  run(
      [](Test body, ServerOptions given, std::vector<std::string>& messages) -> Coro<> {
        get_running_loop().set_exception_handler([&](EventLoop&, const ExceptionContext& context) {
          messages.push_back(context.message);
        });
        Server server = co_await start_server(routes(), "127.0.0.1", 0, given);
        co_await timeout(30s, body(server.port(), server));
        co_await server.close(0s);
      }(std::move(test), options, reports),
      one);
  return reports;
}

constexpr auto get_root = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

TEST(HttpServer, AnswersAndKeepsTheConnection) {
  with_server([](std::uint16_t port, Server server) -> Coro<> {
    HttpClient client = co_await HttpClient::open(port);
    for (int i = 0; i < 3; ++i) {
      const Reply reply = co_await client.ask(get_root);
      EXPECT_EQ(reply.status, 200);
      EXPECT_EQ(reply.body, "Hello, World!");
      EXPECT_TRUE(reply.has("HTTP/1.1 200 OK\r\nContent-Length: 13\r\n")) << reply.head;
      EXPECT_TRUE(reply.has("\r\nContent-Type: text/plain; charset=utf-8\r\n")) << reply.head;
      EXPECT_TRUE(reply.has("\r\nDate: ")) << reply.head;
      EXPECT_FALSE(reply.has("Connection:")) << reply.head;
    }
    EXPECT_EQ(server.stats().at(0).requests_total, 3u);
    EXPECT_EQ(server.stats().at(0).connections, 1u);
  });
}

TEST(HttpServer, AnswersPipelinedRequestsInOneSend) {
  with_server([](std::uint16_t port, Server) -> Coro<> {
    HttpClient client = co_await HttpClient::open(port);
    co_await client.ask(get_root);
    std::string requests;
    for (int i = 0; i < 16; ++i) {
      requests += "GET /tiles/1/2/" + std::to_string(i) + ".png HTTP/1.1\r\nHost: a\r\n\r\n";
    }
    client.send(requests);
    const std::string replies = co_await client.receive_some();
    std::size_t count = 0;
    for (std::size_t at = 0; (at = replies.find("1|2|", at)) != std::string::npos; ++at) {
      EXPECT_EQ(replies.substr(at, 4 + std::to_string(count).size()),
                "1|2|" + std::to_string(count));
      ++count;
    }
    EXPECT_EQ(count, 16u);
  });
}

TEST(HttpServer, TakesAHeadInPiecesOfOneByte) {
  with_server([](std::uint16_t port, Server) -> Coro<> {
    HttpClient client = co_await HttpClient::open(port);
    for (const char* byte = get_root; *byte != '\0'; ++byte) {
      client.send(std::string_view(byte, 1));
      co_await sleep(0s);
    }
    EXPECT_EQ((co_await client.receive()).status, 200);
  });
}

TEST(HttpServer, RoutesByPathMethodAndPattern) {
  with_server([](std::uint16_t port, Server) -> Coro<> {
    HttpClient client = co_await HttpClient::open(port);
    Reply reply = co_await client.ask("GET /tiles/3/14/15.png?x=1 HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(reply.body, "3|14|15");
    reply = co_await client.ask("GET /tiles/3/14/.png HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(reply.status, 404);
    reply = co_await client.ask("GET /none HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(reply.status, 404);
    reply = co_await client.ask("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(reply.status, 405);
    EXPECT_TRUE(reply.has("Allow: GET, HEAD")) << reply.head;
    reply = co_await client.ask("GET /host HTTP/1.1\r\nHost: rota.test\r\n\r\n");
    EXPECT_EQ(reply.body, "rota.test");
    reply = co_await client.ask("GET /query?b=1&a=x%20y+z HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(reply.body, "x y z");
    reply = co_await client.ask("GET /query?a=%4 HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(reply.status, 400);
    reply = co_await client.ask("GET /headers HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_TRUE(reply.has("X-One: 1\r\nX-Two: 2")) << reply.head;
  });
}

TEST(HttpServer, AnswersHeadWithTheLengthAndWithoutTheBody) {
  with_server([](std::uint16_t port, Server) -> Coro<> {
    HttpClient client = co_await HttpClient::open(port);
    client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    const Reply head = co_await client.receive(true);
    EXPECT_TRUE(head.has("Content-Length: 13"));
    client.send("HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    co_await client.receive(true);
    EXPECT_EQ((co_await client.ask(get_root)).body, "Hello, World!");
  });
}

TEST(HttpServer, A204HasNeitherBodyNorLength) {
  with_server([](std::uint16_t port, Server) -> Coro<> {
    HttpClient client = co_await HttpClient::open(port);
    const Reply reply = co_await client.ask("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(reply.status, 204);
    EXPECT_FALSE(reply.has("Content-")) << reply.head;
  });
}

TEST(HttpServer, ReadsBodiesOfALengthAndInChunks) {
  with_server([](std::uint16_t port, Server) -> Coro<> {
    HttpClient client = co_await HttpClient::open(port);
    Reply reply =
        co_await client.ask("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello");
    EXPECT_EQ(reply.body, "hello");
    reply = co_await client.ask(
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nTrailer: t\r\n\r\n" +
        std::string(get_root));
    EXPECT_EQ(reply.body, "abcdefg");
    EXPECT_EQ((co_await client.receive()).body, "Hello, World!");
  });
}

TEST(HttpServer, ReadsAChunkedBodyThatComesByteByByte) {
  with_server([](std::uint16_t port, Server) -> Coro<> {
    HttpClient client = co_await HttpClient::open(port);
    const std::string request =
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nTrailer: t\r\n\r\n";
    for (int round = 0; round < 2; ++round) {
      for (const char byte : request) {
        client.send(std::string_view(&byte, 1));
        co_await sleep(0s);
      }
      EXPECT_EQ((co_await client.receive()).body, "abcdefg");
    }
  });
}

TEST(HttpServer, ReadsALargeBodyAndSendsItBack) {
  with_server([](std::uint16_t port, Server) -> Coro<> {
    HttpClient client = co_await HttpClient::open(port);
    std::string body(900'000, 'x');
    for (std::size_t i = 0; i < body.size(); i += 1000) body[i] = static_cast<char>('a' + i % 26);
    const std::string head =
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) +
        "\r\n\r\n";
    EXPECT_EQ((co_await client.ask(head + body)).body, body);
    EXPECT_EQ((co_await client.ask(get_root)).status, 200);
  });
}

TEST(HttpServer, SaysContinueWhenTheHandlerReadsTheBody) {
  with_server([](std::uint16_t port, Server) -> Coro<> {
    HttpClient client = co_await HttpClient::open(port);
    client.send(
        "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    EXPECT_EQ((co_await client.receive(true)).head, "HTTP/1.1 100 Continue");
    const Reply reply = co_await client.ask("ok");
    EXPECT_EQ(reply.body, "ok");
    EXPECT_EQ((co_await client.ask(get_root)).status, 200);
  });
}

TEST(HttpServer, DoesNotSayContinueWhenTheBodyIsNotWanted) {
  with_server([](std::uint16_t port, Server) -> Coro<> {
    HttpClient client = co_await HttpClient::open(port);
    const Reply reply = co_await client.ask(
        "POST /ignore HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    EXPECT_EQ(reply.status, 200);
    EXPECT_TRUE(reply.has("Connection: close")) << reply.head;
    EXPECT_EQ(co_await client.receive_all(), "");
  });
}

TEST(HttpServer, SkipsABodyThatTheHandlerDidNotRead) {
  with_server([](std::uint16_t port, Server) -> Coro<> {
    HttpClient client = co_await HttpClient::open(port);
    const Reply reply =
        co_await client.ask("POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nGET /" +
                            std::string(get_root));
    EXPECT_EQ(reply.body, "Hello, World!");
    EXPECT_EQ((co_await client.receive()).body, "Hello, World!");
  });
}

TEST(HttpServer, RefusesABodyAboveTheLimit) {
  ServerOptions options;
  options.body_limit = 10;
  with_server(
      [](std::uint16_t port, Server) -> Coro<> {
        HttpClient known = co_await HttpClient::open(port);
        Reply reply = co_await known.ask(
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n12345678901");
        EXPECT_EQ(reply.status, 413);
        HttpClient chunked = co_await HttpClient::open(port);
        reply = co_await chunked.ask(
            "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            "6\r\n123456\r\n6\r\n123456\r\n0\r\n\r\n");
        EXPECT_EQ(reply.status, 413);
        HttpClient exact = co_await HttpClient::open(port);
        reply = co_await exact.ask(
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n1234567890");
        EXPECT_EQ(reply.status, 200);
      },
      options);
}

TEST(HttpServer, StreamsInChunksAndForHttp10UntilItCloses) {
  with_server([](std::uint16_t port, Server) -> Coro<> {
    HttpClient client = co_await HttpClient::open(port);
    const Reply reply = co_await client.ask("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_TRUE(reply.has("Transfer-Encoding: chunked"));
    EXPECT_EQ(reply.body, "one two");
    EXPECT_EQ((co_await client.ask(get_root)).status, 200);
    HttpClient old = co_await HttpClient::open(port);
    old.send("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    const std::string all = co_await old.receive_all();
    EXPECT_THAT(all, HasSubstr("Connection: close\r\n"));
    EXPECT_TRUE(all.ends_with("\r\n\r\none two")) << all;
  });
}

TEST(HttpServer, AStreamThatFailsIsCutOff) {
  const auto reports = with_server([](std::uint16_t port, Server) -> Coro<> {
    HttpClient client = co_await HttpClient::open(port);
    client.send("GET /stream-fails HTTP/1.1\r\nHost: a\r\n\r\n");
    const std::string all = co_await client.receive_all();
    EXPECT_THAT(all, Not(HasSubstr("0\r\n\r\n")));
  });
  EXPECT_EQ(reports, std::vector<std::string>{"Unhandled exception in a streamed body"});
}

TEST(HttpServer, Http10KeepsTheConnectionOnlyWhenAsked) {
  with_server([](std::uint16_t port, Server) -> Coro<> {
    HttpClient once = co_await HttpClient::open(port);
    once.send("GET / HTTP/1.0\r\n\r\n");
    EXPECT_TRUE((co_await once.receive_all()).ends_with("Hello, World!"));
    HttpClient kept = co_await HttpClient::open(port);
    for (int i = 0; i < 2; ++i) {
      const Reply reply = co_await kept.ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
      EXPECT_TRUE(reply.has("Connection: keep-alive")) << reply.head;
    }
  });
}

TEST(HttpServer, ClosesWhenTheClientAsksForIt) {
  with_server([](std::uint16_t port, Server) -> Coro<> {
    HttpClient client = co_await HttpClient::open(port);
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    const std::string all = co_await client.receive_all();
    EXPECT_THAT(all, HasSubstr("Connection: close\r\n"));
    EXPECT_TRUE(all.ends_with("Hello, World!")) << all;
  });
}

TEST(HttpServer, AnswersAClientThatHasEndedItsHalf) {
  with_server([](std::uint16_t port, Server) -> Coro<> {
    HttpClient client = co_await HttpClient::open(port);
    client.send(get_root);
    client.end();
    EXPECT_TRUE((co_await client.receive_all()).ends_with("Hello, World!"));
  });
}

TEST(HttpServer, WhatAHandlerThrowsIsAnAnswer) {
  const auto reports = with_server([](std::uint16_t port, Server) -> Coro<> {
    HttpClient client = co_await HttpClient::open(port);
    Reply reply = co_await client.ask("GET /fails HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(reply.status, 500);
    EXPECT_EQ(reply.body, "internal server error\n");
    reply = co_await client.ask("GET /fails-later HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(reply.status, 418);
    EXPECT_EQ(reply.body, "a teapot\n");
    EXPECT_EQ((co_await client.ask(get_root)).status, 200);
  });
  EXPECT_EQ(reports,
            std::vector<std::string>{"Unhandled exception in an HTTP handler (GET /fails)"});
}

TEST(HttpServer, RefusesWhatIsAmbiguousAndCloses) {
  with_server([](std::uint16_t port, Server server) -> Coro<> {
    const std::string bad[] = {
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
    };
    for (const std::string& request : bad) {
      HttpClient client = co_await HttpClient::open(port);
      client.send(request + get_root);
      const std::string all = co_await client.receive_all();
      EXPECT_TRUE(all.starts_with("HTTP/1.1 400 Bad Request\r\n")) << request << all;
      EXPECT_THAT(all, HasSubstr("Connection: close"));
      EXPECT_THAT(all, Not(HasSubstr("Hello"))) << request;
    }
    EXPECT_EQ(server.stats().at(0).refused_total, 4u);
    EXPECT_EQ(server.stats().at(0).requests_total, 0u);
  });
}

TEST(HttpServer, SendsALargeAnswerWhole) {
  with_server([](std::uint16_t port, Server) -> Coro<> {
    HttpClient client = co_await HttpClient::open(port);
    const Reply reply = co_await client.ask("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(reply.body, std::string(300'000, 'x'));
  });
}

TEST(HttpServer, AClientThatGoesAwayDoesNotDisturb) {
  const auto reports = with_server([](std::uint16_t port, Server server) -> Coro<> {
    for (const char* begin : {"", "GET / HT", get_root,
                              "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab"}) {
      HttpClient ended = co_await HttpClient::open(port);
      ended.send(begin);
      ended.end();
      co_await ended.receive_all();
      HttpClient aborted = co_await HttpClient::open(port);
      aborted.send(begin);
      co_await sleep(1ms);
      aborted.abort();
    }
    while (server.stats().at(0).connections != 0) co_await sleep(1ms);
  });
  EXPECT_EQ(reports, std::vector<std::string>{});
}

TEST(HttpServer, ServesOnSeveralLoops) {
  RuntimeOptions two;
  two.loops = 2;
  run(
      []() -> Coro<> {
        const auto loops = all_loops();
        ServerOptions options;
        options.loops = loops;
        Server server = co_await start_server(routes(), "127.0.0.1", 0, options);
        std::vector<HttpClient> clients;
        for (int i = 0; i < 8; ++i) clients.push_back(co_await HttpClient::open(server.port()));
        for (HttpClient& client : clients) {
          EXPECT_EQ((co_await client.ask(get_root)).status, 200);
        }
        const auto stats = server.stats();
        EXPECT_EQ(stats.at(0).requests_total + stats.at(1).requests_total, 8u);
        EXPECT_GT(stats.at(0).requests_total, 0u);
        EXPECT_GT(stats.at(1).requests_total, 0u);
        clients.clear();
        co_await server.close(1s);
      }(),
      two);
}

}  // namespace
}  // namespace rota::http
