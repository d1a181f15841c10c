/// sync_queue_test.cpp: Queue, LifoQueue and PriorityQueue, of one loop: order, waiting, cancelled
/// getters and putters, join and shutdown.
///
/// The statements quoted are asyncio's, by their numbers in the catalogue of behaviours; the order
/// lists are CPython 3.15's.

#include <rota/loop.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>
#include <rota/timeout.hpp>

#include "support/cancel_matrix.hpp"
#include "support/contenders.hpp"
#include "support/family.hpp"
#include "support/observe.hpp"
#include "support/queue_market.hpp"
#include "support/test_loop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace {

using namespace std::chrono_literals;
using namespace rota::testing_support;
using rota::Coro;
using rota::create_task;
using rota::current_task;
using rota::LoopOptions;
using rota::QueueEmpty;
using rota::QueueFull;
using rota::sleep;
using testing::ElementsAre;

using Fifo = Market<Queue<int>>;

// --- size and order ----------------------------------------------------------------------------

// QU01 "empty/full/qsize/maxsize; maxsize<=0 = unbounded and full() never true."
TEST(Queue, QU01SaysHowFullItIs) {
  Fifo market(2);
  EXPECT_EQ(market.queue.maxsize(), 2u);
  EXPECT_TRUE(market.queue.empty());
  EXPECT_FALSE(market.queue.full());
  market.call([&] { market.queue.put_nowait(1); });
  EXPECT_EQ(market.queue.qsize(), 1u);
  EXPECT_FALSE(market.queue.empty());
  EXPECT_FALSE(market.queue.full());
  market.call([&] { market.queue.put_nowait(2); });
  EXPECT_EQ(market.queue.qsize(), 2u);
  EXPECT_TRUE(market.queue.full());
}

TEST(Queue, QU01WithoutALimitItIsNeverFull) {
  for (const int maxsize : {0, -1, -100}) {
    Fifo market(maxsize);
    EXPECT_EQ(market.queue.maxsize(), 0u);
    market.call([&] {
      for (int i = 0; i < 1000; ++i) market.queue.put_nowait(i);
    });
    EXPECT_EQ(market.queue.qsize(), 1000u);
    EXPECT_FALSE(market.queue.full());
  }
  EXPECT_EQ(Queue<int>().maxsize(), 0u);
  EXPECT_EQ(LifoQueue<int>().maxsize(), 0u);
  EXPECT_EQ(PriorityQueue<int>().maxsize(), 0u);
}

// QU06 "A float maxsize is accepted and compared as is." (Not here: it does not compile.)
TEST(Queue, QU06AMaxsizeIsAWholeNumber) {
  EXPECT_FALSE((std::is_constructible_v<Queue<int>, double>));
  EXPECT_TRUE((std::is_constructible_v<Queue<int>, long>));
  EXPECT_TRUE((std::is_constructible_v<Queue<int>, unsigned char>));
}

// QU02 "FIFO, LIFO and smallest-first order."
TEST(Queue, QU02FirstInFirstOut) {
  EXPECT_THAT(order_of<Queue<int>>({1, 3, 2}), ElementsAre(1, 3, 2));
}

TEST(Queue, QU02LastInFirstOut) {
  EXPECT_THAT(order_of<LifoQueue<int>>({1, 3, 2}), ElementsAre(2, 3, 1));
}

TEST(Queue, QU02TheSmallestFirst) {
  EXPECT_THAT(order_of<PriorityQueue<int>>({1, 3, 2, 9, 2, 5, 0}),
              ElementsAre(0, 1, 2, 2, 3, 5, 9));
  using LargestFirst = PriorityQueue<int, std::greater<>>;
  EXPECT_THAT(order_of<LargestFirst>({1, 3, 2}), ElementsAre(3, 2, 1));
}

TEST(Queue, QU02InTurnsWithGetting) {
  Market<PriorityQueue<int>> market;
  market.call([&] {
    market.queue.put_nowait(5);
    market.queue.put_nowait(3);
    EXPECT_EQ(market.queue.get_nowait(), 3);
    market.queue.put_nowait(1);
    market.queue.put_nowait(7);
    EXPECT_EQ(market.queue.get_nowait(), 1);
    EXPECT_EQ(market.queue.get_nowait(), 5);
    market.queue.put_nowait(4);
    EXPECT_EQ(market.queue.get_nowait(), 4);
    EXPECT_EQ(market.queue.get_nowait(), 7);
  });
}

// QU04 "get_nowait on empty -> QueueEmpty; put_nowait on full -> QueueFull."
TEST(Queue, QU04WithoutWaitingAnEmptyOrFullQueueIsAnError) {
  Fifo market(1);
  market.call([&] {
    EXPECT_THROW((void)market.queue.get_nowait(), QueueEmpty);
    market.queue.put_nowait(1);
    EXPECT_THROW(market.queue.put_nowait(2), QueueFull);
    EXPECT_THROW(market.queue.emplace_nowait(2), QueueFull);
    EXPECT_EQ(market.queue.qsize(), 1u);
    EXPECT_EQ(market.queue.get_nowait(), 1);
    EXPECT_THROW((void)market.queue.get_nowait(), QueueEmpty);
  });
}

// --- waiting -----------------------------------------------------------------------------------

// QU03 "get() on empty blocks until put; put() on full blocks until get."
TEST(Queue, QU03GettingWaitsForAnItem) {
  Fifo market;
  market.getter("a");
  EXPECT_EQ(market.settle(), "");
  EXPECT_EQ(market.call([&] { market.queue.put_nowait(7); }), "a=7");
  EXPECT_TRUE(market.queue.empty());
}

TEST(Queue, QU03PuttingWaitsForRoom) {
  Fifo market(1);
  market.putter("a", 1);
  market.putter("b", 2);
  EXPECT_EQ(market.settle(), "a");
  EXPECT_EQ(market.queue.qsize(), 1u);
  EXPECT_EQ(market.call([&] { EXPECT_EQ(market.queue.get_nowait(), 1); }), "a b");
  EXPECT_THAT(market.drain(), ElementsAre(2));
}

TEST(Queue, QU03AProducerAndAConsumerTakeTurns) {
  Fifo market(2);
  auto produce = [](Fifo& all) -> Coro<> {
    for (int i = 0; i < 50; ++i) {
      co_await all.queue.put(i);
      EXPECT_LE(all.queue.qsize(), 2u);
    }
  };
  auto consume = [](Fifo& all) -> Coro<> {
    for (int i = 0; i < 50; ++i) EXPECT_EQ(co_await all.queue.get(), i);
  };
  auto producer = market.loop->create_task(produce(market));
  auto consumer = market.loop->create_task(consume(market));
  market.settle();
  EXPECT_TRUE(producer.done());
  EXPECT_TRUE(consumer.done());
}

// QU05 "put() with room and get() with items do not suspend."
TEST(Queue, QU05WithRoomAndItemsNothingSuspends) {
  Fifo market(2);
  market.loop.run([](Fifo& all) -> Coro<> {
    const std::size_t before = all.loop.steps();
    for (int i = 0; i < 1000; ++i) {
      co_await all.queue.put(i);
      co_await all.queue.put(-i);
      EXPECT_EQ(co_await all.queue.get(), i);
      EXPECT_EQ(co_await all.queue.get(), -i);
    }
    EXPECT_EQ(all.loop.steps(), before);
  }(market));
}

TEST(Queue, D5AfterManyPutsAndGetsThatNeedNotWaitTheTaskGivesWayOnce) {
  TestLoop loop{LoopOptions()};
  Queue<int> queue;
  auto puts = [&queue]() -> Coro<> { co_await queue.put(1); };
  EXPECT_THAT(loop.run(count_by_step(loop, 300, puts)), ElementsAre(127, 128, 45));
  EXPECT_EQ(queue.qsize(), 300u);
  auto gets = [&queue]() -> Coro<> { (void)co_await queue.get(); };
  EXPECT_THAT(loop.run(count_by_step(loop, 300, gets)), ElementsAre(127, 128, 45));
  EXPECT_TRUE(queue.empty());
}

TEST(Queue, D5WhoGivesWayWaitsIfTheItemWasTakenMeanwhile) {
  TestLoop loop{LoopOptions()};
  Queue<int> queue;
  Order order;
  loop->create_task([](Queue<int>& shared, Order& out) -> Coro<> {
    shared.put_nowait(1);
    co_await spend_the_budget();
    create_task(get(shared, out, "other"));
    co_await get(shared, out, "polite");
  }(queue, order));
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "other=1");
  loop.call([&] { queue.put_nowait(2); });
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "other=1 polite=2");
}

TEST(Queue, D5ACancelWhileItGivesWayLosesNoItem) {
  TestLoop loop{LoopOptions()};
  Queue<int> queue;
  Order order;
  auto task = loop->create_task([](TestLoop& test, Queue<int>& shared, Order& out) -> Coro<> {
    shared.put_nowait(1);
    co_await spend_the_budget();
    test->call_soon([task = current_task()] { task.cancel(); });
    co_await get(shared, out, "a");  // overtakes the cancel
    co_await sleep(0s);
    out.add("not reached");
  }(loop, queue, order));
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "a=1");
  EXPECT_TRUE(task.cancelled());
  EXPECT_TRUE(queue.empty());
}

// QU07 "A get frees one blocked putter; FIFO among putters."
TEST(Queue, QU07AGetFreesOnePutter) {
  Fifo market(1);
  market.call([&] { market.queue.put_nowait(0); });
  market.putter("a", 1);
  market.putter("b", 2);
  market.putter("c", 3);
  market.settle();
  EXPECT_EQ(market.queue.statistics().putters_waiting, 3u);
  for (const char* expected : {"a", "a b", "a b c"}) {
    EXPECT_EQ(market.call([&] { (void)market.queue.get_nowait(); }), expected);
  }
  EXPECT_THAT(market.drain(), ElementsAre(3));
}

TEST(Queue, QU07SoDoesAGetThatIsAwaited) {
  Fifo market(1);
  market.putter("a", 1);
  market.putter("b", 2);
  market.putter("c", 3);
  market.settle();
  market.getter("x");
  EXPECT_EQ(market.settle(), "a x=1 b");
  market.getter("y");
  EXPECT_EQ(market.settle(), "a x=1 b y=2 c");
}

// QU08 "A put wakes one blocked getter; FIFO among getters."
TEST(Queue, QU08APutWakesOneGetter) {
  Fifo market;
  for (const char* name : {"a", "b", "c"}) market.getter(name);
  market.settle();
  EXPECT_EQ(market.queue.statistics().getters_waiting, 3u);
  EXPECT_EQ(market.call([&] { market.queue.put_nowait(1); }), "a=1");
  EXPECT_EQ(market.queue.statistics().getters_waiting, 2u);
  const std::string& text = market.call([&] {
    market.queue.put_nowait(2);
    market.queue.put_nowait(3);
  });
  EXPECT_EQ(text, "a=1 b=2 c=3");
}

// QU14 "A woken getter has **no reservation**: get_nowait by a running task can take the item and
// the getter goes back to sleep (loses its FIFO place)."
TEST(Queue, QU14AWokenGetterHasNoClaimToTheItem) {
  Fifo market;
  market.getter("a");
  market.getter("b");
  market.settle();
  const std::string& text = market.call([&] {
    market.queue.put_nowait(1);
    EXPECT_EQ(market.queue.get_nowait(), 1);
  });
  EXPECT_EQ(text, "");
  EXPECT_EQ(market.queue.statistics().getters_waiting, 2u);
  EXPECT_EQ(market.call([&] { market.queue.put_nowait(2); }), "b=2");  // a is the last now
  EXPECT_EQ(market.call([&] { market.queue.put_nowait(3); }), "b=2 a=3");
}

TEST(Queue, QU14ItTakesTheNextItemIfThereIsOneWhenItRuns) {
  Fifo market;
  for (const char* name : {"a", "b", "c"}) market.getter(name);
  market.settle();
  const std::string& text = market.call([&] {
    market.queue.put_nowait(1);
    market.queue.put_nowait(2);
    EXPECT_EQ(market.queue.get_nowait(), 1);
  });
  EXPECT_EQ(text, "a=2");
  EXPECT_EQ(market.call([&] { market.queue.put_nowait(3); }), "a=2 c=3");
  EXPECT_EQ(market.call([&] { market.queue.put_nowait(4); }), "a=2 c=3 b=4");
}

TEST(Queue, QU14NorHasAWokenPutterAClaimToTheRoom) {
  Fifo market(1);
  market.call([&] { market.queue.put_nowait(0); });
  market.putter("a", 1);
  market.putter("b", 2);
  market.settle();
  const std::string& text = market.call([&] {
    EXPECT_EQ(market.queue.get_nowait(), 0);
    market.queue.put_nowait(9);
  });
  EXPECT_EQ(text, "");
  EXPECT_EQ(market.call([&] { EXPECT_EQ(market.queue.get_nowait(), 9); }), "b");
  EXPECT_EQ(market.call([&] { EXPECT_EQ(market.queue.get_nowait(), 2); }), "b a");
}

TEST(Queue, QU14AlsoIfTheAwaitablesWereMovedIntoOtherOnes) {
  Fifo market(1);
  market.loop->create_task([](Fifo& all) -> Coro<> {
    co_await observe(all.order, "a", rota::timeout(1h, all.queue.get()));
    co_await all.queue.put(7);
    co_await observe(all.order, "b", rota::timeout(1h, all.queue.put(8)));
  }(market));
  market.settle();
  std::string text = market.call([&] {
    market.queue.put_nowait(1);
    EXPECT_EQ(market.queue.get_nowait(), 1);
  });
  EXPECT_EQ(text, "");
  EXPECT_EQ(market.call([&] { market.queue.put_nowait(2); }), "a=2");
  text = market.call([&] {
    EXPECT_EQ(market.queue.get_nowait(), 7);
    market.queue.put_nowait(9);
  });
  EXPECT_EQ(text, "a=2");
  EXPECT_EQ(market.call([&] { EXPECT_EQ(market.queue.get_nowait(), 9); }), "a=2 b");
  EXPECT_THAT(market.drain(), ElementsAre(8));
}

TEST(Queue, QU14ANewcomerMayPassAWokenPutter) {
  Fifo market(1);
  market.call([&] { market.queue.put_nowait(0); });
  market.putter("a", 1);
  market.putter("b", 2);
  market.settle();
  const std::string& text = market.call([&] {
    market.putter("new", 3);  // will run before a
    (void)market.queue.get_nowait();
  });
  EXPECT_EQ(text, "new");
  EXPECT_EQ(market.call([&] { (void)market.queue.get_nowait(); }), "new b");
  EXPECT_EQ(market.call([&] { (void)market.queue.get_nowait(); }), "new b a");
}

// --- items -------------------------------------------------------------------------------------

TEST(Queue, ItemsMayBeMoveOnly) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    Queue<std::unique_ptr<int>> fifo(1);
    co_await fifo.put(std::make_unique<int>(1));
    auto putter = create_task([](Queue<std::unique_ptr<int>>& queue) -> Coro<> {
      co_await queue.put(std::make_unique<int>(2));  // waits
    }(fifo));
    co_await sleep(0s);
    EXPECT_EQ(*co_await fifo.get(), 1);
    EXPECT_EQ(*co_await fifo.get(), 2);
    co_await putter;
    fifo.put_nowait(std::make_unique<int>(3));
    EXPECT_EQ(*fifo.get_nowait(), 3);
    fifo.emplace_nowait(new int(4));
    fifo.shutdown(true);

    LifoQueue<std::unique_ptr<int>> lifo;
    lifo.put_nowait(std::make_unique<int>(1));
    lifo.emplace_nowait(std::make_unique<int>(2));
    EXPECT_EQ(*co_await lifo.get(), 2);
    EXPECT_EQ(*co_await lifo.get(), 1);

    auto smaller = [](const std::unique_ptr<int>& left, const std::unique_ptr<int>& right) {
      return *left < *right;
    };
    PriorityQueue<std::unique_ptr<int>, decltype(smaller)> sorted;
    for (const int value : {3, 1, 2, 5, 4}) sorted.put_nowait(std::make_unique<int>(value));
    for (int value = 1; value <= 5; ++value) EXPECT_EQ(*co_await sorted.get(), value);
  }());
}

// As the page on safe co_await says: an aggregate needs no name, and waits for room as in put().
TEST(Queue, EmplaceMakesTheItemAndPutsIt) {
  struct Message {
    int key;
    std::string text;
  };
  TestLoop loop;
  loop.run([]() -> Coro<> {
    Queue<Message> queue(1);
    co_await queue.emplace(1, std::string(40, 'x'));
    auto putter = create_task([](Queue<Message>& full) -> Coro<> {
      co_await full.emplace(2, std::string(40, 'y'));
    }(queue));
    co_await sleep(0s);
    EXPECT_FALSE(putter.done());
    const Message first = co_await queue.get();
    EXPECT_EQ(first.text, std::string(40, 'x'));
    co_await putter;
    const Message second = co_await queue.get();
    EXPECT_EQ(second.text, std::string(40, 'y'));
  }());
}

/// An item that counts itself; neither copied nor made from nothing. A moved-from one is none.
class Tracked {
 public:
  explicit Tracked(int& alive) : alive_(&alive) { ++*alive_; }
  Tracked(Tracked&& other) noexcept : alive_(std::exchange(other.alive_, nullptr)) {}
  Tracked& operator=(Tracked&&) = delete;
  ~Tracked() {
    if (alive_ != nullptr) --*alive_;
  }

 private:
  int* alive_;
};

TEST(Queue, WhatIsNotGotIsDestroyedOnce) {
  int alive = 0;
  {
    TestLoop loop;
    Queue<Tracked> queue(2);
    loop.call([&] {
      queue.emplace_nowait(alive);
      queue.put_nowait(Tracked(alive));
      EXPECT_EQ(alive, 2);
      (void)queue.get_nowait();
      EXPECT_EQ(alive, 1);
      (void)queue.put(Tracked(alive));  // not awaited
      EXPECT_EQ(alive, 1);
      queue.put_nowait(Tracked(alive));
    });
    auto cancelled = loop->create_task([](Queue<Tracked>& target, int& count) -> Coro<> {
      co_await target.put(Tracked(count));
    }(queue, alive));
    loop.run_until_idle();
    EXPECT_EQ(alive, 3);
    cancelled.cancel();
    loop.run_until_idle();
    EXPECT_EQ(alive, 2);
    loop.call([&] { queue.shutdown(true); });
    EXPECT_EQ(alive, 0);
  }
  {
    TestLoop loop;
    Queue<Tracked> queue;
    loop.call([&] { queue.emplace_nowait(alive); });
  }
  EXPECT_EQ(alive, 0);
}

// --- the rest ----------------------------------------------------------------------------------

// LK16, of a Queue: "raises RuntimeError 'bound to a different event loop'."
TEST(Queue, LK16UseOnAnotherLoopIsRefusedAtTheCall) {
  Fifo market;
  market.call([&] { market.queue.put_nowait(1); });
  EXPECT_THAT(elsewhere([&] { (void)market.queue.put(2); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { (void)market.queue.get(); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { market.queue.put_nowait(2); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { (void)market.queue.emplace(2); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { market.queue.emplace_nowait(2); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { (void)market.queue.get_nowait(); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { market.queue.task_done(); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { (void)market.queue.join(); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { market.queue.shutdown(); }), is_wrong_loop());
  EXPECT_EQ(market.queue.statistics().unfinished, 1u);
  EXPECT_THAT(market.drain(), ElementsAre(1));
}

// PR05 "statistics()". PR06 "Primitives may be created outside any loop."
TEST(Queue, PR05StatisticsSayHowItIs) {
  Fifo market(1);
  market.getter("a");
  market.getter("b");
  market.settle();
  EXPECT_EQ(market.queue.statistics().getters_waiting, 2u);
  for (int i = 0; i < 5; ++i) market.putter("p", i);
  market.settle();
  EXPECT_EQ(market.queue.statistics().size, 1u);
  EXPECT_EQ(market.queue.statistics().unfinished, 3u);
  EXPECT_EQ(market.queue.statistics().getters_waiting, 0u);
  EXPECT_EQ(market.queue.statistics().putters_waiting, 2u);
}

TEST(Queue, ALoopThatClosesTakesItsWaitersAlong) {
  Queue<int> empty;
  Queue<int> full(1);
  Order order;
  {
    TestLoop loop;
    loop.call([&] { full.put_nowait(0); });
    for (const char* name : {"a", "b"}) loop->create_task(get(empty, order, name));
    for (const char* name : {"c", "d"}) loop->create_task(put(full, order, name, 1));
    loop->create_task(join(full, order, "e"));
    loop.run_until_idle();
    loop.call([&] {  // a and c are woken, and will not run
      empty.put_nowait(1);
      (void)full.get_nowait();
    });
    loop->close();
    EXPECT_EQ(loop.reports().size(), 5u);
  }
  EXPECT_EQ(empty.statistics().getters_waiting, 0u);
  EXPECT_EQ(full.statistics().putters_waiting, 0u);
  EXPECT_EQ(order.text(), "");
}

}  // namespace
