/// sync_memory_channel_close_test.cpp: memory channels: what closing an end does to those at it,
/// and to the other side.
///
/// The statements quoted are anyio's and trio's, by their numbers in the catalogue of behaviours.

#include <rota/memory_channel.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>

#include "support/cancel_matrix.hpp"
#include "support/channel_exchange.hpp"
#include "support/outcome.hpp"
#include "support/test_loop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>

namespace {

using namespace rota::testing_support;
using rota::BrokenResourceError;
using rota::ClosedResourceError;
using rota::Coro;
using rota::create_memory_channel;
using rota::create_task;
using rota::EndOfChannel;
using rota::LoopOptions;
using rota::MemoryReceiveChannel;
using rota::MemorySendChannel;
using rota::sleep;
using testing::ElementsAre;
using testing::IsEmpty;

// CH02 "Sender and receiver ends are separate, cloneable; the last close counts."
TEST(MemoryChannel, CH02OnlyTheLastSendingEndEndsTheChannel) {
  Exchange exchange(1);
  auto second = exchange.in.clone();
  auto third = second.clone();
  exchange.receiver("r");
  exchange.settle();
  exchange.call([&] { exchange.in.close(); });
  EXPECT_EQ(exchange.call([&] { second.close(); }), "");
  EXPECT_EQ(exchange.out.statistics().open_send_channels, 1u);
  EXPECT_EQ(exchange.call([&] { third.send_nowait(1); }), "r=1");
  exchange.receiver("s");
  exchange.settle();
  EXPECT_EQ(exchange.call([&] { third.close(); }), "r=1 s:end");
}

TEST(MemoryChannel, CH02OnlyTheLastReceivingEndStopsTheSenders) {
  Exchange exchange(0);
  auto second = exchange.out.clone();
  exchange.sender("s", 1);
  exchange.settle();
  EXPECT_EQ(exchange.call([&] { exchange.out.close(); }), "");
  exchange.receiver(second, "r");
  EXPECT_EQ(exchange.settle(), "r=1 s");
  exchange.sender("t", 2);
  exchange.settle();
  EXPECT_EQ(exchange.call([&] { second.close(); }), "r=1 s t:broken");
}

TEST(MemoryChannel, CH02ClosingTwiceCountsOnce) {
  Exchange exchange(1);
  auto in = exchange.in.clone();
  auto out = exchange.out.clone();
  exchange.call([&] {
    for (int i = 0; i < 3; ++i) exchange.in.close();
    for (int i = 0; i < 3; ++i) exchange.out.close();
    in.send_nowait(1);
    EXPECT_EQ(out.receive_nowait(), 1);
  });
  EXPECT_EQ(in.statistics().open_send_channels, 1u);
  EXPECT_EQ(in.statistics().open_receive_channels, 1u);
}

// CH03 "All senders closed: receivers drain, then EndOfStream."
TEST(MemoryChannel, CH03ReceiversDrainThenTheChannelEnds) {
  Exchange exchange(2);
  exchange.call([&] {
    exchange.in.send_nowait(1);
    exchange.in.send_nowait(2);
    exchange.in.close();
    EXPECT_EQ(exchange.out.receive_nowait(), 1);
  });
  for (const char* name : {"a", "b", "c"}) exchange.receiver(name);
  EXPECT_EQ(exchange.settle(), "a=2 b:end c:end");
  exchange.loop.call([&] { EXPECT_THROW(exchange.out.receive_nowait(), EndOfChannel); });
}

TEST(MemoryChannel, CH03ReceiversThatWaitAreTold) {
  Exchange exchange(2);
  exchange.receiver("a");
  exchange.receiver("b");
  exchange.settle();
  EXPECT_EQ(exchange.call([&] { exchange.in.close(); }), "a:end b:end");
  EXPECT_EQ(exchange.out.statistics().tasks_waiting_receive, 0u);
}

Coro<std::optional<int>> next_of(MemoryReceiveChannel<int>& out) { co_return co_await out.next(); }

TEST(MemoryChannel, CH03NextGivesNothingAtTheEnd) {
  Exchange exchange(1);
  auto waited = exchange.loop->create_task(next_of(exchange.out));
  exchange.settle();
  exchange.call([&] { exchange.in.send_nowait(1); });
  EXPECT_EQ(waited.result(), std::optional<int>(1));
  auto last = exchange.loop->create_task(next_of(exchange.out));
  exchange.settle();
  exchange.call([&] { exchange.in.close(); });
  EXPECT_EQ(last.result(), std::nullopt);
  EXPECT_EQ(exchange.loop.run(next_of(exchange.out)), std::nullopt);
}

// CH04 "All receivers closed: send -> BrokenResource, blocked senders wake."
TEST(MemoryChannel, CH04WithoutAReceiverSendingFails) {
  Exchange exchange(1);
  exchange.call([&] {
    exchange.out.close();
    EXPECT_THROW(exchange.in.send_nowait(1), BrokenResourceError);
  });
  exchange.sender("s", 1);
  EXPECT_EQ(exchange.settle(), "s:broken");
}

TEST(MemoryChannel, CH04SendersThatWaitAreTold) {
  Exchange exchange(1);
  exchange.call([&] { exchange.in.send_nowait(0); });
  exchange.sender("a", 1);
  exchange.sender("b", 2);
  exchange.settle();
  EXPECT_EQ(exchange.call([&] { exchange.out.close(); }), "a:broken b:broken");
  EXPECT_EQ(exchange.in.statistics().tasks_waiting_send, 0u);
  EXPECT_EQ(exchange.in.statistics().current_buffer_used, 0u);  // nobody can want it any more
}

// Counts those of itself that were destroyed, and sends into its channel when it is.
class Parting {
 public:
  Parting(MemorySendChannel<Parting>* channel, int* count) : channel_(channel), count_(count) {}
  Parting(Parting&& other) noexcept
      : channel_(other.channel_), count_(std::exchange(other.count_, nullptr)) {}
  Parting& operator=(Parting&&) = delete;
  ~Parting() {
    if (count_ == nullptr) return;
    ++*count_;
    EXPECT_THROW(channel_->send_nowait(Parting(channel_, nullptr)), BrokenResourceError);
  }

 private:
  MemorySendChannel<Parting>* channel_;
  int* count_;
};

TEST(MemoryChannel, CH04WhatWasNotReceivedIsDestroyedWithTheLastReceivingEnd) {
  int destroyed = 0;
  auto [in, out] = create_memory_channel<Parting>(3);
  for (int i = 0; i < 3; ++i) in.send_nowait(Parting(&in, &destroyed));
  {
    const auto gone = std::move(out);
  }
  EXPECT_EQ(destroyed, 3);
}

// CH05 "Own end closed -> ClosedResource."
TEST(MemoryChannel, CH05AClosedEndIsOfNoUse) {
  Exchange exchange(1);
  auto in = exchange.in.clone();
  auto out = exchange.out.clone();
  exchange.call([&] {
    in.close();
    out.close();
    EXPECT_THROW(in.send_nowait(1), ClosedResourceError);
    EXPECT_THROW((void)in.clone(), ClosedResourceError);
    EXPECT_THROW(out.receive_nowait(), ClosedResourceError);
    EXPECT_THROW((void)out.clone(), ClosedResourceError);
    exchange.in.send_nowait(1);
  });
  exchange.sender(in, "s", 2);
  exchange.receiver(out, "r");
  EXPECT_EQ(exchange.settle(), "s:closed r:closed");
  EXPECT_THAT(exchange.drain(), ElementsAre(1));
}

TEST(MemoryChannel, CH05ClosedComesBeforeBroken) {
  Exchange exchange(1);
  exchange.call([&] {
    exchange.in.close();
    exchange.out.close();
    EXPECT_THROW(exchange.in.send_nowait(1), ClosedResourceError);
    EXPECT_THROW(exchange.out.receive_nowait(), ClosedResourceError);
  });
}

TEST(MemoryChannel, CH05WhoWaitsAtAnEndThatIsClosedIsToldAndNobodyElse) {
  Exchange exchange(0);
  auto out = exchange.out.clone();
  exchange.receiver("a");
  exchange.receiver(out, "b");
  exchange.receiver("c");
  exchange.settle();
  EXPECT_EQ(exchange.call([&] { exchange.out.close(); }), "a:closed c:closed");
  EXPECT_EQ(exchange.call([&] { exchange.in.send_nowait(1); }), "a:closed c:closed b=1");
}

TEST(MemoryChannel, CH05SoItIsForThoseWhoSend) {
  Exchange exchange(0);
  auto in = exchange.in.clone();
  exchange.sender("a", 1);
  exchange.sender(in, "b", 2);
  exchange.sender("c", 3);
  exchange.settle();
  EXPECT_EQ(exchange.call([&] { exchange.in.close(); }), "a:closed c:closed");
  exchange.receiver("r");
  EXPECT_EQ(exchange.settle(), "a:closed c:closed r=2 b");
}

TEST(MemoryChannel, CH05AnEndMayBeMovedWhileSomebodyWaitsAtIt) {
  Exchange exchange(0);
  exchange.receiver("r");
  exchange.settle();
  auto moved = std::move(exchange.out);
  EXPECT_EQ(exchange.call([&] { moved.close(); }), "r:closed");
}

TEST(MemoryChannel, CH05AnEndThatWasMovedFromIsClosed) {
  Exchange exchange(1);
  auto in = std::move(exchange.in);
  auto out = std::move(exchange.out);
  exchange.call([&] {
    // NOLINTBEGIN(bugprone-use-after-move): that is what is asked here
    EXPECT_THROW(exchange.in.send_nowait(1), ClosedResourceError);
    EXPECT_THROW((void)exchange.out.receive(), ClosedResourceError);
    // NOLINTEND(bugprone-use-after-move)
    in.send_nowait(1);
    EXPECT_EQ(out.receive_nowait(), 1);
  });
}

TEST(MemoryChannel, CH05AnEndThatIsAssignedToClosesTheOneItWas) {
  Exchange first(0);
  Exchange second(0);
  first.receiver("r");
  first.settle();
  first.call([&] { first.in = std::move(second.in); });
  EXPECT_EQ(first.order.text(), "r:end");
  EXPECT_EQ(second.out.statistics().open_send_channels, 1u);
}

// Who is told that an end was closed is told so, whatever is cancelled afterwards.
TEST(MemoryChannel, CH05ACancelAfterTheCloseStaysDue) {
  Exchange exchange(0);
  const auto receive_until_closed = [](Exchange& all) -> Coro<> {
    EXPECT_THROW(co_await all.out.receive(), ClosedResourceError);
  };
  auto seen = exchange.loop->create_task(observe([&] { return receive_until_closed(exchange); }));
  exchange.settle();
  exchange.call([&] {
    exchange.out.close();
    seen.cancel();
  });
  EXPECT_EQ(seen.result(), completed);
}

TEST(MemoryChannel, CH05WhoGivesWaySeesThatItsEndWasClosedMeanwhile) {
  TestLoop loop{LoopOptions()};
  Order order;
  auto ends = create_memory_channel<int>(1);
  loop->create_task([](MemorySendChannel<int>& in, Order& text) -> Coro<> {
    auto clone = in.clone();
    co_await spend_the_budget();
    create_task([](MemorySendChannel<int>& end) -> Coro<> {
      end.close();
      co_return;
    }(clone));
    co_await send(clone, text, "polite", 1);
  }(ends.first, order));
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "polite:closed");
  EXPECT_EQ(ends.first.statistics().current_buffer_used, 0u);
}

// CH11 "Destroying an open end warns." (Not here: an end that goes closes itself, as everything in
// C++ does.)
TEST(MemoryChannel, CH11AnEndThatGoesClosesItself) {
  Exchange exchange(1);
  exchange.receiver("r");
  exchange.settle();
  exchange.call([&] {
    {
      const auto clone = exchange.in.clone();
    }
    EXPECT_EQ(exchange.in.statistics().open_send_channels, 1u);
    {
      const auto last = std::move(exchange.in);
    }
  });
  EXPECT_EQ(exchange.order.text(), "r:end");
  EXPECT_THAT(exchange.loop.reports(), IsEmpty());
}

TEST(MemoryChannel, CH11AnEndMayGoWhileTheLoopDoesNotRun) {
  Exchange exchange(0);
  auto seen = exchange.loop->create_task(observe([&] { return exchange.out.next(); }));
  exchange.receiver("r");
  exchange.settle();
  seen.cancel();  // noticed when the loop runs: it has been told by then that the channel has ended
  {
    const auto last = std::move(exchange.in);
  }
  EXPECT_EQ(exchange.settle(), "r:end");
  EXPECT_EQ(seen.result(), completed);
}

TEST(MemoryChannel, CH11SoItMayBeforeTheLoopCloses) {
  auto ends = create_memory_channel<int>(0);
  Order order;
  TestLoop loop;
  loop->create_task(receive(ends.second, order, "r"));
  loop.run_until_idle();
  {
    const auto last = std::move(ends.first);
  }
  loop->close();
  EXPECT_EQ(loop.reports().size(), 1u);
  EXPECT_EQ(order.text(), "");
}

TEST(MemoryChannel, CH11ALoopThatClosesTakesItsWaitersAndTheirEndsAlong) {
  bool destroyed = false;
  auto ends = create_memory_channel<Flag>(0);
  {
    TestLoop loop;
    loop->create_task([](MemorySendChannel<Flag> in, bool& set) -> Coro<> {
      co_await in.send(Flag(set));
    }(std::move(ends.first), destroyed));
    loop->create_task([]() -> Coro<> {
      auto [in, out] = create_memory_channel<int>(0);
      auto other = create_task(out.receive());
      co_await out.receive();
    }());
    loop.run_until_idle();
    loop->close();
    EXPECT_EQ(loop.reports().size(), 3u);
  }
  EXPECT_TRUE(destroyed);
  EXPECT_EQ(ends.second.statistics().open_send_channels, 0u);
  EXPECT_EQ(ends.second.statistics().tasks_waiting_send, 0u);
}

}  // namespace
