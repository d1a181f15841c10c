#include <rota/connection.hpp>
#include <rota/server.hpp>
#include <rota/sleep.hpp>

#include "support/io.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <utility>

namespace rota {
namespace {

using namespace std::chrono_literals;
using testing_support::open_descriptors;
using testing_support::run_alone;

Coro<> echo(StreamReader reader, StreamWriter writer) {
  for (Bytes data = co_await reader.read(65536); !data.empty();
       data = co_await reader.read(65536)) {
    writer.write(data);
    co_await writer.drain();
  }
}

Coro<> round_trip(std::string host, std::uint16_t port) {
  auto [reader, writer] = co_await open_connection(std::move(host), port);
  writer.write("hello\n");
  const Bytes line = co_await reader.readline();
  EXPECT_EQ(line, "hello\n");
  writer.close();
  co_await writer.wait_closed();
}

TEST(OpenConnection, SW01RoundTrip) {
  const std::size_t before = open_descriptors();
  run_alone([]() -> Coro<> {
    const Server server = co_await start_server(echo, "127.0.0.1", 0);
    co_await round_trip("127.0.0.1", server.port());
    server.close();
    co_await server.wait_closed();
  }());
  EXPECT_EQ(open_descriptors(), before);
}

TEST(OpenConnection, RoundTripOverIPv6) {
  run_alone([]() -> Coro<> {
    const Server server = co_await start_server(echo, "::1", 0);
    co_await round_trip("::1", server.port());
  }());
}

TEST(OpenConnection, CN01TriesTheAddressesInOrderAndClosesTheLosers) {
  const std::size_t before = open_descriptors();
  run_alone([]() -> Coro<> {
    // "localhost" is 127.0.0.1, where nobody listens, and then ::1.
    const Server server = co_await start_server(echo, "::1", 0);
    co_await round_trip("localhost", server.port());
  }());
  EXPECT_EQ(open_descriptors(), before);
}

TEST(OpenConnection, CN02WhenAllFailTheErrorNamesTheAddress) {
  const std::size_t before = open_descriptors();
  run_alone([]() -> Coro<> {
    Socket bound = Socket::make(AF_INET);
    bound.bind(*Address::parse("127.0.0.1", 0));  // and does not listen
    std::string text;
    try {
      co_await open_connection("127.0.0.1", bound.getsockname().port());
    } catch (const ConnectionRefusedError& error) {
      text = error.what();
    }
    EXPECT_NE(text.find("connect to " + bound.getsockname().to_string()), std::string::npos)
        << text;
  }());
  EXPECT_EQ(open_descriptors(), before);
}

TEST(OpenConnection, ANameSaysThatItNeedsAResolver) {
  run_alone([]() -> Coro<> {
    bool thrown = false;
    try {
      co_await open_connection("example.org", 80);
    } catch (const OSError&) {
      thrown = true;
    }
    EXPECT_TRUE(thrown);
  }());
}

TEST(OpenConnection, CN03ACancelledOneLeavesNothingOpen) {
  const std::size_t before = open_descriptors();
  run_alone([]() -> Coro<> {
    const Server server = co_await start_server(echo, "127.0.0.1", 0);
    int cancelled = 0;
    for (int round = 0; round < 300; ++round) {
      auto opening = create_task(open_connection("127.0.0.1", server.port()));
      for (int count = round % 4; count > 0; --count) co_await sleep(0s);
      opening.cancel();
      try {
        co_await std::move(opening);
      } catch (const CancelledError&) {
        ++cancelled;
      }
    }
    EXPECT_GT(cancelled, 0);
    server.close();
    co_await server.wait_closed();
    EXPECT_LE(open_descriptors(), 20u);
  }());
  EXPECT_EQ(open_descriptors(), before);
}

TEST(OpenConnection, SK12AdoptsAConnectedSocket) {
  run_alone([]() -> Coro<> {
    auto sockets = Socket::pair();
    Connection near = open_connection(std::move(sockets.first));
    Connection far = open_connection(std::move(sockets.second), {.limit = 100});
    EXPECT_EQ(far.reader.limit(), 100u);
    near.writer.write("x");
    const Bytes byte = co_await far.reader.readexactly(1);
    EXPECT_EQ(byte, "x");
  }());
}

TEST(OpenConnection, NeedsARunningLoopAndAnOpenSocket) {
  EXPECT_THROW(open_connection(Socket::pair().first), RuntimeError);
  run_alone([]() -> Coro<> {
    EXPECT_THROW(open_connection(Socket()), OSError);
    EXPECT_THROW(open_connection(Socket::pair().first, {.limit = 0}), ValueError);
    co_return;
  }());
}

}  // namespace
}  // namespace rota
