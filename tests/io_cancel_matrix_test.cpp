/// The cancel matrix of runtime/README.md, for sockets and streams. Each cell has one outcome, and
/// no byte, connection or descriptor is lost in any.
#include <rota/connection.hpp>
#include <rota/sleep.hpp>
#include <rota/socket.hpp>
#include <rota/task.hpp>

#include "support/cancel_matrix.hpp"
#include "support/io.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <tuple>
#include <vector>

namespace rota {
namespace {

using namespace std::chrono_literals;
using testing_support::cancel_from;
using testing_support::cancelled;
using testing_support::completed;
using testing_support::From;
using testing_support::IoLoop;
using testing_support::Moment;
using testing_support::observe;
using testing_support::open_descriptors;
using testing_support::Seen;
using testing_support::spend_the_budget;

Socket listening(int backlog) {
  Socket listener = Socket::make(AF_INET);
  listener.bind(*Address::parse("127.0.0.1", 0));
  listener.listen(backlog);
  return listener;
}

void send_now(const Socket& socket, std::string_view text) {
  ASSERT_EQ(::send(socket.fileno(), text.data(), text.size(), MSG_NOSIGNAL),
            static_cast<ssize_t>(text.size()));
}

/// Fills the socket's buffers, so that a send has to wait. Returns how much that was.
std::size_t fill(const Socket& socket) {
  const std::string chunk(1 << 16, 'f');
  std::size_t filled = 0;
  for (ssize_t sent = 0; sent >= 0;) {
    sent = ::send(socket.fileno(), chunk.data(), chunk.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) filled += static_cast<std::size_t>(sent);
  }
  return filled;
}

/// Takes `bytes` out of the socket, which holds at least as many.
void empty(const Socket& socket, std::size_t bytes) {
  std::vector<char> buffer(1 << 16);
  while (bytes > 0) {
    const ssize_t got = ::recv(socket.fileno(), buffer.data(), std::min(buffer.size(), bytes), 0);
    ASSERT_GT(got, 0);
    bytes -= static_cast<std::size_t>(got);
  }
}

class IoCancelMatrix : public testing::TestWithParam<std::tuple<Moment, From>> {
 protected:
  Moment moment() const { return std::get<0>(GetParam()); }
  From from() const { return std::get<1>(GetParam()); }
  bool is(Moment wanted) const { return moment() == wanted; }

  void SetUp() override { descriptors_ = open_descriptors(); }
  void TearDown() override { EXPECT_EQ(open_descriptors(), descriptors_); }

  /// In the awaiting task, last thing before the await. `complete` makes what is awaited come.
  template <typename Complete>
  Coro<> prepare(Complete complete) {
    if (is(Moment::completed_not_resumed)) {
      // Every step looks whether the completion was reaped; it stands before the task in the queue,
      // so it cancels it there.
      complete();
      watch();
    }
    if (is(Moment::fairness_requeue)) {
      complete();
      loop()->call_soon([this] { cancel_from(from(), victim_); });
      co_await spend_the_budget();
    }
    if (is(Moment::before_start)) cancel_from(from(), victim_);
  }
  void watch() {
    loop()->call_soon([this] {
      if (victim_.base()->phase() == detail::Phase::ready) {
        cancel_from(from(), victim_);
      } else if (!victim_.done()) {
        watch();
      }
    });
  }

  Seen run_victim(Coro<Seen> body) {
    auto main = [](IoCancelMatrix& cell, Coro<Seen> coro) -> Coro<Seen> {
      cell.victim_ = create_task(std::move(coro));
      if (cell.is(Moment::in_flight)) {
        while (cell.victim_.base()->phase() != detail::Phase::waiting) co_await sleep(0s);
        co_await sleep(0s);  // submitted
        cancel_from(cell.from(), cell.victim_);
      }
      co_return co_await cell.victim_;
    };
    return io_loop().run(main(*this, std::move(body)));
  }

  IoLoop& io_loop() {
    if (loop_ == nullptr) loop_ = std::make_unique<IoLoop>();
    return *loop_;
  }
  EventLoop* loop() { return &*io_loop(); }
  void end_loop() {
    victim_ = {};
    loop_ = nullptr;
  }

  Task<Seen> victim_;
  std::unique_ptr<IoLoop> loop_;
  std::size_t descriptors_ = 0;
};

TEST_P(IoCancelMatrix, SockRecv) {
  auto pair = Socket::pair();
  auto wait = [&]() -> Coro<> {
    co_await prepare([&] {
      if (is(Moment::fairness_requeue)) send_now(pair.second, "x");
    });
    // Not before it waits: data that is there already is simply received.
    if (is(Moment::completed_not_resumed)) loop()->call_soon([&] { send_now(pair.second, "x"); });
    const Bytes bytes = co_await sock_recv(pair.first, 10);
    EXPECT_EQ(bytes, "x");
  };
  const bool wins = is(Moment::fairness_requeue);
  EXPECT_EQ(run_victim(observe(wait)), wins ? completed : cancelled);
  if (!wins) {  // the byte is there for the next one
    if (!is(Moment::completed_not_resumed)) send_now(pair.second, "x");
    const Bytes next = io_loop().run(sock_recv(pair.first, 10));
    EXPECT_EQ(next, "x");
  }
  end_loop();
}

TEST_P(IoCancelMatrix, StreamRead) {
  auto pair = Socket::pair();
  auto main = [this](Socket& mine, Socket& peer) -> Coro<> {
    Connection connection = open_connection(std::move(mine));
    auto wait = [&]() -> Coro<> {
      if (is(Moment::fairness_requeue)) {
        send_now(peer, "x");
        co_await sleep(5ms);  // it has come into the reader
      }
      co_await prepare([] {});
      if (is(Moment::completed_not_resumed)) loop()->call_soon([&] { send_now(peer, "x"); });
      const Bytes bytes = co_await connection.reader.read(10);
      EXPECT_EQ(bytes, "x");
    };
    victim_ = create_task(observe(wait));
    if (is(Moment::in_flight)) {
      while (victim_.base()->phase() != detail::Phase::waiting) co_await sleep(0s);
      cancel_from(from(), victim_);
    }
    const bool wins = is(Moment::fairness_requeue);
    const Seen seen = co_await victim_;
    EXPECT_EQ(seen, wins ? completed : cancelled);
    if (!wins) {
      if (!is(Moment::completed_not_resumed)) send_now(peer, "x");
      const Bytes next = co_await connection.reader.read(10);
      EXPECT_EQ(next, "x");
    }
    connection.writer.close();
    co_await connection.writer.wait_closed();
  };
  io_loop().run(main(pair.first, pair.second));
  end_loop();
}

TEST_P(IoCancelMatrix, SockAccept) {
  const Socket listener = listening(10);
  std::vector<Socket> clients;
  auto connect = [&] {
    clients.push_back(Socket::make(AF_INET));
    const Address address = listener.getsockname();
    // Sockets do not block; on loopback the connection is there at once all the same.
    const int result = ::connect(clients.back().fileno(), address.data(), address.size());
    ASSERT_TRUE(result == 0 || errno == EINPROGRESS);
  };
  auto wait = [&]() -> Coro<> {
    co_await prepare([&] {
      if (is(Moment::fairness_requeue)) connect();
    });
    if (is(Moment::completed_not_resumed)) loop()->call_soon([&] { connect(); });
    const Accepted accepted = co_await sock_accept(listener);
    EXPECT_EQ(accepted.address, clients.back().getsockname());
  };
  const bool wins = is(Moment::fairness_requeue);
  EXPECT_EQ(run_victim(observe(wait)), wins ? completed : cancelled);
  if (!wins) {
    if (!is(Moment::completed_not_resumed)) connect();
    const Accepted next = io_loop().run(sock_accept(listener));
    EXPECT_EQ(next.address, clients.back().getsockname());
  }
  end_loop();
}

TEST_P(IoCancelMatrix, SockSendall) {
  auto pair = Socket::pair();
  const std::size_t filled = is(Moment::fairness_requeue) ? 0 : fill(pair.first);
  auto wait = [&]() -> Coro<> {
    co_await prepare([] {});
    if (is(Moment::completed_not_resumed)) loop()->call_soon([&] { empty(pair.second, filled); });
    co_await sock_sendall(pair.first, "message");
  };
  const bool wins = is(Moment::fairness_requeue) || is(Moment::completed_not_resumed);
  EXPECT_EQ(run_victim(observe(wait)), wins ? completed : cancelled);
  if (!is(Moment::completed_not_resumed)) empty(pair.second, filled);
  const Bytes arrived = [&] {
    send_now(pair.first, "!");
    return io_loop().run(sock_recv(pair.second, 100));
  }();
  EXPECT_EQ(arrived, wins ? "message!" : "!");
  end_loop();
}

TEST_P(IoCancelMatrix, SockConnect) {
  if (is(Moment::fairness_requeue)) return;  // connecting always waits: the cell does not exist
  const Socket listener = listening(is(Moment::in_flight) ? 0 : 10);
  const Address address = listener.getsockname();
  std::vector<Socket> queued;
  if (is(Moment::in_flight)) {
    // A full backlog: the kernel drops what asks for more, so the connect stays under way.
    for (int count = 0; count < 2; ++count) {
      queued.push_back(Socket::make(AF_INET));
      (void)::connect(queued.back().fileno(), address.data(), address.size());
    }
  }
  const Socket client = Socket::make(AF_INET);
  auto wait = [&]() -> Coro<> {
    co_await prepare([] {});
    co_await sock_connect(client, address);
  };
  const bool wins = is(Moment::completed_not_resumed);
  EXPECT_EQ(run_victim(observe(wait)), wins ? completed : cancelled);
  if (wins) {
    EXPECT_EQ(client.getpeername(), address);
  }
  end_loop();
}

INSTANTIATE_TEST_SUITE_P(Cells, IoCancelMatrix,
                         testing::Combine(testing::Values(Moment::before_start, Moment::in_flight,
                                                          Moment::completed_not_resumed,
                                                          Moment::fairness_requeue),
                                          testing::Values(From::own_loop, From::other_loop)),
                         [](const auto& cell) {
                           return to_string(std::get<0>(cell.param)) +
                                  to_string(std::get<1>(cell.param));
                         });

}  // namespace
}  // namespace rota
