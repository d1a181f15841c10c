/// Sleeping and waking, the end of the inbox, and the lifetime of what other threads see of a loop:
/// runtime/README.md, sections 4 and 7.
#include <rota/detail/loop_core.hpp>
#include <rota/detail/loop_state.hpp>

#include "model/expect.hpp"
#include "support/no_kernel.hpp"

#include <gtest/gtest.h>

#include <array>

namespace rota::model {
namespace {

using rota::detail::LoopCore;
using rota::detail::LoopState;
using rota::detail::Runnable;

const ThreadLocal running_loop(rota::detail::running_loop);

struct Message : Runnable {
  Message() : Runnable([](Runnable&, bool) noexcept {}) {}
  plain<int> payload;
};

/// A doorbell, and nothing else that a loop could sleep on. It orders nothing between its callers:
/// rota must not lean on what a kernel happens to do.
class Doorbell final : public testing_support::NoKernel {
 public:
  int make_doorbell() noexcept override { return 7; }
  int ring_doorbell(int fd) noexcept override {
    check(fd == 7 && open_.read(), "a doorbell that is closed");
    rings_.fetch_add(1, std::memory_order_relaxed);
    return 0;
  }
  int close(int fd) noexcept override {
    check(fd == 7 && open_.read(), "closed twice");
    open_.write(false);
    return 0;
  }

  /// Owner.
  void sleep() {
    wait_until([this] { return rings_.load(std::memory_order_relaxed) != heard_; });
    ++heard_;
  }
  unsigned rings() const { return rings_.load(std::memory_order_relaxed); }
  bool open() const { return open_.read(); }

 private:
  atomic<unsigned> rings_{0};
  plain<bool> open_{true};
  unsigned heard_ = 0;  // by the owner
};

/// A core, held by the test as by a loop.
class Core : rota::detail::Immovable {
 public:
  Core() : core_(rota::detail::make_loop_core(bell, nullptr)) {}
  ~Core() {
    check(bell.rings() <= announced_, "more than one doorbell for a sleep");
    core_->fold_references();
    check(!bell.open(), "the core outlives its last holder");
  }
  LoopCore* operator->() const noexcept { return core_; }

  void take(Runnable* node) {
    for (; node != nullptr; node = node->next) sum += static_cast<Message&>(*node).payload.read();
  }
  /// What a loop does until the messages amount to `wanted`.
  void run_until(int wanted) {
    while (sum < wanted) {
      if (!core_->inbox().looks_empty()) {
        take(core_->inbox().take_all());
        continue;
      }
      ++announced_;
      if (core_->announce_sleep()) {
        bell.sleep();
        core_->awake();
      }
    }
  }
  /// Any thread: a message that amounts to `value`.
  bool post(Message& message, int value) const {
    message.payload.write(value);
    return core_->post(message);
  }

  Doorbell bell;
  int sum = 0;  ///< Owner.

 private:
  LoopCore* core_;
  unsigned announced_ = 0;  ///< Sleeps, also those that the re-check called off.
};

// --- sleeping and waking ----------------------------------------------------------------------

TEST(ModelLoopCore, NoMessageIsLeftBehindASleeperAndASleepCostsAtMostOneDoorbell) {
  EXPECT_TRUE(holds([] {
    Core core;
    std::array<Message, 2> messages;
    in_parallel({[&] { check(core.post(messages[0], 1)); },
                 [&] { check(core.post(messages[1], 2)); }, [&] { core.run_until(3); }});
  }));
}

TEST(ModelLoopCore, EverySleepOfOneOwnerIsEndedByItsPusher) {
  EXPECT_TRUE(holds([] {
    Core core;
    std::array<Message, 3> messages;
    in_parallel({[&] {
                   for (Message& message : messages) check(core.post(message, 1));
                 },
                 [&] {
                   for (int i = 1; i <= 3; ++i) core.run_until(i);
                 }});
  }));
}

// --- the end of the inbox ---------------------------------------------------------------------

TEST(ModelLoopCore, APostThatComesTooLateIsRefusedAndSeesWhatTheLoopDid) {
  EXPECT_TRUE(holds([] {
    Core core;
    std::array<Message, 2> messages;
    std::array<int, 2> refused{};
    plain<bool> tasks_ended;
    const auto post = [&](std::size_t index) {
      if (core.post(messages.at(index), 1)) return;
      check(tasks_ended.read());
      refused.at(index) = 1;
    };
    in_parallel({[&] { post(0); }, [&] { post(1); },
                 [&] {
                   core.run_until(1);
                   tasks_ended.write(true);
                   core.take(core->inbox().close());
                 }});
    check(core.sum + refused[0] + refused[1] == 2);
  }));
}

// --- lifetime ---------------------------------------------------------------------------------

TEST(ModelLoopCore, TheLastHolderEndsItAndSeesWhatTheOthersDid) {
  EXPECT_TRUE(holds([] {
    Doorbell bell;
    LoopCore* const core = rota::detail::make_loop_core(bell, nullptr);
    std::array<Message, 2> messages;
    for (std::size_t i = 0; i < messages.size(); ++i) core->retain();
    const auto post_and_release = [&](std::size_t index) {
      messages.at(index).payload.write(1);
      (void)core->post(messages.at(index));
      core->release();
    };
    in_parallel({[&] { post_and_release(0); }, [&] { post_and_release(1); },
                 [&] {
                   if (core->announce_sleep()) core->awake();
                   core->inbox().close();
                   core->fold_references();
                 }});
    check(!bell.open(), "nobody has ended it");
  }));
}

struct RunningLoop : LoopState {};

TEST(ModelLoopCore, ReferencesMayCrossBetweenTheOwnersCountAndTheOthers) {
  EXPECT_TRUE(holds([] {
    Doorbell bell;
    RunningLoop loop;
    LoopCore* const core = loop.core = rota::detail::make_loop_core(bell, &loop);
    atomic<bool> handed_over{false};
    atomic<bool> handed_back{false};
    in_parallel({[&] {
                   rota::detail::running_loop = &loop;
                   core->retain();  // for the other thread, in the plain count
                   handed_over.store(true, std::memory_order_release);
                   wait_until([&] { return handed_back.load(std::memory_order_acquire); });
                   core->release();  // of a reference that the other one made
                   rota::detail::running_loop = nullptr;
                   core->fold_references();
                 },
                 [&] {
                   wait_until([&] { return handed_over.load(std::memory_order_acquire); });
                   core->retain();
                   handed_back.store(true, std::memory_order_release);
                   check(core->doorbell() == 7);
                   core->release();
                 }});
    check(!bell.open(), "nobody has ended it");
  }));
}

TEST(ModelLoopCore, BelongsToTheThreadThatRanItFirst) {
  EXPECT_TRUE(holds([] {
    Core core;
    in_parallel({[&] {
                   check(core->at_rest_for_this_thread());
                   core->set_owner();
                   check(core->owned_by_this_thread() && core->at_rest_for_this_thread());
                 },
                 [&] { check(!core->owned_by_this_thread()); }});
    check(!core->at_rest_for_this_thread());
  }));
}

}  // namespace
}  // namespace rota::model
