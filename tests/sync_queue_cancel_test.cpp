/// sync_queue_cancel_test.cpp: a cancelled getter or putter loses no item and leaves nothing
/// behind.
///
/// The statements quoted are asyncio's, by their numbers in the catalogue of behaviours; the order
/// lists are CPython 3.15's.

#include <rota/task.hpp>
#include <rota/timeout.hpp>

#include "support/family.hpp"
#include "support/observe.hpp"
#include "support/outcome.hpp"
#include "support/queue_market.hpp"
#include "support/test_loop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <string>

namespace {

using namespace std::chrono_literals;
using namespace rota::testing_support;
using rota::Coro;
using rota::current_task;
using testing::ElementsAre;

using Fifo = Market<Queue<int>>;

// QU10 "Cancelled getters/putters leave no entry behind (no unbounded growth in a loop of
// timeouts)."
TEST(Queue, QU10CancelledOnesLeaveNothingBehind) {
  Fifo market(1);
  market.loop.run([](Fifo& all) -> Coro<> {
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(co_await word_of(rota::timeout(1s, all.queue.get())), ":timeout");
      EXPECT_EQ(all.queue.statistics().getters_waiting, 0u);
    }
    all.queue.put_nowait(0);
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(co_await word_of(rota::timeout(1s, all.queue.put(1))), ":timeout");
      EXPECT_EQ(all.queue.statistics().putters_waiting, 0u);
    }
    EXPECT_EQ(all.queue.qsize(), 1u);
    EXPECT_EQ(all.loop.now(), 40s);
  }(market));
}

TEST(Queue, QU10ATaskThatIsCancelledBeforeItWaitsLeavesNothingBehind) {
  Fifo market(1);
  market.loop->create_task([](Fifo& all) -> Coro<> {
    current_task().cancel();
    co_await get(all.queue, all.order, "a");
  }(market));
  market.loop->create_task([](Fifo& all) -> Coro<> {
    co_await all.queue.put(1);
    current_task().cancel();
    co_await put(all.queue, all.order, "b", 2);
  }(market));
  EXPECT_EQ(market.settle(), "a:cancelled b:cancelled");
  EXPECT_EQ(market.queue.statistics().getters_waiting, 0u);
  EXPECT_EQ(market.queue.statistics().putters_waiting, 0u);
  EXPECT_EQ(market.queue.statistics().unfinished, 1u);
  EXPECT_THAT(market.drain(), ElementsAre(1));
}

TEST(Queue, QU10ACancelTakenBackBeforeTheWaiterRunsStillEndsItsWait) {
  Fifo getters;
  getters.getter("a");
  getters.settle();
  getters.call([&] {
    getters.tasks[0].cancel();
    getters.tasks[0].uncancel();
  });
  EXPECT_EQ(getters.order.text(), "a:cancelled");
  Fifo putters(1);
  putters.call([&] { putters.queue.put_nowait(0); });
  putters.putter("b", 1);
  putters.settle();
  putters.call([&] {
    putters.tasks[0].cancel();
    putters.tasks[0].uncancel();
  });
  EXPECT_EQ(putters.order.text(), "b:cancelled");
  EXPECT_THAT(putters.drain(), ElementsAre(0));
}

// QU11 "A cancelled getter never loses an item: woken+cancelled -> item stays and the next getter
// is woken."
TEST(Queue, QU11ACancelledGetterLeavesTheItemToTheNext) {
  Fifo market;
  for (const char* name : {"a", "b"}) market.getter(name);
  market.settle();
  const std::string& text = market.call([&] {
    market.queue.put_nowait(1);
    market.tasks[0].cancel("why");
    market.tasks[0].cancel();
  });
  EXPECT_EQ(text, "a:cancelled b=1");
}

TEST(Queue, QU11WithoutANextTheItemStays) {
  Fifo market;
  market.getter("a");
  market.settle();
  const std::string& text = market.call([&] {
    market.queue.put_nowait(1);
    market.tasks[0].cancel();
  });
  EXPECT_EQ(text, "a:cancelled");
  EXPECT_THAT(market.drain(), ElementsAre(1));
}

TEST(Queue, QU11WithACancelBeforeThePutTheNextIsWoken) {
  Fifo market;
  for (const char* name : {"a", "b"}) market.getter(name);
  market.settle();
  const std::string& text = market.call([&] {
    market.tasks[0].cancel();
    market.queue.put_nowait(1);
  });
  EXPECT_EQ(text, "a:cancelled b=1");
}

TEST(Queue, QU11OfManyGettersTheRestGetTheItemsInOrder) {
  Fifo market;
  for (const char* name : {"a", "b", "c"}) market.getter(name);
  market.settle();
  const std::string& text = market.call([&] {
    market.queue.put_nowait(1);
    market.queue.put_nowait(2);
    market.tasks[0].cancel();
  });
  EXPECT_EQ(text, "a:cancelled b=1 c=2");
}

TEST(Queue, QU11ThroughAChainOfCancelledGetters) {
  Fifo market;
  for (const char* name : {"a", "b", "c"}) market.getter(name);
  market.settle();
  market.call([&] {
    market.queue.put_nowait(1);
    market.tasks[0].cancel();
    market.tasks[1].cancel();
  });
  EXPECT_TRUE(market.tasks[2].done() && !market.tasks[2].cancelled()) << market.order.text();
  EXPECT_TRUE(market.queue.empty());
}

// QU12 "A cancelled putter never inserts; the slot wakes the next putter."
TEST(Queue, QU12ACancelledPutterLeavesTheRoomToTheNext) {
  Fifo market(1);
  market.call([&] { market.queue.put_nowait(0); });
  market.putter("a", 1);
  market.putter("b", 2);
  market.settle();
  const std::string& text = market.call([&] {
    EXPECT_EQ(market.queue.get_nowait(), 0);
    market.tasks[0].cancel();
  });
  EXPECT_EQ(text, "a:cancelled b");
  EXPECT_THAT(market.drain(), ElementsAre(2));
}

TEST(Queue, QU12WithoutANextTheRoomStays) {
  Fifo market(1);
  market.call([&] { market.queue.put_nowait(0); });
  market.putter("a", 1);
  market.settle();
  const std::string& text = market.call([&] {
    (void)market.queue.get_nowait();
    market.tasks[0].cancel();
  });
  EXPECT_EQ(text, "a:cancelled");
  EXPECT_TRUE(market.queue.empty());
  EXPECT_EQ(market.queue.statistics().unfinished, 1u);  // 0 only
}

TEST(Queue, QU12ACancelBeforeTheRoomIsMadeInsertsNothingEither) {
  Fifo market(1);
  market.call([&] { market.queue.put_nowait(0); });
  market.putter("a", 1);
  market.putter("b", 2);
  market.settle();
  const std::string& text = market.call([&] {
    market.tasks[0].cancel();
    market.tasks[0].cancel();
    (void)market.queue.get_nowait();
  });
  EXPECT_EQ(text, "a:cancelled b");
  EXPECT_THAT(market.drain(), ElementsAre(2));
}

// QU13 "Cancelling a putter already removed from the waiter list must not raise a secondary error."
TEST(Queue, QU13AWokenPutterIsCancelledWithoutASecondError) {
  Fifo market(1);
  market.call([&] { market.queue.put_nowait(0); });
  market.putter("a", 1);
  market.settle();
  const std::string& text = market.call([&] {
    (void)market.queue.get_nowait();
    market.queue.put_nowait(9);  // the room is gone again
    market.tasks[0].cancel("only this");
  });
  EXPECT_EQ(text, "a:cancelled");
  EXPECT_EQ(message_of(market.tasks[0]), "only this");
  EXPECT_THAT(market.loop.reports(), testing::IsEmpty());
  EXPECT_THAT(market.drain(), ElementsAre(9));
}

// PR07 "Cancelling one of two contenders never deadlocks the other." And no item is lost.
TEST(Queue, PR07WhateverIsCancelledWhenNoItemIsLost) {
  for (std::size_t victim = 0; victim < 6; ++victim) {
    for (std::size_t steps = 0; steps < 8; ++steps) {
      Fifo market(1);
      for (int i = 0; i < 3; ++i) {
        market.getter("g");
        market.putter("p", i);
      }
      market.loop.run_steps(steps);
      market.tasks[victim].cancel();
      market.settle();
      int put = 0;
      int got = 0;
      int waiting = 0;
      for (std::size_t i = 0; i < market.tasks.size(); ++i) {
        const bool completed = market.tasks[i].done() && !market.tasks[i].cancelled();
        (i % 2 == 0 ? got : put) += completed ? 1 : 0;
        waiting += market.tasks[i].done() ? 0 : 1;
      }
      EXPECT_EQ(put - got, static_cast<int>(market.queue.qsize()))
          << "victim " << victim << ", " << steps << " steps: " << market.order.text();
      // Either a getter waits for the item that was not put, or nobody waits.
      EXPECT_LE(waiting, 1) << market.order.text();
      EXPECT_TRUE(waiting == 0 || market.queue.empty());
    }
  }
}

}  // namespace
