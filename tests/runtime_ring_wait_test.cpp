// How a loop sleeps in its ring and what ends the sleep.
#include "support/ring_fixture.hpp"

#include <atomic>
#include <csignal>
#include <cstdio>
#include <pthread.h>
#include <string>
#include <thread>
#include <unistd.h>

namespace rota::testing_support {
namespace {

class RingWait : public RingTest {};
ROTA_OVER_BOTH_KERNELS(RingWait);

TEST_P(RingWait, EndsAWaitAtItsTimeout) {
  make_ring();
  start_poll(make_doorbell());
  const std::int64_t start = kernel.now();
  ring().wait(5 * millisecond);
  EXPECT_GE(kernel.now() - start, 5 * millisecond);
  EXPECT_EQ(ring().reap(), 0u);
  EXPECT_EQ(ring().counters().waits, 1u);
}

TEST_P(RingWait, SubmitsAndWaitsByOneSystemCall) {
  make_ring();
  start_nop();
  ring().wait(-1);
  EXPECT_EQ(kernel.enters, 1u);
  EXPECT_EQ(ring().reap(), 1u);
}

TEST_P(RingWait, DoesNotSleepOverCompletionsThatAreThere) {
  make_ring();
  TestOperation& nop = start_nop();
  ring().enter_nowait();
  ring().wait(-1);
  EXPECT_EQ(ring().counters().waits, 0u);
  ring().reap();
  EXPECT_EQ(nop.settled, 1);
}

TEST_P(RingWait, DoesNotSleepWhenTheTimeoutIsZero) {
  make_ring();
  start_poll(make_doorbell());
  ring().wait(0);
  EXPECT_EQ(ring().counters().waits, 0u);
}

// Waits until `thread` sleeps in the kernel, as /proc says.
void wait_until_asleep(pid_t thread) {
  const std::string path = "/proc/self/task/" + std::to_string(thread) + "/wchan";
  for (char name[64] = {}; std::string(name).find("cqring_wait") == std::string::npos;) {
    std::FILE* file = std::fopen(path.c_str(), "r");
    if (file == nullptr) return;
    name[std::fread(name, 1, sizeof name - 1, file)] = '\0';
    std::fclose(file);
    std::this_thread::yield();
  }
}

TEST_P(RingWait, IsWokenFromItsSleepByTheDoorbell) {
  make_ring();
  const int doorbell = make_doorbell();
  TestOperation& poll = start_poll(doorbell, true);
  step();
  std::thread other;
  if (over_real_kernel())
    other = std::thread([this, doorbell, owner = ::gettid()] {
      wait_until_asleep(owner);
      kernel.ring_doorbell(doorbell);
    });
  else
    simulated.at(7 * millisecond, [this, doorbell] { kernel.ring_doorbell(doorbell); });
  ring().wait(-1);
  ring().reap();
  if (other.joinable()) other.join();
  EXPECT_EQ(poll.results.size(), 1u);
  if (!over_real_kernel()) {
    EXPECT_EQ(kernel.now(), 7 * millisecond);
  }
}

class RealRingWait : public RingTest {};
INSTANTIATE_TEST_SUITE_P(Over, RealRingWait, testing::Values("real"), kernel_name);

TEST_P(RealRingWait, ComesBackFromASignal) {
  make_ring();
  TestOperation& poll = start_poll(make_doorbell());
  static std::atomic<int> signals;
  signals = 0;
  struct sigaction action{};
  action.sa_handler = [](int) { ++signals; };
  action.sa_flags = SA_RESTART;  // what the C library's signal() sets: it must not make us sleep on
  ::sigaction(SIGUSR2, &action, nullptr);
  std::thread other([owner = ::pthread_self(), thread = ::gettid()] {
    wait_until_asleep(thread);
    ::pthread_kill(owner, SIGUSR2);
  });
  ring().wait(-1);
  other.join();
  EXPECT_EQ(signals, 1);
  EXPECT_EQ(ring().reap(), 0u);
  EXPECT_TRUE(poll.in_flight());
}

}  // namespace
}  // namespace rota::testing_support
