// What streams and servers do with their ring: sockets, buffer rings, multishot recv and accept.
// Over both kernels, so that what is tested over the simulated one holds over the real one.
#include "support/ring_fixture.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <string_view>
#include <unistd.h>

namespace rota::testing_support {
namespace {

/// A registered buffer ring of group 1.
class BufferRing {
 public:
  BufferRing(detail::Ring& ring, unsigned entries, unsigned bytes)
      : ring_(ring), entries_(entries), bytes_(bytes), data_(std::size_t{entries} * bytes) {
    descriptors_ = static_cast<io_uring_buf_ring*>(std::aligned_alloc(4096, 4096));
    std::memset(descriptors_, 0, 4096);
    for (unsigned id = 0; id < entries; ++id) give(id);
    EXPECT_EQ(ring.register_buffer_ring(descriptors_, entries, 1), 0);
  }
  ~BufferRing() {
    EXPECT_EQ(ring_.unregister_buffer_ring(1), 0);
    std::free(descriptors_);
  }

  void give(unsigned id) {
    io_uring_buf& buffer = descriptors_->bufs[tail_ & (entries_ - 1)];
    buffer.addr = reinterpret_cast<std::uintptr_t>(data_.data() + std::size_t{id} * bytes_);
    buffer.len = bytes_;
    buffer.bid = static_cast<std::uint16_t>(id);
    ++tail_;
    __atomic_store_n(&descriptors_->tail, tail_,
                     __ATOMIC_RELEASE);  // pairs with the kernel's acquire
  }
  std::string_view text(const TestOperation::Result& result) const {
    EXPECT_NE(result.flags & IORING_CQE_F_BUFFER, 0u);
    return {data_.data() + std::size_t{id(result)} * bytes_,
            static_cast<std::size_t>(result.value)};
  }
  static unsigned id(const TestOperation::Result& result) {
    return result.flags >> IORING_CQE_BUFFER_SHIFT;
  }

 private:
  detail::Ring& ring_;
  const unsigned entries_;
  const unsigned bytes_;
  std::vector<char> data_;
  io_uring_buf_ring* descriptors_;
  std::uint16_t tail_ = 0;
};

class RingSockets : public RingTest {
 protected:
  TestOperation& start_recv(int fd, void* data, unsigned bytes, int flags = 0) {
    TestOperation& recv = operation("recv");
    io_uring_prep_recv(&ring().prepare(recv, fd), fd, data, bytes, flags);
    return recv;
  }
  TestOperation& start_recv_multishot(int fd) {
    TestOperation& recv = operation("recv");
    start_recv_multishot(recv, fd);
    return recv;
  }
  void start_recv_multishot(TestOperation& recv, int fd) {
    io_uring_sqe& sqe = ring().prepare(recv, fd);
    io_uring_prep_recv_multishot(&sqe, fd, nullptr, 0, 0);
    sqe.flags |= IOSQE_BUFFER_SELECT;
    sqe.buf_group = 1;
  }
  TestOperation& start_send(int fd, std::string_view text, int flags = MSG_NOSIGNAL) {
    TestOperation& send = operation("send");
    io_uring_prep_send(&ring().prepare(send, fd), fd, text.data(), text.size(), flags);
    return send;
  }
  std::int64_t send_now(int fd, std::string_view text) {
    return kernel.send(fd, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  }
};
ROTA_OVER_BOTH_KERNELS(RingSockets);

TEST_P(RingSockets, MoveBytesFromOneEndToTheOther) {
  make_ring();
  const auto [left, right] = make_streams();
  char data[16] = {};
  TestOperation& recv = start_recv(left, data, sizeof data);
  step();
  EXPECT_TRUE(recv.in_flight());
  TestOperation& send = start_send(right, "hello");
  ASSERT_TRUE(drain());
  EXPECT_EQ(send.result(), 5);
  EXPECT_EQ(recv.result(), 5);
  EXPECT_STREQ(data, "hello");
}

TEST_P(RingSockets, GiveZeroAtTheEndOfTheStream) {
  make_ring();
  const auto [left, right] = make_streams();
  char data[16];
  send_now(right, "last");
  EXPECT_EQ(kernel.shutdown(right, SHUT_WR), 0);
  TestOperation& first = start_recv(left, data, sizeof data);
  ASSERT_TRUE(drain());
  EXPECT_EQ(first.result(), 4);
  TestOperation& later = start_recv(left, data, sizeof data);
  ASSERT_TRUE(drain());
  EXPECT_EQ(later.result(), 0);
  EXPECT_EQ(kernel.recv(left, data, sizeof data, MSG_DONTWAIT), 0);
}

TEST_P(RingSockets, SayBrokenPipeAndRaiseNoSignalWhenThePeerIsGone) {
  make_ring();
  const auto [left, right] = make_streams();
  EXPECT_EQ(kernel.close(right), 0);
  TestOperation& send = start_send(left, "x", 0);
  ASSERT_TRUE(drain());
  EXPECT_EQ(send.result(), -EPIPE);
  EXPECT_EQ(send_now(left, "x"), -EPIPE);
}

TEST_P(RingSockets, WouldBlockIsADirectCallsAnswerAndNeverAnOperations) {
  make_ring();
  const auto [left, right] = make_streams();
  char data[4];
  EXPECT_EQ(kernel.recv(left, data, sizeof data, MSG_DONTWAIT), -EAGAIN);
  TestOperation& recv = start_recv(left, data, sizeof data);
  ring().wait(millisecond);
  EXPECT_EQ(ring().reap(), 0u);
  send_now(right, "now");
  ASSERT_TRUE(drain());
  EXPECT_EQ(recv.result(), 3);
}

TEST_P(RingSockets, CompleteASendOfAllOnceWhenTheReaderIsSlow) {
  make_ring();
  const auto [left, right] = make_streams();
  const std::string text(3'000'000, 'x');
  TestOperation& send = start_send(left, text, MSG_NOSIGNAL | MSG_WAITALL);
  step();
  EXPECT_TRUE(send.in_flight());
  std::vector<char> data(65536);
  std::size_t received = 0;
  for (int turns = 0; received < text.size() && turns < 100'000; ++turns) {
    const std::int64_t bytes = kernel.recv(right, data.data(), data.size(), MSG_DONTWAIT);
    if (bytes > 0) received += static_cast<std::size_t>(bytes);
    step();
  }
  ASSERT_TRUE(drain());
  EXPECT_EQ(received, text.size());
  EXPECT_EQ(send.results.size(), 1u);
  EXPECT_EQ(send.result(), 3'000'000);
}

TEST_P(RingSockets, ShutdownEndsARecvAndCloseDoesNot) {
  make_ring();
  const auto [left, right] = make_streams();
  char data[4];
  TestOperation& recv = start_recv(left, data, sizeof data);
  step();
  EXPECT_EQ(kernel.shutdown(left, SHUT_RDWR), 0);
  ASSERT_TRUE(drain());
  EXPECT_EQ(recv.result(), 0);

  const auto [other, peer] = make_streams();
  TestOperation& later = start_recv(other, data, sizeof data);
  step();
  EXPECT_EQ(kernel.close(other), 0);
  step();
  EXPECT_TRUE(later.in_flight()) << "the request holds the socket open";
  EXPECT_EQ(kernel.recv(peer, data, sizeof data, MSG_DONTWAIT), -EAGAIN)
      << "so the peer sees no end";
  ring().cancel(later, false);
  ASSERT_TRUE(drain());
  EXPECT_EQ(later.result(), -ECANCELED);
  EXPECT_EQ(kernel.recv(peer, data, sizeof data, MSG_DONTWAIT), 0);
}

// --- buffer rings -----------------------------------------------------------------------------

TEST_P(RingSockets, ReceiveIntoProvidedBuffersByOneMultishot) {
  make_ring();
  BufferRing buffers(ring(), 8, 64);
  const auto [left, right] = make_streams();
  TestOperation& recv = start_recv_multishot(left);
  step();
  for (const std::string_view text : {"one", "two", "three"}) {
    send_now(right, text);
    ring().wait(second);
    ring().reap();
    ASSERT_FALSE(recv.results.empty());
    EXPECT_TRUE(recv.results.back().more);
    EXPECT_EQ(buffers.text(recv.results.back()), text);
  }
  EXPECT_EQ(recv.results.size(), 3u);
  kernel.shutdown(right, SHUT_WR);
  ASSERT_TRUE(drain());
  ASSERT_EQ(recv.results.size(), 4u);
  EXPECT_EQ(recv.result(), 0);
  EXPECT_FALSE(recv.results.back().more);
}

TEST_P(RingSockets, EndAMultishotWhenItsBuffersRunOutAndLoseNoByte) {
  make_ring();
  BufferRing buffers(ring(), 4, 8);
  const auto [left, right] = make_streams();
  TestOperation& recv = start_recv_multishot(left);
  step();
  std::string text(100, '\0');
  std::iota(text.begin(), text.end(), '!');
  EXPECT_EQ(send_now(right, text), 100);
  std::string received;
  std::vector<unsigned> used;
  int ends = 0;
  recv.when_result = [&](const TestOperation::Result& result) {
    if (result.value < 0) return;
    received += buffers.text(result);
    used.push_back(BufferRing::id(result));
  };
  recv.when_settled = [&] {
    EXPECT_EQ(recv.result(), -ENOBUFS);
    EXPECT_LE(used.size(), 4u);
    for (const unsigned id : used) buffers.give(id);
    used.clear();
    if (++ends < 20) start_recv_multishot(recv, left);
  };
  ASSERT_TRUE(run_until([&] { return received.size() == text.size(); }));
  EXPECT_EQ(received, text);
  EXPECT_EQ(ends, 3) << "100 bytes come in rounds of 32";
}

TEST_P(RingSockets, FailAMultishotAtOnceWhenThereIsNoBuffer) {
  make_ring();
  BufferRing buffers(ring(), 2, 8);
  const auto [left, right] = make_streams();
  TestOperation& first = start_recv_multishot(left);
  send_now(right, "0123456789abcdef...");
  ASSERT_TRUE(drain());
  EXPECT_EQ(first.result(), -ENOBUFS);
  const auto [idle, peer] = make_streams();
  TestOperation& later = start_recv_multishot(idle);
  ASSERT_TRUE(drain());
  EXPECT_EQ(later.result(), -ENOBUFS) << "though nothing has come";
}

TEST_P(RingSockets, EndAMultishotWhenTheCompletionQueueOverflowsAndLoseNoByte) {
  make_ring(small(4, 8));
  BufferRing buffers(ring(), 64, 1);
  const auto [left, right] = make_streams();
  TestOperation& recv = start_recv_multishot(left);
  step();
  std::string text(40, '\0');
  std::iota(text.begin(), text.end(), '!');
  send_now(right, text);
  std::string received;
  int ends = 0;
  recv.when_result = [&](const TestOperation::Result& result) { received += buffers.text(result); };
  recv.when_settled = [&] {
    if (++ends < 20) start_recv_multishot(recv, left);
  };
  ASSERT_TRUE(run_until([&] { return received.size() == text.size(); }));
  EXPECT_EQ(received, text);
  EXPECT_GT(ends, 0) << "40 results do not fit into a queue of 8";
}

// --- servers ----------------------------------------------------------------------------------

TEST_P(RingSockets, AcceptManyConnectionsByOneMultishot) {
  make_ring();
  sockaddr_in address;
  const int listener = make_listener(address);
  TestOperation& accept = operation("accept");
  io_uring_prep_multishot_accept(&ring().prepare(accept, listener), listener, nullptr, nullptr,
                                 SOCK_CLOEXEC);
  std::vector<int> clients;
  for (int i = 0; i < 3; ++i) {
    const int client = make_socket();
    TestOperation& connect = operation("connect");
    io_uring_prep_connect(&ring().prepare(connect, client), client,
                          reinterpret_cast<sockaddr*>(&address), sizeof address);
    ASSERT_TRUE(run_until([&] { return connect.settled == 1; }));
    EXPECT_EQ(connect.result(), 0);
    clients.push_back(client);
  }
  ASSERT_TRUE(run_until([&] { return accept.results.size() == 3; }));
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(accept.results[i].more);
    const int server = track(accept.results[i].value);
    send_now(server, "welcome");
    char data[16] = {};
    TestOperation& recv = start_recv(clients[i], data, sizeof data);
    ASSERT_TRUE(run_until([&] { return recv.settled == 1; }));
    EXPECT_STREQ(data, "welcome");
  }
  ring().cancel(accept, false);
  ASSERT_TRUE(drain());
  EXPECT_EQ(accept.result(), -ECANCELED);
}

TEST_P(RingSockets, RefuseAConnectionToNobody) {
  make_ring();
  sockaddr_in address;
  make_listener(address);
  address.sin_port = htons(1);  // tcpmux: nobody has run it for decades
  const int client = make_socket();
  TestOperation& connect = operation("connect");
  io_uring_prep_connect(&ring().prepare(connect, client), client,
                        reinterpret_cast<sockaddr*>(&address), sizeof address);
  ASSERT_TRUE(drain());
  EXPECT_EQ(connect.result(), -ECONNREFUSED);
}

TEST_P(RingSockets, CloseByAnEntryThatNobodyAwaits) {
  make_ring();
  const auto [left, right] = make_streams();
  io_uring_sqe& sqe = ring().prepare_ignored();
  io_uring_prep_close(&sqe, left);
  sqe.flags |= IOSQE_CQE_SKIP_SUCCESS;
  step();
  char data[4];
  EXPECT_EQ(kernel.recv(right, data, sizeof data, MSG_DONTWAIT), 0);
  EXPECT_EQ(kernel.close(left), -EBADF);
}

}  // namespace
}  // namespace rota::testing_support
