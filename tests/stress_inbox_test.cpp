/// The inbox, and sleeping and waking, under many threads: runtime/README.md, section 4.
///
/// Under ThreadSanitizer a release or acquire that is missing in push() or take_all() is a reported
/// race on `payload`; a missing re-check before sleep, or a park that is no read-modify-write, is a
/// hang that the watchdog ends.
#include <rota/detail/loop_core.hpp>

#include "support/no_kernel.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <random>
#include <semaphore>
#include <string_view>
#include <thread>
#include <type_traits>
#include <vector>

namespace rota::detail {
namespace {

std::size_t rounds(std::size_t normally) {
  const char* stress = std::getenv("ROTA_STRESS");
  return stress != nullptr && std::string_view(stress) == "1" ? 20 * normally : normally;
}

using Clock = std::chrono::steady_clock;

/// Each hand-over waits for another thread. On a machine whose CPUs are all busy with something
/// else that is a time slice each, and thirty thousand of them are more than a minute: then fewer
/// must do, but for a long run.
Clock::time_point end_of_rounds() {
  return rounds(1) > 1 ? Clock::time_point::max() : Clock::now() + std::chrono::seconds(10);
}

struct Message : Runnable {
  Message() : Runnable([](Runnable&, bool) noexcept {}) {}
  std::size_t producer = 0;
  std::size_t payload = 0;  ///< Plain: published by the push alone.
};

/// Tells its pusher when it has been taken and may be pushed again.
struct Returning : Runnable {
  Returning()
      : Runnable([](Runnable& self, bool) noexcept {
          // release: pairs with the acquire of the pusher.
          static_cast<Returning&>(self).back.store(true, std::memory_order_release);
        }) {}
  void await_return() const {
    while (!back.load(std::memory_order_acquire)) std::this_thread::yield();
  }
  atomic<bool> back{true};
  bool last = false;  ///< Plain: published by the push, as a payload.
};

static_assert(std::is_same_v<atomic<int>, std::atomic<int>>, "nothing stands in for it here");

/// A doorbell without a kernel: what a loop would sleep on.
class DoorbellOnly final : public testing_support::NoKernel {
 public:
  int close(int) noexcept override { return 0; }
  int make_doorbell() noexcept override { return 0; }
  int ring_doorbell(int) noexcept override {
    rings_.fetch_add(1, std::memory_order_relaxed);
    bell_.release();
    return 0;
  }

  void sleep() { bell_.acquire(); }
  std::size_t rings() const { return rings_.load(std::memory_order_relaxed); }

 private:
  std::counting_semaphore<> bell_{0};
  atomic<std::size_t> rings_{0};
};

TEST(StressInbox, EveryMessageArrivesOnceAndInItsProducersOrder) {
  constexpr std::size_t producers = 4;
  const std::size_t each = rounds(20000);
  Inbox inbox;
  std::vector<std::unique_ptr<Message[]>> messages;
  for (std::size_t producer = 0; producer < producers; ++producer) {
    messages.push_back(std::make_unique<Message[]>(each));
  }
  std::vector<std::jthread> threads;
  for (std::size_t producer = 0; producer < producers; ++producer) {
    threads.emplace_back([&inbox, &messages, producer, each] {
      for (std::size_t number = 0; number < each; ++number) {
        Message& message = messages[producer][number];
        message.producer = producer;
        message.payload = number;
        ASSERT_TRUE(inbox.push(message));
      }
    });
  }
  std::vector<std::size_t> next(producers, 0);
  for (std::size_t taken = 0; taken < producers * each;) {
    for (Runnable* node = inbox.take_all(); node != nullptr; node = node->next, ++taken) {
      const Message& message = static_cast<Message&>(*node);
      ASSERT_EQ(message.payload, next[message.producer]++);
    }
  }
  EXPECT_TRUE(inbox.empty());
}

TEST(StressInbox, AfterCloseEveryMessageIsEitherTakenOrStillItsPushers) {
  for (std::size_t round = 0; round < rounds(300); ++round) {
    constexpr std::size_t producers = 3;
    constexpr std::size_t each = 50;
    Inbox inbox;
    std::size_t made_before_close = 0;  // plain: what a pusher that is turned away must see
    std::vector<std::vector<Message>> messages(producers);
    std::vector<std::size_t> refused(producers, 0);
    std::size_t taken = 0;
    {
      std::vector<std::jthread> threads;
      for (std::size_t producer = 0; producer < producers; ++producer) {
        messages[producer].resize(each);
        threads.emplace_back([&, producer] {
          for (Message& message : messages[producer]) {
            if (!inbox.push(message)) {
              ++refused[producer];
              EXPECT_EQ(made_before_close, 1u);
            }
          }
        });
      }
      for (Runnable* node = inbox.take_all(); node != nullptr; node = node->next) ++taken;
      made_before_close = 1;
      for (Runnable* node = inbox.close(); node != nullptr; node = node->next) ++taken;
    }
    for (const std::size_t count : refused) taken += count;
    ASSERT_EQ(taken, producers * each);
  }
}

/// One producer, who waits for each message to be taken: a single lost wake hangs. Two, who overlap
/// in all ways.
class StressWake : public testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(Producers, StressWake, testing::Values(1, 2));

TEST_P(StressWake, NoMessageIsLeftBehindASleeperAndASleepCostsAtMostOneDoorbell) {
  const std::size_t producers = GetParam();
  DoorbellOnly kernel;
  LoopCore* const core = make_loop_core(kernel, nullptr);
  const std::size_t each = rounds(30000);
  std::size_t announced =
      0;  // also those that the re-check calls off: a bell may have rung by then
  std::size_t taken = 0;
  std::minstd_rand random(1);
  {
    std::vector<std::jthread> threads;
    for (std::size_t producer = 0; producer < producers; ++producer) {
      threads.emplace_back([core, each, end = end_of_rounds()] {
        Returning node;
        for (std::size_t number = 1; !node.last; ++number) {
          node.await_return();
          node.back.store(false, std::memory_order_relaxed);
          node.last = number == each || (number % 64 == 0 && Clock::now() > end);
          ASSERT_TRUE(core->post(node));
        }
        node.await_return();
      });
    }
    for (std::size_t ended = 0; ended < producers;) {
      for (Runnable* node = core->inbox().take_all(); node != nullptr; ++taken) {
        Runnable& message = *std::exchange(node, node->next);
        if (static_cast<Returning&>(message).last) ++ended;  // before it is its producer's again
        message.run(message, false);
      }
      // The window in which a wake can be lost is a few nanoseconds wide: let pushes fall on all
      // sides of it.
      for (unsigned pause = random() % 128; pause > 0; --pause) __builtin_ia32_pause();
      if (ended == producers) break;
      ++announced;
      if (core->announce_sleep()) {
        kernel.sleep();
        core->awake();
      }
    }
  }
  EXPECT_GE(taken, producers * 64);
  EXPECT_LE(kernel.rings(), announced);
  EXPECT_EQ(core->inbox().close(), nullptr);
  core->fold_references();
}

}  // namespace
}  // namespace rota::detail
