/// sync_queue_end_test.cpp: join, task_done and shutdown of the three queues.
///
/// The statements quoted are asyncio's, by their numbers in the catalogue of behaviours; the order
/// lists are CPython 3.15's.

#include <rota/error.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>

#include "support/family.hpp"
#include "support/outcome.hpp"
#include "support/queue_market.hpp"
#include "support/test_loop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <type_traits>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace rota::testing_support;
using rota::Coro;
using rota::QueueShutDown;
using rota::sleep;
using rota::Task;
using rota::ValueError;
using testing::ElementsAre;

using Fifo = Market<Queue<int>>;

// --- join --------------------------------------------------------------------------------------

// QU15 "join() on a queue with no unfinished items returns at once."
TEST(Queue, QU15JoiningAnEmptyQueueReturnsAtOnce) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    Queue<int> queue;
    const std::size_t before = test.steps();
    co_await queue.join();
    queue.put_nowait(1);
    (void)queue.get_nowait();
    queue.task_done();
    co_await queue.join();
    EXPECT_EQ(test.steps(), before);
  }(loop));
}

// QU16 "join() waits until task_done() was called once per put."
TEST(Queue, QU16JoinWaitsUntilAllIsDone) {
  Fifo market;
  market.call([&] {
    market.queue.put_nowait(1);
    market.queue.put_nowait(2);
  });
  market.joiner("j");
  market.joiner("k");
  EXPECT_EQ(market.settle(), "");
  EXPECT_THAT(market.drain(), ElementsAre(1, 2));
  EXPECT_EQ(market.settle(), "");
  EXPECT_EQ(market.call([&] { market.queue.task_done(); }), "");
  EXPECT_EQ(market.call([&] { market.queue.task_done(); }), "j k");
}

TEST(Queue, QU16AlsoForItemsThatCameLater) {
  Fifo market;
  market.call([&] { market.queue.put_nowait(1); });
  market.joiner("j");
  market.settle();
  market.call([&] {
    market.queue.put_nowait(2);
    market.queue.task_done();
  });
  EXPECT_EQ(market.order.text(), "");
  EXPECT_EQ(market.call([&] { market.queue.task_done(); }), "j");
}

TEST(Queue, QU16WhoWasWokenReturnsAlsoIfAnItemCameMeanwhile) {
  Fifo market;
  market.call([&] { market.queue.put_nowait(1); });
  market.joiner("j");
  market.settle();
  const std::string& text = market.call([&] {
    market.queue.task_done();
    market.queue.put_nowait(2);
  });
  EXPECT_EQ(text, "j");
}

TEST(Queue, QU16WorkersAndAJoin) {
  Fifo market(3);
  int sum = 0;
  auto work = [](Queue<int>& queue, int& total) -> Coro<> {
    for (;;) {
      const int item = co_await queue.get();
      co_await sleep(1s);
      total += item;
      queue.task_done();
    }
  };
  for (int i = 0; i < 4; ++i) {
    market.tasks.push_back(market.loop->create_task(work(market.queue, sum)));
  }
  market.loop.run([](Queue<int>& queue) -> Coro<> {
    for (int i = 1; i <= 100; ++i) co_await queue.put(i);
    co_await queue.join();
  }(market.queue));
  EXPECT_EQ(sum, 5050);
  EXPECT_EQ(market.loop.now(), 25s);
  for (const Task<>& task : market.tasks) task.cancel();
  market.settle();
}

TEST(Queue, QU16AJoinMayBeCancelled) {
  Fifo market;
  market.call([&] { market.queue.put_nowait(1); });
  market.joiner("j");
  market.joiner("k");
  market.settle();
  market.tasks[0].cancel("why");
  market.settle();
  EXPECT_EQ(message_of(market.tasks[0]), "why");
  EXPECT_EQ(market.call([&] { market.queue.task_done(); }), "k");
}

// QU17 "task_done() beyond the number of puts -> ValueError."
TEST(Queue, QU17TooManyTaskDoneAreAnError) {
  Fifo market;
  market.call([&] {
    EXPECT_THROW(market.queue.task_done(), ValueError);
    market.queue.put_nowait(1);
    market.queue.task_done();
    EXPECT_THROW(market.queue.task_done(), ValueError);
    EXPECT_EQ(market.queue.statistics().unfinished, 0u);
    EXPECT_EQ(market.queue.qsize(), 1u);
  });
}

// --- shutdown, of all three --------------------------------------------------------------------
// All of it runs over the three kinds.

template <typename Q>
class QueueShutdown : public testing::Test {
 protected:
  /// In which order the items 1, 2, 3 come out.
  static std::vector<int> one_two_three() { return order_of<Q>({1, 2, 3}); }
};

struct QueueNames {
  template <typename Q>
  static std::string GetName(int /*index*/) {
    if (std::is_same_v<Q, Queue<int>>) return "Fifo";
    return std::is_same_v<Q, LifoQueue<int>> ? "Lifo" : "Priority";
  }
};
using Queues = testing::Types<Queue<int>, LifoQueue<int>, PriorityQueue<int>>;
TYPED_TEST_SUITE(QueueShutdown, Queues, QueueNames);

// QU25 "All of QU18-24 hold for LIFO and priority variants.": an item in flight, one left, a getter
// and a putter that wait, and the end.
TYPED_TEST(QueueShutdown, QU25ALifeEndsAlikeInEveryKind) {
  Market<TypeParam> market(1);
  market.call([&] {
    market.queue.put_nowait(1);
    EXPECT_EQ(market.queue.get_nowait(), 1);
    market.queue.put_nowait(2);
  });
  market.joiner("joined");
  market.putter("p", 3);
  EXPECT_EQ(market.settle(), "");
  EXPECT_EQ(market.call([&] { market.queue.shutdown(); }), "p:shutdown");
  market.getter("g");
  market.getter("h");
  EXPECT_EQ(market.settle(), "p:shutdown g=2 h:shutdown");
  market.call([&] {
    market.queue.task_done();
    market.queue.task_done();
    EXPECT_THROW(market.queue.task_done(), ValueError);
  });
  EXPECT_EQ(market.settle(), "p:shutdown g=2 h:shutdown joined");
}

// QU18 "shutdown(): put/put_nowait raise QueueShutDown always, from then on."
TYPED_TEST(QueueShutdown, QU18NothingCanBePut) {
  for (const int maxsize : {0, 1, 5}) {
    Market<TypeParam> market(maxsize);
    market.call([&] {
      market.queue.put_nowait(1);
      market.queue.shutdown();
      EXPECT_THROW(market.queue.put_nowait(2), QueueShutDown);
      EXPECT_THROW(market.queue.emplace_nowait(2), QueueShutDown);
      EXPECT_EQ(market.queue.get_nowait(), 1);
      EXPECT_THROW(market.queue.put_nowait(2), QueueShutDown);
    });
    market.putter("p", 3);
    EXPECT_EQ(market.settle(), "p:shutdown");
    EXPECT_EQ(market.queue.statistics().unfinished, 1u);
  }
}

TYPED_TEST(QueueShutdown, QU18PuttingIsRefusedWithoutSuspending) {
  Market<TypeParam> market(1);
  market.loop.run([](Market<TypeParam>& all) -> Coro<> {
    all.queue.put_nowait(1);
    all.queue.shutdown();
    const std::size_t before = all.loop.steps();
    co_await put(all.queue, all.order, "p", 2);
    EXPECT_EQ(all.loop.steps(), before);
  }(market));
  EXPECT_EQ(market.settle(), "p:shutdown");
}

// QU19 "shutdown(): get/get_nowait deliver the remaining items, then QueueShutDown."
TYPED_TEST(QueueShutdown, QU19TheRestCanBeGot) {
  const std::vector<int> expected = this->one_two_three();
  Market<TypeParam> market;
  market.call([&] {
    for (const int item : {1, 2, 3}) market.queue.put_nowait(item);
    market.queue.shutdown();
    EXPECT_EQ(market.queue.qsize(), 3u);
    EXPECT_EQ(market.queue.get_nowait(), expected[0]);
  });
  for (const char* name : {"a", "b", "c", "d"}) market.getter(name);
  EXPECT_EQ(market.settle(), "a=" + std::to_string(expected[1]) +
                                 " b=" + std::to_string(expected[2]) + " c:shutdown d:shutdown");
  market.call([&] { EXPECT_THROW((void)market.queue.get_nowait(), QueueShutDown); });
}

TYPED_TEST(QueueShutdown, QU19GettingFromAnEmptyOneIsRefusedWithoutSuspending) {
  Market<TypeParam> market;
  market.loop.run([](Market<TypeParam>& all) -> Coro<> {
    all.queue.shutdown();
    const std::size_t before = all.loop.steps();
    co_await get(all.queue, all.order, "a");
    EXPECT_EQ(all.loop.steps(), before);
  }(market));
  EXPECT_EQ(market.settle(), "a:shutdown");
}

TYPED_TEST(QueueShutdown, QU19AWokenGetterGetsTheItem) {
  Market<TypeParam> market;
  market.getter("a");
  market.getter("b");
  market.settle();
  market.call([&] {
    market.queue.put_nowait(1);
    market.queue.shutdown();
  });
  EXPECT_EQ(market.order.text(), "a=1 b:shutdown");
}

// QU20 "shutdown() on empty wakes blocked getters with QueueShutDown; blocked putters get it too."
TYPED_TEST(QueueShutdown, QU20WhoWaitsIsWoken) {
  Market<TypeParam> empty;
  empty.getter("a");
  empty.getter("b");
  empty.settle();
  EXPECT_EQ(empty.call([&] { empty.queue.shutdown(); }), "a:shutdown b:shutdown");

  Market<TypeParam> full(1);
  full.putter("p", 1);
  full.putter("q", 2);
  full.putter("r", 3);
  full.settle();
  EXPECT_EQ(full.call([&] { full.queue.shutdown(); }), "p q:shutdown r:shutdown");
  EXPECT_THAT(full.drain(), ElementsAre(1));
}

TYPED_TEST(QueueShutdown, QU20AlsoAPutterThatHadRoomAlready) {
  Market<TypeParam> market(1);
  market.putter("p", 1);
  market.putter("q", 2);
  market.settle();
  const std::string& text = market.call([&] {
    (void)market.queue.get_nowait();  // q is woken
    market.queue.shutdown();
  });
  EXPECT_EQ(text, "p q:shutdown");
  EXPECT_TRUE(market.queue.empty());
}

TYPED_TEST(QueueShutdown, QU20ACancelThatCameWithItIsACancel) {
  Market<TypeParam> market;
  market.getter("a");
  market.getter("b");
  market.settle();
  const std::string& text = market.call([&] {
    market.queue.shutdown();
    market.tasks[0].cancel();
  });
  EXPECT_EQ(text, "a:cancelled b:shutdown");
}

// QU21 "shutdown(immediate): items are dropped, all blocked get/put raise, each dropped item counts
// as done."
TYPED_TEST(QueueShutdown, QU21ImmediatelyDropsTheItems) {
  Market<TypeParam> market(2);
  market.call([&] {
    market.queue.put_nowait(1);
    market.queue.put_nowait(2);
  });
  market.putter("p", 3);
  market.joiner("j");
  EXPECT_EQ(market.settle(), "");
  market.call([&] {
    market.queue.shutdown(true);
    EXPECT_TRUE(market.queue.empty());
    EXPECT_EQ(market.queue.statistics().unfinished, 0u);
    EXPECT_THROW((void)market.queue.get_nowait(), QueueShutDown);
    EXPECT_THROW(market.queue.put_nowait(4), QueueShutDown);
    EXPECT_THROW(market.queue.task_done(), ValueError);
  });
  EXPECT_THAT(market.order.text(), testing::AnyOf("p:shutdown j", "j p:shutdown"));
  market.getter("a");
  market.settle();
  EXPECT_THAT(market.order.text(), testing::EndsWith("a:shutdown"));
}

TYPED_TEST(QueueShutdown, QU21ImmediatelyWakesTheGetters) {
  Market<TypeParam> market;
  market.getter("a");
  market.getter("b");
  market.settle();
  const std::string& text = market.call([&] {
    market.queue.put_nowait(1);  // a is woken
    market.queue.shutdown(true);
  });
  EXPECT_EQ(text, "a:shutdown b:shutdown");
  EXPECT_EQ(market.queue.statistics().unfinished, 0u);
}

TYPED_TEST(QueueShutdown, QU21ImmediatelyAfterAnOrdinaryOne) {
  Market<TypeParam> market;
  market.call([&] {
    market.queue.put_nowait(1);
    market.queue.shutdown();
    market.queue.shutdown();
    EXPECT_EQ(market.queue.qsize(), 1u);
    market.queue.shutdown(true);
    EXPECT_THROW((void)market.queue.get_nowait(), QueueShutDown);
  });
  market.joiner("j");
  EXPECT_EQ(market.settle(), "j");
}

// QU22 "Immediate shutdown with an item in flight: join() still waits for that item's task_done."
TYPED_TEST(QueueShutdown, QU22JoinWaitsForWhatIsInFlight) {
  Market<TypeParam> market;
  market.call([&] {
    for (const int item : {1, 2, 3}) market.queue.put_nowait(item);
    (void)market.queue.get_nowait();
  });
  market.joiner("j");
  market.settle();
  EXPECT_EQ(market.call([&] { market.queue.shutdown(true); }), "");
  EXPECT_EQ(market.queue.statistics().unfinished, 1u);
  EXPECT_EQ(market.call([&] { market.queue.task_done(); }), "j");
}

// QU23 "Non-immediate shutdown never unblocks join() by itself."
TYPED_TEST(QueueShutdown, QU23AnOrdinaryOneDoesNotEndAJoin) {
  Market<TypeParam> market;
  market.call([&] { market.queue.put_nowait(1); });
  market.joiner("j");
  market.settle();
  EXPECT_EQ(market.call([&] { market.queue.shutdown(); }), "");
  EXPECT_EQ(market.call([&] { (void)market.queue.get_nowait(); }), "");
  EXPECT_EQ(market.call([&] { market.queue.task_done(); }), "j");
}

// QU24 "task_done after shutdown works normally and still underflows with ValueError."
TYPED_TEST(QueueShutdown, QU24TaskDoneWorksAsBefore) {
  for (const bool immediate : {false, true}) {
    Market<TypeParam> market;
    market.call([&] {
      market.queue.put_nowait(1);
      market.queue.put_nowait(2);
      (void)market.queue.get_nowait();
      (void)market.queue.get_nowait();
      market.queue.shutdown(immediate);
      market.queue.task_done();
      market.queue.task_done();
      EXPECT_THROW(market.queue.task_done(), ValueError);
    });
    market.joiner("j");
    EXPECT_EQ(market.settle(), "j");
  }
}

}  // namespace
