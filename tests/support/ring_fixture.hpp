/// ring_fixture.hpp: a ring over the real or the simulated kernel, for tests that must hold over
/// both.
#pragma once

#include "ring.hpp"
#include "support/kernel_proxy.hpp"
#include "support/sim_kernel.hpp"

#include <gtest/gtest.h>
#include <liburing.h>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <netinet/in.h>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <utility>
#include <vector>

namespace rota::testing_support {

/// Writes down what happens to it.
class TestOperation final : public detail::Operation {
 public:
  struct Result {
    int value;
    bool more;
    std::uint32_t flags;
  };

  explicit TestOperation(const char* name) : Operation(name) {}
  ~TestOperation() = default;

  std::vector<Result> results;
  int settled = 0;
  std::function<void(const Result&)> when_result;
  std::function<void()> when_settled;

 private:
  void on_result(int result, std::uint32_t flags) noexcept override {
    Operation::on_result(result, flags);
    results.push_back({result, (flags & IORING_CQE_F_MORE) != 0, flags});
    if (when_result) when_result(results.back());
  }
  void on_settled() noexcept override {
    ++settled;
    if (when_settled) when_settled();
  }
};

/// The parameter says which kernel: "real" or "simulated".
class RingTest : public testing::TestWithParam<const char*> {
 protected:
  static constexpr std::int64_t millisecond = 1'000'000;
  static constexpr std::int64_t second = 1'000'000'000;

  // What is still in flight ends here, before the operations do: a failed assertion leaves a test
  // in its middle.
  ~RingTest() override {
    if (ring_) {
      kernel.enter_errors.clear();
      kernel.cancels_to_miss = 0;
      ring_->for_each_in_flight([this](detail::Operation& operation) {
        auto& ours = dynamic_cast<TestOperation&>(operation);
        ours.when_result = nullptr;  // the test's variables are gone
        ours.when_settled = nullptr;
        ring_->cancel(operation, false);
      });
      drain();
      ring_.reset();
    }
    for (const int fd : descriptors_) kernel.close(fd);
  }

  bool over_real_kernel() const { return std::string(GetParam()) == "real"; }
  detail::Ring& ring() { return *ring_; }

  void make_ring(const detail::RingOptions& options = {}) {
    ring_.reset();
    ring_ = std::make_unique<detail::Ring>(kernel, options);
    ring_->enable();
  }
  static detail::RingOptions small(unsigned sq_entries, unsigned cq_entries) {
    detail::RingOptions options;
    options.sq_entries = sq_entries;
    options.cq_entries = cq_entries;
    return options;
  }

  TestOperation& operation(const char* name = "test") { return operations_.emplace_back(name); }
  /// Starts a NOP, which completes as soon as it is submitted.
  TestOperation& start_nop() {
    TestOperation& nop = operation("nop");
    start_nop(nop);
    return nop;
  }
  void start_nop(TestOperation& nop) { io_uring_prep_nop(&ring().prepare(nop, -1)); }
  /// Starts to watch for `fd` to become readable.
  TestOperation& start_poll(int fd, bool multishot = false) {
    TestOperation& poll = operation("poll");
    start_poll(poll, fd, multishot);
    return poll;
  }
  void start_poll(TestOperation& poll, int fd, bool multishot = false) {
    io_uring_sqe& sqe = ring().prepare(poll, fd);
    if (multishot)
      io_uring_prep_poll_multishot(&sqe, fd, POLLIN);
    else
      io_uring_prep_poll_add(&sqe, fd, POLLIN);
  }

  /// One turn of a loop that has other things to do.
  unsigned step() {
    if (ring().wants_enter()) ring().enter_nowait();
    return ring().reap();
  }
  /// Turns until `done` holds or nothing happens for a second. False: the latter.
  bool run_until(const std::function<bool()>& done) {
    constexpr int most_turns = 10'000;
    for (int turn = 0; turn < most_turns && !done(); ++turn) {
      const std::int64_t start = kernel.now();
      ring().wait(second);
      if (ring().reap() == 0 && kernel.now() - start >= second) return done();
    }
    return done();
  }
  bool drain() {
    return run_until([this] { return ring().in_flight() == 0; });
  }

  int track(int fd) {
    EXPECT_GE(fd, 0);
    descriptors_.push_back(fd);
    return fd;
  }
  int make_doorbell() { return track(kernel.make_doorbell()); }
  std::pair<int, int> make_streams() {
    int fds[2] = {-1, -1};
    if (over_real_kernel()) {
      EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    } else {
      std::tie(fds[0], fds[1]) = simulated.make_stream_pair();
    }
    return {track(fds[0]), track(fds[1])};
  }
  int make_socket() {
    return track(over_real_kernel() ? ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)
                                    : simulated.make_socket());
  }
  int make_listener(sockaddr_in& address) {
    address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (!over_real_kernel()) {
      address.sin_port = htons(80);
      return track(simulated.make_listener(80));
    }
    const int fd = make_socket();
    socklen_t bytes = sizeof address;
    EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), bytes), 0);
    EXPECT_EQ(::listen(fd, 16), 0);
    EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &bytes), 0);
    return fd;
  }

  SimKernel simulated;
  KernelProxy kernel{over_real_kernel() ? detail::real_kernel() : simulated};

 private:
  std::deque<TestOperation> operations_;
  std::vector<int> descriptors_;
  std::unique_ptr<detail::Ring> ring_;
};

inline std::string kernel_name(const testing::TestParamInfo<const char*>& info) {
  return info.param;
}
#define ROTA_OVER_BOTH_KERNELS(suite) \
  INSTANTIATE_TEST_SUITE_P(Over, suite, testing::Values("real", "simulated"), kernel_name)

}  // namespace rota::testing_support
