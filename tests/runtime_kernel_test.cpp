// The three kernels: the real one, the real one with a clock that jumps, the simulated one. (Their
// rings: runtime_ring_*.)
#include <rota/detail/kernel.hpp>

#include "support/child.hpp"
#include "support/sim_kernel.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <string>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <thread>
#include <time.h>
#include <vector>

namespace rota::testing_support {
namespace {

using detail::Kernel;
using detail::make_virtual_clock_kernel;
using detail::real_kernel;

// --- clocks -----------------------------------------------------------------------------------

TEST(RealKernel, TellsTheMonotonicTimeAndDoesNotJump) {
  timespec before{};
  ::clock_gettime(CLOCK_MONOTONIC, &before);
  const std::int64_t now = real_kernel().now();
  timespec after{};
  ::clock_gettime(CLOCK_MONOTONIC, &after);
  EXPECT_LE(before.tv_sec * 1'000'000'000 + before.tv_nsec, now);
  EXPECT_GE(after.tv_sec * 1'000'000'000 + after.tv_nsec, now);
  EXPECT_FALSE(real_kernel().jump_to(now + 1));
}

TEST(VirtualClockKernel, StartsAtZeroAndMovesOnlyWhereItIsSent) {
  const auto kernel = make_virtual_clock_kernel();
  EXPECT_EQ(kernel->now(), 0);
  EXPECT_TRUE(kernel->jump_to(5'000));
  EXPECT_EQ(kernel->now(), 5'000);
  EXPECT_TRUE(kernel->jump_to(3'000));
  EXPECT_EQ(kernel->now(), 5'000) << "never back";
  EXPECT_EQ(make_virtual_clock_kernel()->now(), 0) << "each has its own";
}

TEST(VirtualClockKernel, EndsAtTheLatestOfTheTimesThatSeveralThreadsSentItTo) {
  const auto kernel = make_virtual_clock_kernel();
  std::vector<std::thread> threads;
  for (int thread = 1; thread <= 4; ++thread)
    threads.emplace_back([&kernel, thread] {
      for (int i = 0; i < 10'000; ++i) {
        const std::int64_t deadline = std::int64_t{i} * thread;
        kernel->jump_to(deadline);
        ASSERT_GE(kernel->now(), deadline);
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(kernel->now(), 4 * 9'999);
}

// --- direct calls -----------------------------------------------------------------------------

class DirectCalls : public testing::TestWithParam<const char*> {
 protected:
  DirectCalls() {
    if (std::string(GetParam()) == "real") {
      int fds[2] = {-1, -1};
      EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
      left = fds[0];
      right = fds[1];
      kernel = &real_kernel();
    } else {
      std::tie(left, right) = simulated.make_stream_pair();
    }
  }
  ~DirectCalls() override {
    kernel->close(left);
    kernel->close(right);
  }

  SimKernel simulated;
  Kernel* kernel = &simulated;
  int left = -1;
  int right = -1;
  char data[64] = {};
};
INSTANTIATE_TEST_SUITE_P(Over, DirectCalls, testing::Values("real", "simulated"),
                         [](const auto& test) { return std::string(test.param); });

TEST_P(DirectCalls, GiveBytesOrTheNegativeErrno) {
  EXPECT_EQ(kernel->recv(left, data, sizeof data, 0), -EAGAIN);
  EXPECT_EQ(kernel->send(right, "hello", 5, MSG_NOSIGNAL), 5);
  EXPECT_EQ(kernel->recv(left, data, sizeof data, MSG_PEEK), 5);
  EXPECT_EQ(kernel->recv(left, data, 2, 0), 2);
  EXPECT_EQ(kernel->recv(left, data, sizeof data, 0), 3);
  EXPECT_EQ(std::string(data, 3), "llo");
  EXPECT_EQ(kernel->recv(-1, data, sizeof data, 0), -EBADF);
  EXPECT_EQ(kernel->send(-1, data, sizeof data, 0), -EBADF);
}

TEST_P(DirectCalls, SendSeveralPartsAsOneStream) {
  std::array<iovec, 2> parts{{{const_cast<char*>("one "), 4}, {const_cast<char*>("two"), 3}}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  EXPECT_EQ(kernel->sendmsg(left, &message, MSG_NOSIGNAL), 7);
  EXPECT_EQ(kernel->recv(right, data, sizeof data, 0), 7);
  EXPECT_STREQ(data, "one two");
}

TEST_P(DirectCalls, SayWouldBlockWhenTheOtherSideHasEnoughUnread) {
  const std::string much(100'000, 'x');
  std::int64_t total = 0;
  std::int64_t result = 0;
  while ((result = kernel->send(left, much.data(), much.size(), MSG_NOSIGNAL)) > 0) total += result;
  EXPECT_EQ(result, -EAGAIN);
  EXPECT_GT(total, 0);
}

TEST_P(DirectCalls, GiveTheEndOfTheStreamAfterAShutdown) {
  kernel->send(right, "x", 1, 0);
  EXPECT_EQ(kernel->shutdown(right, SHUT_WR), 0);
  EXPECT_EQ(kernel->recv(left, data, sizeof data, 0), 1);
  EXPECT_EQ(kernel->recv(left, data, sizeof data, 0), 0);
  EXPECT_EQ(kernel->send(left, "y", 1, 0), 1) << "the other direction is open";
  EXPECT_EQ(kernel->send(right, "z", 1, MSG_NOSIGNAL), -EPIPE);
}

TEST_P(DirectCalls, ReportAResetWhenThePeerLeftBytesUnread) {
  kernel->send(left, "unread", 6, 0);
  EXPECT_EQ(kernel->close(right), 0);
  EXPECT_EQ(kernel->recv(left, data, sizeof data, 0), -ECONNRESET);
  EXPECT_EQ(kernel->recv(left, data, sizeof data, 0), 0);
  EXPECT_EQ(kernel->close(right), -EBADF);
}

TEST_P(DirectCalls, SayEinvalOrBadFileWhereThereIsNothingToAccept) {
  EXPECT_LT(kernel->accept(left, nullptr, nullptr, 0), 0);
  EXPECT_EQ(kernel->accept(-1, nullptr, nullptr, 0), -EBADF);
}

TEST(RealKernel, RingsADoorbellWithoutChangingErrno) {
  const int doorbell = real_kernel().make_doorbell();
  ASSERT_GE(doorbell, 0);
  EXPECT_EQ(::fcntl(doorbell, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  pollfd readable{doorbell, POLLIN, 0};
  EXPECT_EQ(::poll(&readable, 1, 0), 0);
  errno = 4711;
  EXPECT_EQ(real_kernel().ring_doorbell(doorbell), 0);
  EXPECT_EQ(real_kernel().ring_doorbell(-1), -EBADF);
  EXPECT_EQ(errno, 4711) << "a signal handler may ring it";
  EXPECT_EQ(::poll(&readable, 1, 0), 1);
  EXPECT_EQ(real_kernel().close(doorbell), 0);
}

bool is_mapped(const void* address) {
  constexpr std::uintptr_t page = 4096;
  auto* start = reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(address) & ~(page - 1));
  unsigned char resident = 0;
  return ::mincore(start, page, &resident) == 0;
}

TEST(RealKernel, KeepsTheMemoryOfARingFromAForkedChild) {
  io_uring_params params{};
  detail::RingMemory memory;
  ASSERT_EQ(real_kernel().ring_setup(4, params, memory), 0);
  EXPECT_TRUE(is_mapped(memory.sq_tail));
  EXPECT_TRUE(is_mapped(memory.sqes));
  // A child that could write there would corrupt its parent's queues.
  const ChildResult child =
      run_in_child([&] { return is_mapped(memory.sq_tail) || is_mapped(memory.sqes) ? 1 : 0; });
  EXPECT_EQ(child.exit_code, 0);
  EXPECT_EQ(::fcntl(memory.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  real_kernel().ring_exit(memory);
}

TEST(RealKernel, LeavesNothingBehindWhenARingCannotBeMade) {
  io_uring_params params{};
  params.flags = ~0u;
  detail::RingMemory memory;
  EXPECT_EQ(real_kernel().ring_setup(4, params, memory), -EINVAL);
  EXPECT_EQ(memory.fd, -1);
  EXPECT_EQ(memory.owner, nullptr);
}

// --- the simulated kernel ---------------------------------------------------------------------

TEST(SimKernel, CapsEveryTransferWhereATestAsksForIt) {
  SimKernel kernel;
  const auto [left, right] = kernel.make_stream_pair();
  kernel.limits.transfer_bytes = 3;
  char data[16];
  EXPECT_EQ(kernel.send(left, "0123456789", 10, 0), 3);
  EXPECT_EQ(kernel.send(left, "3456789", 7, 0), 3);
  kernel.limits.transfer_bytes = 2;
  EXPECT_EQ(kernel.recv(right, data, sizeof data, 0), 2);
}

TEST(SimKernel, RunsOutOfDescriptorsWhereATestAsksForIt) {
  SimKernel kernel;
  kernel.limits.descriptors = 2;
  EXPECT_GE(kernel.make_doorbell(), 10000);
  EXPECT_GE(kernel.make_doorbell(), 10000);
  EXPECT_EQ(kernel.make_doorbell(), -EMFILE);
  EXPECT_EQ(kernel.open_descriptors(), 2u);
}

TEST(SimKernel, GivesAPortToOneListenerAtATime) {
  SimKernel kernel;
  const int first = kernel.make_listener(80);
  EXPECT_GE(first, 0);
  EXPECT_EQ(kernel.make_listener(80), -EADDRINUSE);
  kernel.close(first);
  EXPECT_GE(kernel.make_listener(80), 0);
}

TEST(SimKernel, AbortsAWaitThatNothingCanEnd) {
  const ChildResult child = run_in_child([] {
    SimKernel kernel;
    io_uring_params params{};
    params.cq_entries = 8;
    detail::RingMemory memory;
    kernel.ring_setup(4, params, memory);
    return kernel.ring_enter(memory.fd, 0, 1, IORING_ENTER_GETEVENTS, nullptr);
  });
  EXPECT_EQ(child.signal, SIGABRT);
  EXPECT_NE(child.output.find("simulated kernel: a wait without end"), std::string::npos)
      << child.output;
}

TEST(SimKernel, DoesWhatIsDueInTheOrderOfTimeAndOfAsking) {
  SimKernel kernel;
  io_uring_params params{};
  params.cq_entries = 8;
  detail::RingMemory memory;
  ASSERT_EQ(kernel.ring_setup(4, params, memory), 0);
  std::string order;
  kernel.at(20, [&] { order += 'c'; });
  kernel.at(10, [&] {
    order += 'a';
    kernel.at(10, [&] { order += 'x'; });
  });
  kernel.at(10, [&] { order += 'b'; });
  kernel.at(31, [&] { order += '!'; });
  const __kernel_timespec timeout{0, 30};
  EXPECT_EQ(kernel.ring_enter(memory.fd, 0, 1, IORING_ENTER_GETEVENTS, &timeout), -ETIME);
  EXPECT_EQ(order, "abxc");
  EXPECT_EQ(kernel.now(), 30);
  kernel.ring_exit(memory);
}

}  // namespace
}  // namespace rota::testing_support
