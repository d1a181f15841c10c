/// io_streams_test.cpp: StreamReader and StreamWriter over real sockets. Fed by hand:
/// io_stream_reader_test.cpp.

#include <rota/connection.hpp>
#include <rota/sleep.hpp>
#include <rota/streams.hpp>
#include <rota/task.hpp>

#include "support/io.hpp"
#include "support/loop_thread.hpp"
#include "support/sim_kernel.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <exception>
#include <fcntl.h>
#include <memory>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <optional>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <utility>
#include <vector>

namespace rota {
namespace {

using namespace std::chrono_literals;
using testing_support::IoLoop;
using testing_support::LoopThread;
using testing_support::open_descriptors;
using testing_support::pattern;
using testing_support::run_alone;

/// Whether `awaitable` throws an Exception.
template <typename Exception, typename A>
Coro<bool> throws(A awaitable) {
  try {
    co_await std::move(awaitable);
  } catch (const Exception&) {
    co_return true;
  }
  co_return false;
}

template <typename A>
Coro<std::string> text_of(A awaitable) {
  const Bytes bytes = co_await std::move(awaitable);
  co_return bytes.str();
}

void send_now(const Socket& socket, std::string_view text) {
  ASSERT_EQ(::send(socket.fileno(), text.data(), text.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(text.size()));
}

std::string receive_now(const Socket& socket) {
  std::string text(1 << 20, '\0');
  const ssize_t size = ::recv(socket.fileno(), text.data(), text.size(), MSG_DONTWAIT);
  text.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
  return text;
}

Coro<std::string> receive_to_end(const Socket& socket) {
  std::string text;
  for (;;) {
    const Bytes bytes = co_await sock_recv(socket, 65536);
    if (bytes.empty()) co_return text;
    text += bytes.view();
  }
}

/// A connection whose other end is a plain socket.
struct Pair {
  explicit Pair(std::pair<Socket, Socket> sockets = Socket::pair(), ConnectionOptions options = {})
      : connection(open_connection(std::move(sockets.first), options)),
        peer(std::move(sockets.second)) {}
  Connection connection;
  Socket peer;
  StreamReader& reader = connection.reader;
  StreamWriter& writer = connection.writer;
};

std::exception_ptr failure() { return std::make_exception_ptr(std::logic_error("failure")); }

Coro<> steps(int count) {
  for (; count > 0; --count) co_await sleep(0s);
}

// --- over a socket ----------------------------------------------------------------------------

TEST(Streams, SR19ReadingPausesAboveTwiceTheLimitAndLosesNothing) {
  run_alone([]() -> Coro<> {
    Pair pair(Socket::pair(), {.limit = 1000});
    const std::string data = pattern(4 << 20);
    auto sending = create_task(sock_sendall(pair.peer, data));
    co_await steps(200);
    EXPECT_FALSE(sending.done());  // the socket is full, since we do not read
    std::string received;
    while (received.size() < data.size()) {
      const Bytes bytes = co_await pair.reader.read(1500);
      // What was on its way when reading paused: at most the loop's buffers.
      received += bytes.view();
    }
    co_await std::move(sending);
    EXPECT_TRUE(received == data);
  }());
}

TEST(Streams, SR19WhoWaitsForMoreThanTheLimitGetsIt) {
  run_alone([]() -> Coro<> {
    Pair pair(Socket::pair(), {.limit = 1000});
    const std::string data = pattern(1 << 20);
    auto sending = create_task(sock_sendall(pair.peer, data));
    const Bytes all = co_await pair.reader.readexactly(data.size());
    EXPECT_TRUE(all == data);
    co_await std::move(sending);
  }());
}

TEST(Streams, SR21CancellingAReadLosesNoByte) {
  run_alone([]() -> Coro<> {
    Pair pair;
    int cancelled = 0;
    for (int round = 0; round < 1000; ++round) {
      auto reading = round % 2 == 0 ? create_task(text_of(pair.reader.read(100)))
                                    : create_task(text_of(pair.reader.readexactly(4)));
      for (int count = round % 4; count > 0; --count) co_await sleep(0s);
      if (round % 3 == 0) send_now(pair.peer, "data");
      if (round % 5 == 0) co_await sleep(0s);
      if (round % 11 == 0) {
        get_running_loop().call_soon([reading] { reading.cancel(); });
      } else {
        reading.cancel();
      }
      if (round % 3 == 1) send_now(pair.peer, "data");
      if (round % 7 == 0) co_await sleep(0s);
      if (round % 3 == 2) send_now(pair.peer, "data");
      std::string text;
      try {
        text = co_await reading;
      } catch (const CancelledError&) {
        ++cancelled;
      }
      if (text.size() < 4) text += co_await text_of(pair.reader.readexactly(4 - text.size()));
      if (text != "data") ADD_FAILURE() << "round " << round << ": " << text;
    }
    EXPECT_GT(cancelled, 0);
  }());
}

TEST(Streams, SW02TheErrorThatEndedTheConnectionIsThrownByTheNextRead) {
  run_alone([]() -> Coro<> {
    Socket listener = Socket::make(AF_INET);
    listener.bind(*Address::parse("127.0.0.1", 0));
    listener.listen(1);
    auto connecting = create_task(open_connection("127.0.0.1", listener.getsockname().port()));
    Accepted accepted = co_await sock_accept(listener);
    auto [reader, writer] = co_await std::move(connecting);
    co_await sock_sendall(accepted.socket, "last words");
    const Bytes first = co_await reader.read(4);
    EXPECT_EQ(first, "last");
    const linger reset{1, 0};
    ::setsockopt(accepted.socket.fileno(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    accepted.socket.close();
    EXPECT_EQ(co_await text_of(reader.read(100)), " words");
    EXPECT_TRUE(co_await throws<ConnectionResetError>(reader.read(100)));
    EXPECT_TRUE(co_await throws<ConnectionResetError>(writer.drain()));
    EXPECT_FALSE(writer.write("x"));
    EXPECT_TRUE(co_await throws<ConnectionResetError>(writer.wait_closed()));
  }());
}

// --- StreamWriter -----------------------------------------------------------------------------

TEST(StreamWriter, D23SmallWritesOfOneResumeAreSentTogetherAtItsEnd) {
  run_alone([]() -> Coro<> {
    auto sockets = std::make_pair(Socket::make(AF_UNIX), Socket());
    int fds[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);  // keeps sends apart
    sockets = {Socket(fds[0]), Socket(fds[1])};
    Pair pair(std::move(sockets));
    const std::array parts = {"one ", "two ", "three"};
    for (const char* part : parts) pair.writer.write(part);
    pair.writer.writelines({" four", " five"});
    EXPECT_EQ(receive_now(pair.peer), "");  // not yet
    EXPECT_EQ(pair.writer.get_write_buffer_size(), 23u);
    co_await pair.writer.drain();  // below the high-water mark: neither sends nor waits
    EXPECT_EQ(receive_now(pair.peer), "");
    co_await sleep(0s);
    EXPECT_EQ(receive_now(pair.peer), "one two three four five");
    EXPECT_EQ(pair.writer.get_write_buffer_size(), 0u);
    pair.writer.write("six");
    pair.writer.flush();
    EXPECT_EQ(receive_now(pair.peer), "six");
    co_await sleep(0s);
    EXPECT_EQ(receive_now(pair.peer), "");  // never twice
  }());
}

TEST(StreamWriter, D23LargeWritesAreSentAtOnce) {
  run_alone([]() -> Coro<> {
    Pair pair;
    const std::string data = pattern(16 * 1024);
    pair.writer.write(data);
    EXPECT_TRUE(receive_now(pair.peer) == data);
    pair.writer.write(std::string_view(data).substr(0, 10'000));
    EXPECT_EQ(receive_now(pair.peer), "");
    pair.writer.write(std::string_view(data).substr(10'000));
    EXPECT_TRUE(receive_now(pair.peer) == data);
    co_return;
  }());
}

TEST(StreamWriter, WriteTakesOverBytes) {
  run_alone([]() -> Coro<> {
    Pair pair;
    pair.writer.write(Bytes(std::string_view("one ")));
    pair.writer.write(Bytes(std::string_view("two")));
    pair.writer.write(Bytes());
    co_await sleep(0s);
    EXPECT_EQ(receive_now(pair.peer), "one two");
    send_now(pair.peer, pattern(5000));
    Bytes slice = co_await pair.reader.readexactly(5000);
    pair.writer.write(std::move(slice));
    pair.writer.close();
    EXPECT_TRUE(co_await receive_to_end(pair.peer) == pattern(5000));
  }());
}

TEST(StreamWriter, TP08WhatTheSocketDoesNotTakeFollowsInOrder) {
  run_alone([]() -> Coro<> {
    Pair pair;
    const std::string data = pattern(3'000'000);
    std::size_t written = 0;
    for (std::size_t size = 1; written < data.size(); size = size * 3 % 70'001 + 1) {
      const std::string_view part = std::string_view(data).substr(written, size);
      if (size % 2 == 0) {
        pair.writer.write(part);
      } else {
        pair.writer.write(Bytes(part));
      }
      written += part.size();
    }
    auto receiving = create_task(receive_to_end(pair.peer));
    pair.writer.close();
    const std::string received = co_await std::move(receiving);
    EXPECT_TRUE(received == data);
    co_await pair.writer.wait_closed();
  }());
}

TEST(StreamWriter, SW03DrainWaitsAboveTheHighWaterMarkAndManyMayWait) {
  run_alone([]() -> Coro<> {
    Pair pair;
    pair.writer.set_write_buffer_limits(10'000, 1'000);
    const std::string data = pattern(1'000'000);
    pair.writer.write(data);
    EXPECT_GT(pair.writer.get_write_buffer_size(), 10'000u);
    int drained = 0;
    auto drain = [](StreamWriter& writer, int& count) -> Coro<> {
      co_await writer.drain();
      EXPECT_LE(writer.get_write_buffer_size(), 1'000u);
      ++count;
    };
    auto first = create_task(drain(pair.writer, drained));
    auto second = create_task(drain(pair.writer, drained));
    auto third = create_task(drain(pair.writer, drained));
    co_await steps(3);
    EXPECT_EQ(drained, 0);
    second.cancel();
    EXPECT_TRUE(co_await throws<CancelledError>(std::move(second)));
    std::string received;
    while (received.size() < data.size()) {
      const Bytes bytes = co_await sock_recv(pair.peer, 65536);
      received += bytes.view();
    }
    co_await std::move(first);
    co_await std::move(third);
    EXPECT_EQ(drained, 2);
    EXPECT_TRUE(received == data);
  }());
}

TEST(StreamWriter, SW03AnyUnsentByteIsAboveAHighWaterMarkOfZero) {
  run_alone([]() -> Coro<> {
    Pair pair;
    pair.writer.set_write_buffer_limits(0);
    pair.writer.write("x");
    co_await pair.writer.drain();
    EXPECT_EQ(receive_now(pair.peer), "x");
    EXPECT_THROW(pair.writer.set_write_buffer_limits(1, 2), ValueError);
  }());
}

TEST(StreamWriter, SW04DrainAfterTheConnectionIsClosedThrows) {
  run_alone([]() -> Coro<> {
    Pair pair;
    pair.writer.close();
    bool ran = false;
    get_running_loop().call_soon([&ran] { ran = true; });
    EXPECT_TRUE(pair.writer.is_closing());
    try {
      co_await pair.writer.drain();  // closing: gives way for a step
    } catch (const ConnectionResetError&) {
    }
    EXPECT_TRUE(ran);
    co_await pair.writer.wait_closed();
    EXPECT_TRUE(co_await throws<ConnectionResetError>(pair.writer.drain()));
  }());
}

TEST(StreamWriter, SW04DrainWakesWhenTheConnectionIsLost) {
  run_alone([]() -> Coro<> {
    Pair pair;
    pair.writer.write(pattern(4'000'000));
    auto draining = create_task(throws<OSError>(pair.writer.drain()));
    co_await steps(3);
    EXPECT_FALSE(draining.done());
    pair.peer.close();
    EXPECT_TRUE(co_await std::move(draining));
  }());
}

TEST(StreamWriter, SW05DrainThrowsTheReadersException) {
  run_alone([]() -> Coro<> {
    Pair pair;
    pair.reader.set_exception(failure());
    EXPECT_TRUE(co_await throws<std::logic_error>(pair.writer.drain()));
  }());
}

TEST(StreamWriter, SW06WaitClosedWithUnreadData) {
  run_alone([]() -> Coro<> {
    Pair pair;
    send_now(pair.peer, "unread");
    co_await steps(3);
    pair.writer.close();
    co_await pair.writer.wait_closed();
    EXPECT_EQ(pair.writer.fileno(), -1);
    EXPECT_EQ(co_await text_of(pair.reader.read()), "unread");
  }());
}

TEST(StreamWriter, SW07WriteAfterCloseDoesNothingAndSaysSo) {
  run_alone([]() -> Coro<> {
    Pair pair;
    EXPECT_TRUE(pair.writer.write("before"));
    pair.writer.close();
    pair.writer.close();
    EXPECT_FALSE(pair.writer.write("after"));
    EXPECT_FALSE(pair.writer.write(Bytes(std::string_view("after"))));
    EXPECT_FALSE(pair.writer.writelines({"after"}));
    pair.writer.write_eof();
    EXPECT_EQ(co_await receive_to_end(pair.peer), "before");
    EXPECT_TRUE(co_await throws<ConnectionResetError>(pair.writer.drain()));
  }());
}

TEST(StreamWriter, SW08CloseEndsTheOwnReader) {
  run_alone([]() -> Coro<> {
    Pair pair;
    auto reading = create_task(text_of(pair.reader.read(10)));
    co_await steps(2);
    pair.writer.close();
    EXPECT_EQ(co_await std::move(reading), "");
    EXPECT_TRUE(pair.reader.at_eof());
  }());
}

TEST(StreamWriter, SW09ItsDestructorClosesAfterSending) {
  const std::size_t before = open_descriptors();
  run_alone([]() -> Coro<> {
    auto sockets = Socket::pair();
    const std::string data = pattern(2'000'000);
    {
      Connection connection = open_connection(std::move(sockets.first));
      connection.writer.write(data);
    }
    EXPECT_TRUE(co_await receive_to_end(sockets.second) == data);
  }());
  EXPECT_EQ(open_descriptors(), before);
}

TEST(StreamWriter, SW09ItMayEndOnAnotherThreadAndAfterItsLoop) {
  const std::size_t before = open_descriptors();
  {
    std::optional<Connection> outlives;
    {
      LoopThread thread;
      auto sockets = Socket::pair();
      auto made =
          thread.call([&] { return Connection(open_connection(std::move(sockets.first))); });
      EXPECT_THROW(made.writer.write("x"), RuntimeError);
      {
        const Connection ended = std::move(made);
      }
      char byte = 0;
      ::fcntl(sockets.second.fileno(), F_SETFL, 0);
      EXPECT_EQ(::recv(sockets.second.fileno(), &byte, 1, 0), 0);  // waits for the end
      auto others = Socket::pair();
      outlives.emplace(thread.call([&] { return open_connection(std::move(others.first)); }));
    }
    EXPECT_THROW(outlives->writer.write("x"), RuntimeError);
  }
  EXPECT_EQ(open_descriptors(), before);
}

TEST(StreamWriter, AbortDropsWhatIsUnsent) {
  run_alone([]() -> Coro<> {
    Pair pair;
    const std::string data = pattern(4'000'000);
    pair.writer.write(data);
    pair.writer.abort();
    EXPECT_TRUE(pair.writer.is_closing());
    const std::string received = co_await receive_to_end(pair.peer);
    EXPECT_LT(received.size(), data.size());
    co_await pair.writer.wait_closed();
  }());
}

TEST(StreamWriter, TP14WriteEofEndsOneDirection) {
  run_alone([]() -> Coro<> {
    Pair pair;
    EXPECT_TRUE(pair.writer.can_write_eof());
    const std::string data = pattern(1'000'000);
    pair.writer.write(data);
    pair.writer.write_eof();
    pair.writer.write_eof();
    EXPECT_THROW(pair.writer.write("x"), RuntimeError);
    EXPECT_TRUE(co_await receive_to_end(pair.peer) == data);
    send_now(pair.peer, "answer");
    EXPECT_EQ(co_await text_of(pair.reader.read(100)), "answer");
  }());
}

TEST(StreamWriter, TheOtherEndMayEndItsDirection) {
  run_alone([]() -> Coro<> {
    Pair pair;
    send_now(pair.peer, "question");
    pair.peer.shutdown(SHUT_WR);
    EXPECT_EQ(co_await text_of(pair.reader.read()), "question");
    EXPECT_TRUE(pair.reader.at_eof());
    EXPECT_TRUE(pair.writer.write("answer"));
    pair.writer.close();
    EXPECT_EQ(co_await receive_to_end(pair.peer), "answer");
  }());
}

TEST(StreamWriter, TP21GivesAddresses) {
  run_alone([]() -> Coro<> {
    Socket listener = Socket::make(AF_INET);
    listener.bind(*Address::parse("127.0.0.1", 0));
    listener.listen(1);
    auto [reader, writer] = co_await open_connection("127.0.0.1", listener.getsockname().port());
    const Accepted accepted = co_await sock_accept(listener);
    EXPECT_EQ(writer.get_extra_info("peername"), listener.getsockname());
    EXPECT_EQ(writer.get_extra_info("sockname"), accepted.address);
    EXPECT_TRUE(writer.get_extra_info("cipher").empty());
    int no_delay = 0;
    socklen_t size = sizeof no_delay;
    ::getsockopt(writer.fileno(), IPPROTO_TCP, TCP_NODELAY, &no_delay, &size);
    EXPECT_EQ(no_delay, 1);  // TP23
    writer.close();
    co_await writer.wait_closed();
    EXPECT_EQ(writer.peername(), listener.getsockname());  // once asked for, it is kept
  }());
}

TEST(StreamWriter, ItsWriterMayGoWhileADrainWaits) {
  run_alone([]() -> Coro<> {
    auto pair = std::make_unique<Pair>();
    Socket peer = std::move(pair->peer);
    pair->writer.write(pattern(4'000'000));
    auto draining = create_task(pair->writer.drain());
    auto reading = create_task(pair->reader.read(1));
    co_await steps(2);
    pair = nullptr;
    peer.close();
    EXPECT_TRUE(co_await throws<OSError>(std::move(draining)));
    EXPECT_TRUE(co_await throws<OSError>(std::move(reading)));
  }());
}

TEST(Streams, WorkOverASimulatedKernelThatMovesAFewBytesAtATime) {
  testing_support::SimKernel kernel;
  kernel.limits.transfer_bytes = 7;
  kernel.limits.stream_bytes = 100;
  const auto [near, far] = kernel.make_stream_pair();
  LoopOptions options;
  options.kernel = &kernel;
  {
    IoLoop loop(options);
    loop.run([](int near_fd, int far_fd) -> Coro<> {
      Connection left = open_connection(Socket(near_fd));
      Connection right = open_connection(Socket(far_fd));
      const std::string data = pattern(5'000);
      left.writer.write(data);
      left.writer.write_eof();
      const Bytes all = co_await right.reader.read();
      EXPECT_TRUE(all == data);
      right.writer.write("answer");
      right.writer.close();
      EXPECT_EQ(co_await text_of(left.reader.read()), "answer");
    }(near, far));
  }
  EXPECT_EQ(kernel.open_descriptors(), 0u);
}

TEST(Streams, ALoopClosesWithConnectionsOpen) {
  const std::size_t before = open_descriptors();
  {
    std::vector<Socket> peers;
    IoLoop loop;
    auto serve = [](Connection connection) -> Coro<> {
      connection.writer.write(pattern(4'000'000));
      co_await connection.reader.read();
    };
    for (int i = 0; i < 10; ++i) {
      auto sockets = Socket::pair();
      loop.run([](auto handler, Socket socket) -> Coro<> {
        create_task(handler(open_connection(std::move(socket))));
        co_await sleep(0s);
      }(serve, std::move(sockets.first)));
      peers.push_back(std::move(sockets.second));
    }
  }
  EXPECT_EQ(open_descriptors(), before);
}

}  // namespace
}  // namespace rota
