/// io_server_loops_test.cpp: a server on several loops.

#include <rota/connection.hpp>
#include <rota/runtime.hpp>
#include <rota/server.hpp>
#include <rota/sleep.hpp>

#include "support/io.hpp"
#include "support/loop_thread.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace rota {
namespace {

using namespace std::chrono_literals;
using testing_support::LoopThread;
using testing_support::open_descriptors;

Coro<> echo(StreamReader reader, StreamWriter writer) {
  try {
    for (Bytes data = co_await reader.read(65536); !data.empty();
         data = co_await reader.read(65536)) {
      writer.write(std::move(data));
      co_await writer.drain();
    }
  } catch (const ConnectionError&) {  // the peer is gone
  }
}

Coro<> steps(int count) {
  for (; count > 0; --count) co_await sleep(0s);
}

/// Sends a line and gives what comes back.
Coro<std::string> ask(Connection& connection, std::string question) {
  connection.writer.write(question + '\n');
  const Bytes answer = co_await connection.reader.readline();
  co_return answer.str();
}

Coro<> tell_loop(StreamReader reader, StreamWriter writer) {
  writer.write(std::to_string(get_running_loop().handle().id()) + "\n");
  co_await reader.read();
}

Coro<std::set<std::string>> loops_that_answer(std::uint16_t port, int count) {
  std::set<std::string> ids;
  std::vector<Connection> connections;
  for (int i = 0; i < count; ++i) {
    connections.push_back(co_await open_connection("127.0.0.1", port));
    const Bytes line = co_await connections.back().reader.readline();
    ids.insert(line.str());
  }
  co_return ids;
}

TEST(ServerOnLoops, OneAcceptorHandsConnectionsToAllLoops) {
  const std::size_t before = open_descriptors();
  run(
      []() -> Coro<> {
        const auto loops = all_loops();
        const Server server = co_await start_server(tell_loop, "127.0.0.1", 0, {.loops = loops});
        EXPECT_EQ(server.sockets().size(), 1u);
        const auto ids = co_await loops_that_answer(server.port(), 12);
        EXPECT_EQ(ids.size(), 3u);
        server.close();
        co_await server.wait_closed();
      }(),
      {.loops = 3});
  EXPECT_EQ(open_descriptors(), before);
}

TEST(ServerOnLoops, ReusePortMakesAListenerForEachLoop) {
  const std::size_t before = open_descriptors();
  run(
      []() -> Coro<> {
        const auto loops = all_loops();
        const Server server =
            co_await start_server(tell_loop, "127.0.0.1", 0, {.reuse_port = true, .loops = loops});
        EXPECT_EQ(server.sockets().size(), 2u);
        // The kernel chooses by the client's port: 64 on one loop would be a wonder.
        const auto ids = co_await loops_that_answer(server.port(), 64);
        EXPECT_EQ(ids.size(), 2u);
        server.close();
        server.close_clients();
        co_await server.wait_closed();
      }(),
      {.loops = 2});
  EXPECT_EQ(open_descriptors(), before);
}

TEST(ServerOnLoops, ItsFunctionsActOverAllLoopsFromAnyOfThem) {
  LoopThread other;
  run(
      [](LoopHandle elsewhere, LoopThread& thread) -> Coro<> {
        const std::vector<LoopHandle> loops = {get_running_loop().handle(), std::move(elsewhere)};
        const Server server = co_await start_server(echo, "127.0.0.1", 0, {.loops = loops});
        std::vector<Connection> connections;
        for (int i = 0; i < 4; ++i) {
          connections.push_back(co_await open_connection("127.0.0.1", server.port()));
          EXPECT_EQ(co_await ask(connections.back(), "hello"), "hello\n");
        }
        auto closing = thread.start(
            [](Server closed) -> Coro<> {
              closed.close();
              closed.close_clients();
              co_await closed.wait_closed();
            },
            server);
        for (const Connection& connection : connections) {
          const Bytes end = co_await connection.reader.read();
          EXPECT_TRUE(end.empty());
        }
        co_await server.wait_closed();
        co_await std::move(closing);
      }(other.handle(), other),
      {.loops = 1});
}

TEST(ServerOnLoops, ALoopMayEndBeforeTheServer) {
  const std::size_t before = open_descriptors();
  auto other = std::make_unique<LoopThread>();
  run(
      [](std::unique_ptr<LoopThread>& thread) -> Coro<> {
        const std::vector<LoopHandle> loops = {get_running_loop().handle(), thread->handle()};
        const Server server = co_await start_server(echo, "127.0.0.1", 0, {.loops = loops});
        std::vector<Connection> connections;
        for (int i = 0; i < 4; ++i) {
          connections.push_back(co_await open_connection("127.0.0.1", server.port()));
          EXPECT_EQ(co_await ask(connections.back(), "hello"), "hello\n");
        }
        thread = nullptr;
        connections.push_back(co_await open_connection("127.0.0.1", server.port()));
        connections.push_back(co_await open_connection("127.0.0.1", server.port()));
        server.close();
        server.close_clients();
        co_await server.wait_closed();
      }(other),
      {.loops = 1});
  EXPECT_EQ(open_descriptors(), before);
}

TEST(ServerOnLoops, ConnectionsComeAndGoWhileEverythingCloses) {
  const std::size_t before = open_descriptors();
  for (int round = 0; round < 20; ++round) {
    run(
        [](int delay) -> Coro<> {
          const auto loops = all_loops();
          const Server server = co_await start_server(echo, "127.0.0.1", 0, {.loops = loops});
          auto client = [](std::uint16_t port) -> Coro<> {
            try {
              for (int i = 0; i < 20; ++i) {
                Connection connection = co_await open_connection("127.0.0.1", port);
                connection.writer.write("x\n");
                co_await connection.reader.readline();
              }
            } catch (const OSError&) {  // the server is closed meanwhile
            }
          };
          std::vector<Task<>> clients;
          for (int i = 0; i < 8; ++i) clients.push_back(create_task(client(server.port())));
          co_await steps(delay);
          server.close();
          server.abort_clients();
          for (auto& task : clients) co_await task;
          server.abort_clients();
          co_await server.wait_closed();
        }(round * 5),
        {.loops = 2});
  }
  EXPECT_EQ(open_descriptors(), before);
}

}  // namespace
}  // namespace rota
