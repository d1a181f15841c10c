#include <rota/sleep.hpp>
#include <rota/socket.hpp>
#include <rota/task.hpp>

#include "support/io.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <utility>
#include <vector>

namespace rota {
namespace {

using namespace std::chrono_literals;
using testing_support::IoLoop;
using testing_support::open_descriptors;
using testing_support::pattern;
using testing_support::run_alone;

constexpr int rounds = 1000;

Address loopback(std::uint16_t port = 0) { return *Address::parse("127.0.0.1", port); }

Socket listening() {
  Socket listener = Socket::make(AF_INET);
  listener.bind(loopback());
  listener.listen(100);
  return listener;
}

void send_now(const Socket& socket, std::string_view text) {
  ASSERT_EQ(::send(socket.fileno(), text.data(), text.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(text.size()));
}

std::string receive_now(const Socket& socket) {
  std::array<char, 65536> buffer;
  const ssize_t size = ::recv(socket.fileno(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  return size < 0 ? "" : std::string(buffer.data(), static_cast<std::size_t>(size));
}

Coro<std::string> receive_exactly(Socket& socket, std::size_t count) {
  std::string text;
  while (text.size() < count) {
    const Bytes bytes = co_await sock_recv(socket, count - text.size());
    if (bytes.empty()) break;
    text += bytes.view();
  }
  co_return text;
}

// --- Socket -----------------------------------------------------------------------------------

TEST(Socket, ClosesItsDescriptor) {
  const std::size_t before = open_descriptors();
  {
    Socket socket = Socket::make(AF_INET);
    EXPECT_EQ(open_descriptors(), before + 1);
    Socket other = std::move(socket);
    EXPECT_FALSE(socket.is_open());  // NOLINT(bugprone-use-after-move): it is specified
    EXPECT_GE(other.fileno(), 0);
    other.close();
    other.close();
    EXPECT_EQ(other.fileno(), -1);
    EXPECT_EQ(open_descriptors(), before);
    EXPECT_THROW(other.getsockname(), OSError);
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST(Socket, HasAnAddressAndOptions) {
  const Socket listener = listening();
  EXPECT_EQ(listener.getsockname().host(), "127.0.0.1");
  EXPECT_NE(listener.getsockname().port(), 0);
  listener.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1);
  EXPECT_EQ(listener.getsockopt(SOL_SOCKET, SO_REUSEADDR), 1);
  EXPECT_THROW(listener.getpeername(), OSError);
}

TEST(Socket, AFailedBindNamesTheAddress) {
  const Socket listener = listening();
  const Socket other = Socket::make(AF_INET);
  try {
    other.bind(listener.getsockname());
    FAIL();
  } catch (const OSError& error) {
    EXPECT_EQ(error.code().value(), EADDRINUSE);
    EXPECT_NE(std::string(error.what()).find(listener.getsockname().to_string()),
              std::string::npos);
  }
}

TEST(Socket, DetachGivesTheDescriptorAway) {
  Socket socket = Socket::make(AF_INET);
  const int fd = socket.detach();
  EXPECT_FALSE(socket.is_open());
  const Socket adopted(fd);
  EXPECT_EQ(adopted.fileno(), fd);
}

TEST(Socket, SK02IsNonBlockingHoweverItWasMade) {
  const int fd = ::socket(AF_INET, SOCK_DGRAM, 0);
  const Socket socket(fd);
  char byte = 0;
  EXPECT_EQ(::recv(fd, &byte, 1, 0), -1);  // and does not hang
}

// --- round trips ------------------------------------------------------------------------------

TEST(SockOperations, SK01RoundTripOverTcp) {
  run_alone([]() -> Coro<> {
    const Socket listener = listening();
    const Socket client = Socket::make(AF_INET);
    auto accepting = create_task(sock_accept(listener));
    co_await sock_connect(client, listener.getsockname());
    Accepted accepted = co_await std::move(accepting);
    EXPECT_EQ(accepted.address, client.getsockname());
    co_await sock_sendall(client, "ping");
    const Bytes ping = co_await sock_recv(accepted.socket, 100);
    EXPECT_EQ(ping, "ping");
    co_await sock_sendall(accepted.socket, ping);
    std::array<std::byte, 8> buffer;
    const std::size_t size = co_await sock_recv_into(client, buffer);
    EXPECT_EQ(Bytes(std::span(buffer).first(size)), "ping");
    accepted.socket.close();
    const Bytes end = co_await sock_recv(client, 100);
    EXPECT_TRUE(end.empty());
  }());
}

TEST(SockOperations, SK01RoundTripOverUnixSockets) {
  run_alone([]() -> Coro<> {
    auto pair = Socket::pair();
    co_await sock_sendall(pair.first, "hello");
    const Bytes hello = co_await sock_recv(pair.second, 3);
    EXPECT_EQ(hello, "hel");
    const Bytes rest = co_await sock_recv(pair.second, 100);
    EXPECT_EQ(rest, "lo");
    const Bytes nothing = co_await sock_recv(pair.second, 0);
    EXPECT_TRUE(nothing.empty());
  }());
}

TEST(SockOperations, SK07AConnectionThatIsRefusedSaysSo) {
  run_alone([]() -> Coro<> {
    Socket listener = Socket::make(AF_INET);
    listener.bind(loopback());
    const Address address = listener.getsockname();  // bound, but nobody listens
    const Socket client = Socket::make(AF_INET);
    bool refused = false;
    try {
      co_await sock_connect(client, address);
    } catch (const ConnectionRefusedError&) {
      refused = true;
    }
    EXPECT_TRUE(refused);
  }());
}

TEST(SockOperations, SK08LargeTransfersInBothDirections) {
  run_alone([]() -> Coro<> {
    auto pair = Socket::pair();
    const std::string data = pattern(8 << 20);
    auto there = create_task([](Socket& socket, const std::string& text) -> Coro<> {
      co_await sock_sendall(socket, text);
    }(pair.first, data));
    auto back = create_task([](Socket& socket, const std::string& text) -> Coro<> {
      co_await sock_sendall(socket, text);
    }(pair.second, data));
    auto received = create_task(receive_exactly(pair.first, data.size()));
    std::string other(data.size(), '\0');
    std::size_t size = 0;
    while (size < other.size()) {
      const auto rest = std::as_writable_bytes(std::span(other)).subspan(size);
      size += co_await sock_recv_into(pair.second, rest);
    }
    EXPECT_TRUE(other == data);
    const std::string first = co_await std::move(received);
    EXPECT_TRUE(first == data);
    co_await std::move(there);
    co_await std::move(back);
  }());
}

TEST(SockOperations, AreAwaitablesThatMayBecomeTasks) {
  run_alone([]() -> Coro<> {
    auto pair = Socket::pair();
    auto receiving = create_task(sock_recv(pair.first, 10));
    auto sending = create_task(sock_sendall(pair.second, "x"));
    co_await std::move(sending);
    const Bytes bytes = co_await std::move(receiving);
    EXPECT_EQ(bytes, "x");
  }());
}

TEST(SockOperations, DoNotStarveTheirNeighbours) {
  run_alone([]() -> Coro<> {
    auto pair = Socket::pair();
    send_now(pair.first, pattern(4096));
    int received = 0;
    auto greedy = create_task([](Socket& socket, int& count) -> Coro<> {
      for (; count < 4096; ++count) co_await sock_recv(socket, 1);
    }(pair.second, received));
    co_await sleep(0s);
    co_await sleep(0s);
    EXPECT_GT(received, 0);
    EXPECT_LT(received, 4096);
    co_await std::move(greedy);
  }());
}

// --- cancellation -----------------------------------------------------------------------------

template <typename T>
Coro<bool> ends_cancelled(Task<T>& task) {
  try {
    co_await task;
  } catch (const CancelledError&) {
    co_return true;
  }
  co_return false;
}

TEST(SockOperations, SK03ACancelledRecvLosesNoByte) {
  run_alone([]() -> Coro<> {
    auto pair = Socket::pair();
    int cancelled = 0;
    for (int round = 0; round < rounds; ++round) {
      auto receiving = create_task(sock_recv(pair.first, 100));
      // Before it waits; while it waits; before or after the cancel the data comes; the same step.
      for (int steps = round % 4; steps > 0; --steps) co_await sleep(0s);
      if (round % 3 == 0) send_now(pair.second, "data");
      if (round % 5 == 0) co_await sleep(0s);
      receiving.cancel();
      if (round % 3 == 1) send_now(pair.second, "data");
      if (round % 7 == 0) co_await sleep(0s);
      if (round % 3 == 2) send_now(pair.second, "data");
      std::string text;
      const bool was_cancelled = co_await ends_cancelled(receiving);
      if (was_cancelled) {
        ++cancelled;
      } else {
        text = receiving.result().view();
      }
      if (text.size() < 4) text += co_await receive_exactly(pair.first, 4 - text.size());
      if (text != "data") ADD_FAILURE() << "round " << round << ": " << text;
    }
    EXPECT_GT(cancelled, 0);
    EXPECT_EQ(receive_now(pair.first), "");
  }());
}

TEST(SockOperations, SK03ACancelInTheSameStepAsTheDataLosesNoByte) {
  run_alone([]() -> Coro<> {
    auto pair = Socket::pair();
    for (int round = 0; round < rounds; ++round) {
      std::array<std::byte, 16> buffer;
      auto receiving = create_task(sock_recv_into(pair.first, buffer));
      co_await sleep(0s);
      send_now(pair.second, "x");
      // Both run in the step in which the readiness was reaped, this one first or second.
      get_running_loop().call_soon([receiving] { receiving.cancel(); });
      const bool was_cancelled = co_await ends_cancelled(receiving);
      if (was_cancelled) {
        const Bytes bytes = co_await sock_recv(pair.first, 10);
        EXPECT_EQ(bytes, "x") << round;
      }
    }
  }());
}

TEST(SockOperations, SK04ACancelledSendallLeavesTheSocketUsable) {
  run_alone([]() -> Coro<> {
    auto pair = Socket::pair();
    const std::string data = pattern(4 << 20);
    auto sending = create_task(sock_sendall(pair.first, data));
    co_await sleep(0s);
    co_await sleep(0s);
    sending.cancel();
    EXPECT_TRUE(co_await ends_cancelled(sending));
    std::string received;
    for (std::string part; !(part = receive_now(pair.second)).empty();) received += part;
    EXPECT_FALSE(received.empty());
    EXPECT_LT(received.size(), data.size());
    EXPECT_TRUE(data.starts_with(received));
    co_await sock_sendall(pair.first, "more");
    EXPECT_EQ(receive_now(pair.second), "more");
  }());
}

TEST(SockOperations, SK05ACancelledConnectLeavesTheSocketClosable) {
  const std::size_t before = open_descriptors();
  run_alone([]() -> Coro<> {
    const Socket listener = listening();
    for (int round = 0; round < 200; ++round) {
      Socket client = Socket::make(AF_INET);
      auto connecting = create_task(sock_connect(client, listener.getsockname()));
      for (int steps = round % 3; steps > 0; --steps) co_await sleep(0s);
      connecting.cancel();
      const bool was_cancelled = co_await ends_cancelled(connecting);
      if (!was_cancelled) {
        EXPECT_NO_THROW(client.getpeername());
      }
      client.close();
    }
  }());
  EXPECT_EQ(open_descriptors(), before);
}

TEST(SockOperations, AConnectThatSucceededOvertakesTheCancel) {
  run_alone([]() -> Coro<> {
    const Socket listener = listening();
    auto connect = [](const Socket& server) -> Coro<bool> {
      const Socket client = Socket::make(AF_INET);
      co_await sock_connect(client, server.getsockname());
      try {
        co_await sleep(1h);
      } catch (const CancelledError&) {
        co_return true;  // at the next await that waits
      }
      co_return false;
    };
    auto connecting = create_task(connect(listener));
    co_await sleep(0s);
    get_running_loop().call_soon([connecting] { connecting.cancel(); });
    try {
      EXPECT_TRUE(co_await connecting);
    } catch (const CancelledError&) {
      // The cancel came first: nothing was connected.
    }
  }());
}

TEST(SockOperations, SK06ACancelledAcceptLosesNoConnection) {
  run_alone([]() -> Coro<> {
    const Socket listener = listening();
    for (int round = 0; round < rounds; ++round) {
      auto accepting = create_task(sock_accept(listener));
      for (int steps = round % 3; steps > 0; --steps) co_await sleep(0s);
      const Socket client = Socket::make(AF_INET);
      if (round % 2 == 0) co_await sock_connect(client, listener.getsockname());
      if (round % 5 == 0) co_await sleep(0s);
      accepting.cancel();
      if (round % 2 == 1) co_await sock_connect(client, listener.getsockname());
      const bool was_cancelled = co_await ends_cancelled(accepting);
      if (was_cancelled) {
        const Accepted accepted = co_await sock_accept(listener);
        EXPECT_EQ(accepted.address, client.getsockname()) << round;
      } else {
        EXPECT_EQ(accepting.result().address, client.getsockname()) << round;
      }
    }
  }());
}

// --- closing ----------------------------------------------------------------------------------

TEST(SockOperations, SK13ClosingTheSocketEndsWhatWaitsOnIt) {
  const std::size_t before = open_descriptors();
  run_alone([]() -> Coro<> {
    auto pair = Socket::pair();
    auto receiving = create_task(sock_recv(pair.first, 10));
    co_await sleep(0s);
    pair.first.close();
    EXPECT_FALSE(pair.first.is_open());
    int error = 0;
    try {
      co_await std::move(receiving);
    } catch (const OSError& closed) {
      error = closed.code().value();
    }
    EXPECT_EQ(error, ECANCELED);
    const Bytes end = co_await sock_recv(pair.second, 10);  // the descriptor is really closed now
    EXPECT_TRUE(end.empty());
  }());
  EXPECT_EQ(open_descriptors(), before);
}

TEST(SockOperations, OnAClosedSocketThrow) {
  Socket socket = Socket::make(AF_INET);
  socket.close();
  EXPECT_THROW((void)sock_recv(socket, 1), OSError);
  EXPECT_THROW((void)sock_accept(socket), OSError);
}

TEST(SockOperations, SK14ALoopClosesWithOperationsPending) {
  const std::size_t before = open_descriptors();
  {
    IoLoop loop;
    auto pair = Socket::pair();
    auto receiving = loop->create_task(
        [](Socket& socket) -> Coro<> { co_await sock_recv(socket, 10); }(pair.first));
    loop.run([]() -> Coro<> { co_await sleep(0s); }());
    loop->close();
    EXPECT_TRUE(receiving.cancelled());
  }
  EXPECT_EQ(open_descriptors(), before);
}

}  // namespace
}  // namespace rota
