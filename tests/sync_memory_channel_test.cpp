/// sync_memory_channel_test.cpp: memory channels: how an item gets from one task to another. How
/// they end: sync_memory_channel_close_test.cpp.
///
/// The statements quoted are anyio's and trio's, by their numbers in the catalogue of behaviours;
/// D.. are rota's decisions.

#include <rota/loop.hpp>
#include <rota/memory_channel.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>
#include <rota/timeout.hpp>

#include "support/cancel_matrix.hpp"
#include "support/channel_exchange.hpp"
#include "support/contenders.hpp"
#include "support/observe.hpp"
#include "support/outcome.hpp"
#include "support/test_loop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace rota::testing_support;
using rota::Coro;
using rota::create_memory_channel;
using rota::create_task;
using rota::current_task;
using rota::EndOfChannel;
using rota::LoopOptions;
using rota::MemoryReceiveChannel;
using rota::MemorySendChannel;
using rota::sleep;
using rota::Task;
using rota::unlimited;
using rota::ValueError;
using rota::WouldBlock;
using testing::ElementsAre;
using testing::IsEmpty;

// --- items -------------------------------------------------------------------------------------

// CH01 "Buffer 0 = rendezvous: send completes only with a receiver."
TEST(MemoryChannel, CH01WithoutABufferASenderWaitsForAReceiver) {
  Exchange exchange(0);
  exchange.sender("s", 1);
  EXPECT_EQ(exchange.settle(), "");
  EXPECT_EQ(exchange.in.statistics().tasks_waiting_send, 1u);
  EXPECT_EQ(exchange.in.statistics().current_buffer_used, 0u);
  exchange.receiver("r");
  EXPECT_EQ(exchange.settle(), "r=1 s");
}

TEST(MemoryChannel, CH01AReceiverThatWaitsMakesTheSendComplete) {
  Exchange exchange(0);
  exchange.receiver("r");
  exchange.settle();
  exchange.sender("s", 1);
  EXPECT_EQ(exchange.settle(), "s r=1");
}

TEST(MemoryChannel, CH01ItemsKeepTheirOrderWhateverTheCapacity) {
  for (const std::size_t capacity : {std::size_t{0}, std::size_t{1}, std::size_t{3}, unlimited}) {
    TestLoop loop;
    auto ends = create_memory_channel<int>(capacity);
    loop->create_task([](MemorySendChannel<int> channel) -> Coro<> {
      for (int i = 0; i < 10; ++i) co_await channel.send(i);
    }(std::move(ends.first)));
    const auto items = loop.run([](MemoryReceiveChannel<int> channel) -> Coro<std::vector<int>> {
      std::vector<int> got;
      while (auto item = co_await channel.next()) got.push_back(*item);
      co_return got;
    }(std::move(ends.second)));
    EXPECT_THAT(items, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9)) << "capacity " << capacity;
  }
}

TEST(MemoryChannel, CH01NeitherSuspendsWhenItNeedNotWait) {
  Exchange exchange(1);
  exchange.loop.run([](Exchange& all) -> Coro<> {
    const std::size_t before = all.loop.steps();
    for (int i = 0; i < 1000; ++i) {
      co_await all.in.send(i);
      EXPECT_EQ(co_await all.out.receive(), i);
    }
    EXPECT_EQ(all.loop.steps(), before);
  }(exchange));
}

TEST(MemoryChannel, CH01ItemsMayBeMoveOnly) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    auto [in, out] = create_memory_channel<std::unique_ptr<int>>(1);
    in.send_nowait(std::make_unique<int>(1));
    auto second = create_task(in.send(std::make_unique<int>(2)));
    co_await sleep(0s);
    EXPECT_EQ(*co_await out.receive(), 1);
    EXPECT_EQ(*co_await out.receive(), 2);
    co_await second;
  }());
}

TEST(MemoryChannel, CH01ItemsMayBeMadeInTheCallAndReceivedInALoop) {
  struct Message {
    int key;
    std::string text;
  };
  TestLoop loop;
  loop.run([]() -> Coro<> {
    auto [in, out] = create_memory_channel<Message>(0);
    auto sending = create_task([](MemorySendChannel<Message> channel) -> Coro<> {
      for (int key = 0; key < 3; ++key) co_await channel.emplace(key, std::string(40, 'x'));
    }(std::move(in)));
    int keys = 0;
    while (auto message = co_await out.next()) {
      EXPECT_EQ(message->key, keys++);
      EXPECT_EQ(message->text, std::string(40, 'x'));
    }
    EXPECT_EQ(keys, 3);
    co_await sending;
  }());
}

TEST(MemoryChannel, D5AfterManySendsThatNeedNotWaitTheTaskGivesWayOnce) {
  TestLoop loop{LoopOptions()};
  auto ends = create_memory_channel<int>(unlimited);
  auto sending = [&ends]() -> Coro<> { co_await ends.first.send(1); };
  EXPECT_THAT(loop.run(count_by_step(loop, 300, sending)), ElementsAre(127, 128, 45));
  auto receiving = [&ends]() -> Coro<> { co_await ends.second.receive(); };
  EXPECT_THAT(loop.run(count_by_step(loop, 300, receiving)), ElementsAre(127, 128, 45));
}

TEST(MemoryChannel, D5WhoGivesWayWaitsIfTheItemWasTakenMeanwhile) {
  TestLoop loop{LoopOptions()};
  Order order;
  auto ends = create_memory_channel<int>(1);
  ends.first.send_nowait(1);
  loop->create_task([](MemoryReceiveChannel<int>& out, Order& text) -> Coro<> {
    co_await spend_the_budget();
    create_task(receive(out, text, "other"));
    co_await receive(out, text, "polite");
  }(ends.second, order));
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "other=1");
  loop.call([&] { ends.first.send_nowait(2); });
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "other=1 polite=2");
}

// CH06 "nowait forms -> WouldBlock."
TEST(MemoryChannel, CH06NowaitFormsDoItNowOrNotAtAll) {
  Exchange none(0);
  none.loop.call([&] {
    EXPECT_THROW(none.in.send_nowait(1), WouldBlock);
    EXPECT_THROW(none.out.receive_nowait(), WouldBlock);
  });
  Exchange two(2);
  two.loop.call([&] {
    two.in.send_nowait(1);
    two.in.send_nowait(2);
    EXPECT_THROW(two.in.send_nowait(3), WouldBlock);
    EXPECT_EQ(two.out.receive_nowait(), 1);
    EXPECT_EQ(two.out.receive_nowait(), 2);
    EXPECT_THROW(two.out.receive_nowait(), WouldBlock);
  });
}

TEST(MemoryChannel, CH06NowaitFormsServeWhoWaits) {
  Exchange exchange(0);
  exchange.receiver("r");
  exchange.settle();
  EXPECT_EQ(exchange.call([&] { exchange.in.send_nowait(1); }), "r=1");
  exchange.sender("s", 2);
  exchange.settle();
  EXPECT_EQ(exchange.call([&] { EXPECT_EQ(exchange.out.receive_nowait(), 2); }), "r=1 s");
}

// CH08 "An item sent to a waiting receiver **belongs to it**: nowait by others gives WouldBlock;
// same for a freed slot and waiting senders."
TEST(MemoryChannel, CH08AnItemSentToAWaitingReceiverIsIts) {
  for (const int capacity : {0, 1}) {
    Exchange exchange(capacity);
    exchange.receiver("r");
    exchange.settle();
    const std::string& text = exchange.call([&] {
      exchange.in.send_nowait(1);
      EXPECT_THROW(exchange.out.receive_nowait(), WouldBlock);
      exchange.receiver("newcomer");
    });
    EXPECT_EQ(text, "r=1");
    EXPECT_EQ(exchange.call([&] { exchange.in.send_nowait(2); }), "r=1 newcomer=2");
  }
}

TEST(MemoryChannel, CH08AFreedPlaceIsTheWaitingSenders) {
  Exchange exchange(1);
  exchange.call([&] { exchange.in.send_nowait(1); });
  exchange.sender("s", 2);
  exchange.settle();
  const std::string& text = exchange.call([&] {
    EXPECT_EQ(exchange.out.receive_nowait(), 1);
    EXPECT_EQ(exchange.in.statistics().tasks_waiting_send, 0u);
    EXPECT_THROW(exchange.in.send_nowait(3), WouldBlock);
  });
  EXPECT_EQ(text, "s");
  EXPECT_THAT(exchange.drain(), ElementsAre(2));
}

TEST(MemoryChannel, CH08WaitersAreServedInTheOrderTheyCame) {
  Exchange exchange(0);
  for (const char* name : {"a", "b", "c"}) exchange.receiver(name);
  exchange.settle();
  const std::string& text = exchange.call([&] {
    exchange.in.send_nowait(1);
    exchange.in.send_nowait(2);
  });
  EXPECT_EQ(text, "a=1 b=2");
  EXPECT_EQ(exchange.out.statistics().tasks_waiting_receive, 1u);
  for (int i = 3; i < 6; ++i) exchange.sender("s" + std::to_string(i), i);
  EXPECT_EQ(exchange.settle(), "a=1 b=2 s3 c=3");
  EXPECT_THAT(exchange.drain(), ElementsAre(4, 5));
}

// CH09 "Multiple producers/consumers each item exactly once."
TEST(MemoryChannel, CH09EachItemIsReceivedOnce) {
  for (const int capacity : {0, 1, 7}) {
    TestLoop loop;
    auto ends = create_memory_channel<int>(capacity);
    for (int producer = 0; producer < 5; ++producer) {
      loop->create_task([](MemorySendChannel<int> in, int first) -> Coro<> {
        for (int i = 0; i < 20; ++i) {
          co_await in.send(first + i);
          if (i % 3 == 0) co_await sleep(1s);
        }
      }(ends.first.clone(), producer * 20));
    }
    ends.first.close();
    std::vector<int> seen(100);
    for (int consumer = 0; consumer < 3; ++consumer) {
      loop->create_task([](MemoryReceiveChannel<int> out, std::vector<int>& counts) -> Coro<> {
        while (auto item = co_await out.next()) {
          ++counts[static_cast<std::size_t>(*item)];
          if (*item % 7 == 0) co_await sleep(1s);
        }
      }(ends.second.clone(), seen));
    }
    loop.advance(1h);
    EXPECT_THAT(seen, testing::Each(1)) << "capacity " << capacity;
    EXPECT_EQ(ends.second.statistics().open_receive_channels, 1u);
  }
}

// CH10 "Infinite capacity; negative/NaN size rejected; statistics."
TEST(MemoryChannel, CH10TheCapacityMayBeUnlimitedAndIsNotNegative) {
  auto ends = create_memory_channel<int>(unlimited);
  for (int i = 0; i < 1000; ++i) ends.first.send_nowait(i);
  EXPECT_EQ(ends.first.statistics().current_buffer_used, 1000u);
  EXPECT_EQ(ends.first.statistics().max_buffer_size, unlimited);
  EXPECT_THROW(create_memory_channel<int>(-1), ValueError);
}

TEST(MemoryChannel, CH10StatisticsSayHowItIs) {
  Exchange exchange(2);
  auto in = exchange.in.clone();
  exchange.call([&] { exchange.in.send_nowait(1); });
  auto seen = exchange.out.statistics();
  EXPECT_EQ(seen.current_buffer_used, 1u);
  EXPECT_EQ(seen.max_buffer_size, 2u);
  EXPECT_EQ(seen.open_send_channels, 2u);
  EXPECT_EQ(seen.open_receive_channels, 1u);
  EXPECT_EQ(seen.tasks_waiting_send, 0u);
  EXPECT_EQ(seen.tasks_waiting_receive, 0u);
  for (const char* name : {"a", "b", "c"}) exchange.sender(name, 2);
  exchange.settle();
  EXPECT_EQ(exchange.in.statistics().tasks_waiting_send, 2u);
  exchange.drain();
  for (const char* name : {"a", "b", "c"}) exchange.receiver(name);
  exchange.settle();
  seen = in.statistics();
  EXPECT_EQ(seen.current_buffer_used, 0u);
  EXPECT_EQ(seen.tasks_waiting_send, 0u);
  EXPECT_EQ(seen.tasks_waiting_receive, 3u);
}

// --- cancelling --------------------------------------------------------------------------------

// CH07 "An item is never handed to a receiver with a pending cancel; cancelled send withdraws its
// item."
TEST(MemoryChannel, CH07ACancelledReceiverGetsNothing) {
  Exchange exchange(1);
  exchange.receiver("a");
  exchange.receiver("b");
  exchange.settle();
  const std::string& text = exchange.call([&] {
    exchange.tasks[0].cancel("why");
    exchange.in.send_nowait(1);
  });
  EXPECT_EQ(text, "a:cancelled b=1");
  EXPECT_EQ(message_of(exchange.tasks[0]), "why");
}

TEST(MemoryChannel, CH07WithoutAnotherReceiverTheItemStays) {
  Exchange exchange(1);
  exchange.receiver("a");
  exchange.settle();
  const std::string& text = exchange.call([&] {
    exchange.tasks[0].cancel();
    exchange.in.send_nowait(1);
  });
  EXPECT_EQ(text, "a:cancelled");
  EXPECT_THAT(exchange.drain(), ElementsAre(1));
}

TEST(MemoryChannel, CH07ACancelledSenderTakesItsItemAlong) {
  Exchange exchange(0);
  exchange.sender("a", 1);
  exchange.sender("b", 2);
  exchange.settle();
  EXPECT_EQ(exchange.call([&] { exchange.tasks[0].cancel(); }), "a:cancelled");
  exchange.receiver("r");
  EXPECT_EQ(exchange.settle(), "a:cancelled r=2 b");
  EXPECT_THAT(exchange.drain(), IsEmpty());
}

TEST(MemoryChannel, CH07ATaskThatIsCancelledBeforeItWaitsDoesNotWait) {
  Exchange exchange(0);
  exchange.loop->create_task([](Exchange& all) -> Coro<> {
    current_task().cancel();
    co_await send(all.in, all.order, "s", 1);
  }(exchange));
  exchange.loop->create_task([](Exchange& all) -> Coro<> {
    current_task().cancel();
    co_await receive(all.out, all.order, "r");
  }(exchange));
  EXPECT_EQ(exchange.settle(), "s:cancelled r:cancelled");
  EXPECT_EQ(exchange.in.statistics().tasks_waiting_send, 0u);
  EXPECT_EQ(exchange.in.statistics().tasks_waiting_receive, 0u);
}

TEST(MemoryChannel, CH07ACancelTakenBackBeforeTheWaiterRunsStillEndsItsWait) {
  Exchange exchange(0);
  exchange.receiver("r");
  exchange.settle();
  exchange.call([&] {
    exchange.tasks[0].cancel();
    exchange.tasks[0].uncancel();
  });
  EXPECT_EQ(exchange.order.text(), "r:cancelled");
}

TEST(MemoryChannel, CH07ATimeoutLosesNothing) {
  Exchange exchange(1);
  exchange.loop.run([](Exchange& all) -> Coro<> {
    EXPECT_EQ(co_await word_of(rota::timeout(3s, all.out.receive())), ":timeout");
    all.in.send_nowait(1);
    EXPECT_EQ(co_await word_of(rota::timeout(3s, all.in.send(2))), ":timeout");
    EXPECT_EQ(all.loop.now(), 6s);
  }(exchange));
  EXPECT_THAT(exchange.drain(), ElementsAre(1));
}

Coro<int> receive_one(MemoryReceiveChannel<int>& out) { co_return co_await out.receive(); }

// The other way round it is the receiver's: the cancel stays due.
TEST(MemoryChannel, CH07ACancelAfterTheHandOverDoesNotTakeTheItemBack) {
  Exchange exchange(0);
  auto value = exchange.loop->create_task(receive_one(exchange.out));
  auto seen = exchange.loop->create_task(observe([&] { return exchange.out.receive(); }));
  exchange.settle();
  exchange.call([&] {
    exchange.in.send_nowait(1);
    exchange.in.send_nowait(2);
    value.cancel();
    seen.cancel();
  });
  EXPECT_EQ(value.result(), 1);
  EXPECT_FALSE(value.cancelled());
  EXPECT_EQ(seen.result(), completed);
}

TEST(MemoryChannel, CH07NorDoesOneFromAnotherThread) {
  rota::EventLoop loop;
  loop.run_until_complete([]() -> Coro<> {
    auto [in, out] = create_memory_channel<int>(0);
    auto first = create_task(out.receive());
    auto second = create_task(out.receive());
    co_await sleep(0s);
    cancel_from(From::other_loop, first);  // noticed here when its message is taken in
    in.send_nowait(1);
    EXPECT_EQ(co_await first, 1);
    cancel_from(From::other_loop, second);
    while (!second.done()) co_await sleep(0s);
    EXPECT_TRUE(second.cancelled());
    EXPECT_THROW(in.send_nowait(2), WouldBlock);
  }());
}

TEST(MemoryChannel, CH07ACancelAfterItsItemWentDoesNotBringItBack) {
  Exchange exchange(0);
  auto seen = exchange.loop->create_task(observe([&] { return exchange.in.send(1); }));
  exchange.settle();
  exchange.call([&] {
    EXPECT_EQ(exchange.out.receive_nowait(), 1);
    seen.cancel();
  });
  EXPECT_EQ(seen.result(), completed);
}

// PR07 "Cancelling one of two contenders never deadlocks the other." And no item is lost.
TEST(MemoryChannel, PR07WhateverIsCancelledWhenNoItemIsLost) {
  for (const int capacity : {0, 1}) {
    for (std::size_t victim = 0; victim < 6; ++victim) {
      for (std::size_t steps = 0; steps < 6; ++steps) {
        Exchange exchange(capacity);
        for (int i = 0; i < 3; ++i) {
          exchange.receiver("r");
          exchange.sender("s", i);
        }
        exchange.loop.run_steps(steps);
        exchange.tasks[victim].cancel();
        exchange.settle();
        int sent = 0;
        int received = 0;
        for (std::size_t i = 0; i < exchange.tasks.size(); ++i) {
          const bool completed = exchange.tasks[i].done() && !exchange.tasks[i].cancelled();
          (i % 2 == 0 ? received : sent) += completed ? 1 : 0;
        }
        const auto now = exchange.in.statistics();
        EXPECT_EQ(sent - received, static_cast<int>(now.current_buffer_used))
            << "victim " << victim << ", " << steps << " steps: " << exchange.order.text();
        EXPECT_TRUE(now.tasks_waiting_receive == 0 ||
                    now.tasks_waiting_send + now.current_buffer_used == 0);
      }
    }
  }
}

// --- the loop ----------------------------------------------------------------------------------

// PR06 "Primitives may be created outside any loop."
TEST(MemoryChannel, PR06IsMadeAndFilledOutsideAnyLoop) {
  auto ends = create_memory_channel<int>(2);
  ends.first.send_nowait(1);
  ends.first.clone().send_nowait(2);
  EXPECT_EQ(ends.second.receive_nowait(), 1);
  TestLoop loop;
  EXPECT_EQ(loop.run(ends.second.receive()), 2);
}

// LK16, of a channel: "raises RuntimeError 'bound to a different event loop'."
TEST(MemoryChannel, LK16UseOnAnotherLoopIsRefusedAtTheCall) {
  Exchange exchange(1);
  exchange.receiver("r");
  exchange.settle();
  EXPECT_THAT(elsewhere([&] { (void)exchange.in.send(1); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { (void)exchange.in.emplace(1); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { exchange.in.send_nowait(1); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { (void)exchange.in.clone(); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { exchange.in.close(); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { (void)exchange.out.receive(); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { (void)exchange.out.next(); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { (void)exchange.out.receive_nowait(); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { (void)exchange.out.clone(); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { exchange.out.close(); }), is_wrong_loop());
  EXPECT_EQ(exchange.settle(), "");
  EXPECT_EQ(exchange.call([&] { exchange.in.send_nowait(1); }), "r=1");
}

}  // namespace
