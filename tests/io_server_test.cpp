#include <rota/connection.hpp>
#include <rota/context.hpp>
#include <rota/future.hpp>
#include <rota/server.hpp>
#include <rota/sleep.hpp>
#include <rota/with.hpp>

#include "support/io.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <netinet/in.h>
#include <set>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <sys/socket.h>
#include <utility>
#include <vector>

namespace rota {
namespace {

using namespace std::chrono_literals;
using testing_support::IoLoop;
using testing_support::open_descriptors;
using testing_support::run_alone;

Coro<> echo(StreamReader reader, StreamWriter writer) {
  for (Bytes data = co_await reader.read(65536); !data.empty();
       data = co_await reader.read(65536)) {
    writer.write(std::move(data));
    co_await writer.drain();
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

template <typename Exception, typename A>
Coro<bool> throws(A awaitable) {
  try {
    co_await std::move(awaitable);
  } catch (const Exception&) {
    co_return true;
  }
  co_return false;
}

// --- serving ----------------------------------------------------------------------------------

TEST(Server, SV01DoesNotAcceptBeforeItIsToldTo) {
  run_alone([]() -> Coro<> {
    const Server server = co_await start_server(echo, "127.0.0.1", 0, {.start_serving = false});
    EXPECT_FALSE(server.is_serving());
    EXPECT_EQ(server.sockets().size(), 1u);
    EXPECT_TRUE(
        co_await throws<ConnectionRefusedError>(open_connection("127.0.0.1", server.port())));
    server.start_serving();
    server.start_serving();
    EXPECT_TRUE(server.is_serving());
    Connection connection = co_await open_connection("127.0.0.1", server.port());
    EXPECT_EQ(co_await ask(connection, "hello"), "hello\n");
  }());
}

TEST(Server, SV02AfterCloseConnectionsLiveOn) {
  run_alone([]() -> Coro<> {
    const Server server = co_await start_server(echo, "127.0.0.1", 0);
    Connection connection = co_await open_connection("127.0.0.1", server.port());
    EXPECT_EQ(co_await ask(connection, "hello"), "hello\n");
    server.close();
    server.close();
    EXPECT_TRUE(server.sockets().empty());
    EXPECT_FALSE(server.is_serving());
    co_await steps(5);
    EXPECT_TRUE(
        co_await throws<ConnectionRefusedError>(open_connection("127.0.0.1", server.port())));
    EXPECT_EQ(co_await ask(connection, "still there"), "still there\n");
    EXPECT_THROW(server.start_serving(), RuntimeError);
  }());
}

TEST(Server, SV03WaitClosedWaitsForCloseAndForTheLastConnection) {
  run_alone([]() -> Coro<> {
    const Server server = co_await start_server(echo, "127.0.0.1", 0);
    auto waiting = create_task(server.wait_closed());
    auto cancelled = create_task(server.wait_closed());
    Connection connection = co_await open_connection("127.0.0.1", server.port());
    EXPECT_EQ(co_await ask(connection, "hello"), "hello\n");
    cancelled.cancel();  // does not end the other wait
    EXPECT_TRUE(co_await throws<CancelledError>(std::move(cancelled)));
    server.close();
    co_await steps(10);
    EXPECT_FALSE(waiting.done());
    connection.writer.close();
    co_await std::move(waiting);
    co_await server.wait_closed();  // at once from now on
  }());
}

TEST(Server, SV03WaitClosedWaitsAlsoWhenTheConnectionsEndFirst) {
  run_alone([]() -> Coro<> {
    const Server server = co_await start_server(echo, "127.0.0.1", 0);
    auto waiting = create_task(server.wait_closed());
    {
      Connection connection = co_await open_connection("127.0.0.1", server.port());
      EXPECT_EQ(co_await ask(connection, "hello"), "hello\n");
    }
    co_await steps(20);
    EXPECT_FALSE(waiting.done());
    server.close();
    co_await std::move(waiting);
  }());
}

/// More than the kernel's buffers take.
constexpr std::size_t much = 32'000'000;

Coro<> send_much_and_wait(StreamReader reader, StreamWriter writer) {
  writer.write(std::string(much, 'x'));
  co_await reader.read();
}

TEST(Server, SV04CloseClientsSendsWhatWasWritten) {
  run_alone([]() -> Coro<> {
    const Server server = co_await start_server(send_much_and_wait, "127.0.0.1", 0);
    Connection connection = co_await open_connection("127.0.0.1", server.port());
    const Bytes first = co_await connection.reader.readexactly(1000);
    server.close();
    server.close_clients();
    const Bytes rest = co_await connection.reader.read();
    EXPECT_EQ(first.size() + rest.size(), much);
    co_await server.wait_closed();
  }());
}

TEST(Server, SV04AbortClientsDropsIt) {
  run_alone([]() -> Coro<> {
    const Server server = co_await start_server(send_much_and_wait, "127.0.0.1", 0);
    Connection connection = co_await open_connection("127.0.0.1", server.port());
    const Bytes first = co_await connection.reader.readexactly(1000);
    server.close();
    server.abort_clients();
    co_await server.wait_closed();
    const Bytes rest = co_await connection.reader.read();
    EXPECT_LT(first.size() + rest.size(), much);
  }());
}

TEST(Server, SV05CancellingServeForeverClosesServerAndClients) {
  run_alone([]() -> Coro<> {
    const Server server = co_await start_server(echo, "127.0.0.1", 0, {.start_serving = false});
    auto serving = create_task(server.serve_forever());
    co_await steps(2);
    EXPECT_TRUE(server.is_serving());
    Connection connection = co_await open_connection("127.0.0.1", server.port());
    EXPECT_EQ(co_await ask(connection, "hello"), "hello\n");
    EXPECT_TRUE(co_await throws<RuntimeError>(server.serve_forever()));
    serving.cancel();
    EXPECT_TRUE(co_await throws<CancelledError>(std::move(serving)));
    EXPECT_FALSE(server.is_serving());
    const Bytes end = co_await connection.reader.read();
    EXPECT_TRUE(end.empty());
    EXPECT_TRUE(co_await throws<RuntimeError>(server.serve_forever()));
  }());
}

TEST(Server, SV06CloseCancelsServeForever) {
  run_alone([]() -> Coro<> {
    const Server server = co_await start_server(echo, "127.0.0.1", 0);
    auto serving = create_task(server.serve_forever());
    co_await steps(2);
    server.close();
    EXPECT_TRUE(co_await throws<CancelledError>(std::move(serving)));
  }());
}

TEST(Server, SV10WithoutDescriptorsItReportsOnceAndResumes) {
  IoLoop loop;
  loop.run([](IoLoop& here) -> Coro<> {
    // UBSan looks at objects of a type that is new to it through a pipe, for which there will be no
    // descriptor: so let it see them before.
    const Server seen = co_await start_server(echo, "127.0.0.1", 0);
    Connection first = co_await open_connection("127.0.0.1", seen.port());
    EXPECT_EQ(co_await ask(first, "hello"), "hello\n");
    first.writer.close();
    seen.close();
    co_await seen.wait_closed();
    EXPECT_NE(OSError(EMFILE, "accept").what(), nullptr);
    // The kernel notes the limit when an accept is armed: so it is lowered before.
    const Server server = co_await start_server(echo, "127.0.0.1", 0, {.start_serving = false});
    std::vector<Socket> clients;
    for (int i = 0; i < 3; ++i) clients.push_back(Socket::make(AF_INET));
    rlimit before{};
    ::getrlimit(RLIMIT_NOFILE, &before);
    rlimit none = before;
    none.rlim_cur = 0;  // no new descriptor; open ones go on
    ::setrlimit(RLIMIT_NOFILE, &none);
    server.start_serving();
    co_await sleep(0s);
    co_await sleep(0s);  // it is armed, with that limit
    ::setrlimit(RLIMIT_NOFILE, &before);
    for (const Socket& client : clients) {
      co_await sock_connect(client, server.sockets().front());
    }
    while (here.reports().empty()) co_await sleep(1ms);
    for (const Socket& client : clients) {
      co_await sock_sendall(client, "x");
      const Bytes byte = co_await sock_recv(client, 10);
      EXPECT_EQ(byte, "x");
    }
    server.close();
  }(loop));
  ASSERT_EQ(loop.reports().size(), 1u);
  EXPECT_EQ(detail::describe(loop.reports()[0].exception),
            "rota::OSError: accept: Too many open files");
}

TEST(Server, SV13AnEmptyHostMeansBothFamiliesAndOnePort) {
  run_alone([]() -> Coro<> {
    const Server server = co_await start_server(echo, "", 0);
    const auto addresses = server.sockets();
    EXPECT_EQ(addresses.size(), 2u);
    if (addresses.size() != 2) co_return;
    EXPECT_EQ(addresses[0].port(), addresses[1].port());
    const std::array hosts = {"127.0.0.1", "::1"};
    for (const char* host : hosts) {
      Connection connection = co_await open_connection(host, server.port());
      EXPECT_EQ(co_await ask(connection, "hello"), "hello\n");
    }
  }());
}

TEST(Server, SV14AnAddressInUseIsNamedAndNothingIsLeft) {
  const std::size_t before = open_descriptors();
  run_alone([]() -> Coro<> {
    Socket taken = Socket::make(AF_INET6);
    taken.setsockopt(IPPROTO_IPV6, IPV6_V6ONLY, 1);
    taken.bind(*Address::parse("::1", 0));
    taken.listen(1);
    std::string text;
    try {
      co_await start_server(echo, "localhost", taken.getsockname().port());
    } catch (const OSError& error) {
      EXPECT_EQ(error.code().value(), EADDRINUSE);
      text = error.what();
    }
    EXPECT_NE(text.find(taken.getsockname().to_string()), std::string::npos) << text;
  }());
  EXPECT_EQ(open_descriptors(), before);
}

TEST(Server, SV15ReusePortLetsTwoServersShareAPort) {
  run_alone([]() -> Coro<> {
    const Server first = co_await start_server(echo, "127.0.0.1", 0, {.reuse_port = true});
    const Server second =
        co_await start_server(echo, "127.0.0.1", first.port(), {.reuse_port = true});
    EXPECT_EQ(first.port(), second.port());
    EXPECT_TRUE(co_await throws<OSError>(start_server(echo, "127.0.0.1", first.port())));
  }());
}

TEST(Server, SV16AdoptsAStreamSocket) {
  run_alone([]() -> Coro<> {
    Socket socket = Socket::make(AF_INET);
    socket.bind(*Address::parse("127.0.0.1", 0));
    const Address address = socket.getsockname();
    const Server server = co_await start_server(echo, std::move(socket));
    EXPECT_EQ(server.sockets().front(), address);
    Connection connection = co_await open_connection("127.0.0.1", address.port());
    EXPECT_EQ(co_await ask(connection, "hello"), "hello\n");
    EXPECT_TRUE(co_await throws<ValueError>(start_server(echo, Socket::make(AF_INET, SOCK_DGRAM))));
  }());
}

TEST(Server, SV17IsAScopeThatClosesAndWaits) {
  run_alone([]() -> Coro<> {
    Server server = co_await start_server(echo, "127.0.0.1", 0);
    co_await with(server, [](Server& inside) -> Coro<> {
      Connection connection = co_await open_connection("127.0.0.1", inside.port());
      EXPECT_EQ(co_await ask(connection, "hello"), "hello\n");
    });
    EXPECT_FALSE(server.is_serving());
    co_await server.wait_closed();
  }());
}

/// Does not look at its connection.
Coro<> sleep_on(StreamReader /*reader*/, StreamWriter writer) {
  writer.write("hello\n");
  co_await sleep(1h);
}

TEST(Server, D14CloseWithGraceEndsTheConnectionsInTheEnd) {
  run_alone([]() -> Coro<> {
    const Server patient = co_await start_server(echo, "127.0.0.1", 0);
    Connection polite = co_await open_connection("127.0.0.1", patient.port());
    EXPECT_EQ(co_await ask(polite, "hello"), "hello\n");
    auto closing = create_task(patient.close(1h));
    co_await steps(5);
    EXPECT_FALSE(closing.done());
    polite.writer.close();
    co_await std::move(closing);  // long before the hour is over

    const Server server = co_await start_server(sleep_on, "127.0.0.1", 0);
    auto [reader, writer] = co_await open_connection("127.0.0.1", server.port());
    const Bytes hello = co_await reader.readline();
    EXPECT_EQ(hello, "hello\n");
    co_await server.close(1ms);
    const Bytes end = co_await reader.read();
    EXPECT_TRUE(end.empty());
  }());
}

TEST(Server, SV18ALoopEndsWithAServerAndConnectionsOpen) {
  const std::size_t before = open_descriptors();
  {
    std::vector<Socket> clients;
    IoLoop loop;
    loop.run([](std::vector<Socket>& peers) -> Coro<> {
      const Server server = co_await start_server(echo, "127.0.0.1", 0);
      const Server idle = co_await start_server(echo, "127.0.0.1", 0, {.start_serving = false});
      for (int i = 0; i < 10; ++i) {
        peers.push_back(Socket::make(AF_INET));
        co_await sock_connect(peers.back(), server.sockets().front());
      }
      co_await steps(5);
    }(clients));
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST(Server, ConnectionsThatWereAcceptedBeforeCloseAreServed) {
  run_alone([]() -> Coro<> {
    for (int round = 0; round < 100; ++round) {
      const Server server = co_await start_server(echo, "127.0.0.1", 0);
      const Socket client = Socket::make(AF_INET);
      co_await sock_connect(client, server.sockets().front());
      for (int count = round % 4; count > 0; --count) co_await sleep(0s);
      server.close();
      co_await sock_sendall(client, "x");
      // Served, or closed in order: never left hanging.
      try {
        const Bytes answer = co_await sock_recv(client, 1);
        EXPECT_TRUE(answer.empty() || answer == "x");
      } catch (const ConnectionResetError&) {
      }
      server.close_clients();
      co_await server.wait_closed();
    }
  }());
}

// --- handlers ---------------------------------------------------------------------------------

TEST(Server, SW10EachConnectionIsATask) {
  run_alone([]() -> Coro<> {
    std::set<std::uint64_t> tasks;
    auto handler = [&tasks](StreamReader reader, StreamWriter writer) {
      return [](std::set<std::uint64_t>& ids, StreamReader input, StreamWriter output) -> Coro<> {
        ids.insert(current_task().id());
        co_await echo(std::move(input), std::move(output));
      }(tasks, std::move(reader), std::move(writer));
    };
    const Server server = co_await start_server(handler, "127.0.0.1", 0);
    for (int i = 0; i < 3; ++i) {
      Connection connection = co_await open_connection("127.0.0.1", server.port());
      EXPECT_EQ(co_await ask(connection, "hello"), "hello\n");
    }
    EXPECT_EQ(tasks.size(), 3u);
    server.close();
    co_await server.wait_closed();
  }());
}

TEST(Server, SW10APlainFunctionMayBeTheHandler) {
  run_alone([]() -> Coro<> {
    auto greet = [](StreamReader, StreamWriter writer) { writer.write("welcome\n"); };
    const Server server = co_await start_server(greet, "127.0.0.1", 0);
    auto [reader, writer] = co_await open_connection("127.0.0.1", server.port());
    const Bytes all = co_await reader.read();
    EXPECT_EQ(all, "welcome\n");
  }());
}

Coro<> fail(StreamReader reader, StreamWriter writer) {
  co_await reader.readline();
  writer.write("last words\n");
  throw std::logic_error("broken handler");
}

TEST(Server, SW11AnExceptionIsReportedOnceAndEndsTheConnection) {
  IoLoop loop;
  loop.run([]() -> Coro<> {
    const Server server = co_await start_server(fail, "127.0.0.1", 0);
    Connection connection = co_await open_connection("127.0.0.1", server.port());
    EXPECT_EQ(co_await ask(connection, "hello"), "last words\n");
    const Bytes end = co_await connection.reader.read();
    EXPECT_TRUE(end.empty());
    server.close();
    co_await server.wait_closed();
    co_await steps(2);
  }());
  ASSERT_EQ(loop.reports().size(), 1u);
  EXPECT_EQ(detail::describe(loop.reports()[0].exception), "std::logic_error: broken handler");
}

TEST(Server, SW11AFailingPlainHandlerIsReportedToo) {
  IoLoop loop;
  loop.run([]() -> Coro<> {
    auto broken = [](StreamReader, StreamWriter) { throw std::logic_error("broken"); };
    const Server server = co_await start_server(broken, "127.0.0.1", 0);
    Connection connection = co_await open_connection("127.0.0.1", server.port());
    const Bytes end = co_await connection.reader.read();
    EXPECT_TRUE(end.empty());
    server.close();
    co_await server.wait_closed();
  }());
  EXPECT_EQ(loop.reports().size(), 1u);
}

TEST(Server, AHandlerWhosePeerHasGoneIsReportedInDebugModeOnly) {
  for (const bool debug : {false, true}) {
    IoLoop loop;
    loop->set_debug(debug);
    loop.run([]() -> Coro<> {
      const auto failing = [](StreamReader, StreamWriter) -> Coro<> {
        co_await sleep(0s);
        throw ConnectionResetError(ECONNRESET, "planned");
      };
      const Server server = co_await start_server(failing, "127.0.0.1", 0);
      Connection client = co_await open_connection("127.0.0.1", server.port());
      EXPECT_TRUE((co_await client.reader.read()).empty());
      server.close();
      co_await server.wait_closed();
    }());
    EXPECT_EQ(loop.reports().size(), debug ? 1u : 0u);
  }
}

TEST(Server, SW11ACancelledHandlerIsSilent) {
  IoLoop loop;
  loop.run([]() -> Coro<> {
    auto cancelled = [](StreamReader, StreamWriter) -> Coro<> {
      current_task().cancel();
      co_await sleep(1h);
    };
    const Server server = co_await start_server(cancelled, "127.0.0.1", 0);
    Connection connection = co_await open_connection("127.0.0.1", server.port());
    const Bytes end = co_await connection.reader.read();
    EXPECT_TRUE(end.empty());
  }());
  EXPECT_TRUE(loop.reports().empty());
}

ContextVar<int> colour("colour", 0);

TEST(Server, TP26HandlersRunInACopyOfTheServersContext) {
  run_alone([]() -> Coro<> {
    colour.set(7);
    auto handler = [](StreamReader, StreamWriter writer) -> Coro<> {
      writer.write(std::to_string(colour.get()) + "\n");
      colour.set(colour.get() + 1);
      co_return;
    };
    const Server server = co_await start_server(handler, "127.0.0.1", 0);
    colour.set(100);
    for (int i = 0; i < 2; ++i) {
      auto [reader, writer] = co_await open_connection("127.0.0.1", server.port());
      const Bytes answer = co_await reader.read();
      EXPECT_EQ(answer, "7\n");
    }
  }());
}

TEST(Server, NeedsARunningLoop) {
  EXPECT_THROW(
      run_alone([]() -> Coro<> { co_await start_server(echo, "127.0.0.1", 0, {.limit = 0}); }()),
      ValueError);
}

}  // namespace
}  // namespace rota
