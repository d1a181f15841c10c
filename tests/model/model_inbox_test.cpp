/// The inbox: many push, the owner takes all; then it closes.
#include <rota/detail/inbox.hpp>

#include "model/expect.hpp"

#include <gtest/gtest.h>

#include <array>
#include <type_traits>

namespace rota::model {
namespace {

using rota::detail::Inbox;
using rota::detail::Runnable;

static_assert(std::is_same_v<rota::detail::atomic<int>, atomic<int>>, "see stand_in/");

struct Message : Runnable {
  Message() : Runnable([](Runnable&, bool) noexcept {}) {}
  plain<int> payload;  ///< Published by the push alone.
};

/// What an owner has taken, by the payloads.
class Taken {
 public:
  /// Messages of one producer carry numbers of one decade, in the order they were pushed.
  void add(Runnable* node) {
    while (node != nullptr) {
      const auto& message = static_cast<Message&>(*std::exchange(node, node->next));
      const auto number = static_cast<std::size_t>(message.payload.read());
      check(number % 10 == ++next_.at(number / 10), "out of order, twice, or not all");
      ++count_;
    }
  }
  std::size_t count() const noexcept { return count_; }

 private:
  std::array<std::size_t, 3> next_{};
  std::size_t count_ = 0;
};

TEST(ModelInbox, EveryMessageArrivesOnceAndInItsProducersOrder) {
  EXPECT_TRUE(holds([] {
    Inbox inbox;
    std::array<Message, 3> messages;
    Taken taken;
    const auto push = [&](std::size_t index, int number) {
      messages.at(index).payload.write(number);
      check(inbox.push(messages.at(index)));
    };
    in_parallel({[&] {
                   push(0, 1);
                   push(1, 2);
                 },
                 [&] { push(2, 11); },
                 [&] {
                   while (taken.count() < messages.size()) {
                     wait_until([&] { return !inbox.looks_empty(); });
                     taken.add(inbox.take_all());
                   }
                 }});
    check(inbox.empty());
  }));
}

TEST(ModelInbox, ANodeThatWasTakenMayBePushedAgain) {
  EXPECT_TRUE(holds([] {
    Inbox inbox;
    Message message;
    atomic<bool> back{true};
    in_parallel({[&] {
                   for (int number = 1; number <= 2; ++number) {
                     wait_until([&] { return back.load(std::memory_order_acquire); });
                     back.store(false, std::memory_order_relaxed);
                     message.payload.write(number);
                     check(inbox.push(message));
                   }
                 },
                 [&] {
                   for (int number = 1; number <= 2; ++number) {
                     wait_until([&] { return !inbox.looks_empty(); });
                     check(inbox.take_all() == &message);
                     check(message.next == nullptr);
                     check(message.payload.read() == number);
                     back.store(true, std::memory_order_release);
                   }
                 }});
  }));
}

TEST(ModelInbox, AfterCloseEveryMessageIsEitherTakenOrStillItsPushersWhoSeesWhatWasDoneBefore) {
  EXPECT_TRUE(holds([] {
    Inbox inbox;
    std::array<Message, 3> messages;
    Taken taken;
    std::array<std::size_t, 2> refused{};
    plain<bool> ended;  // what the owner does before it closes
    const auto push = [&](std::size_t producer, std::size_t index, int number) {
      messages.at(index).payload.write(number);
      if (inbox.push(messages.at(index))) return;
      check(ended.read());
      check(messages.at(index).payload.read() == number);
      ++refused.at(producer);
    };
    in_parallel({[&] {
                   push(0, 0, 1);
                   push(0, 1, 2);
                 },
                 [&] { push(1, 2, 11); },
                 [&] {
                   taken.add(inbox.take_all());
                   ended.write(true);
                   taken.add(inbox.close());
                 }});
    check(taken.count() + refused[0] + refused[1] == messages.size());
    check(!inbox.push(messages[0]), "closed for ever");
  }));
}

}  // namespace
}  // namespace rota::model
