/// sync_parking_lot_test.cpp: ParkingLot: who waits, who is let go, and in which order.
///
/// The statements quoted are trio's, by their numbers in the catalogue of behaviours.

#include <rota/error.hpp>
#include <rota/parking_lot.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>
#include <rota/timeout.hpp>

#include "support/cancel_matrix.hpp"
#include "support/contenders.hpp"
#include "support/observe.hpp"
#include "support/outcome.hpp"
#include "support/test_loop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace rota::testing_support;
using rota::BrokenResourceError;
using rota::CancelledError;
using rota::Coro;
using rota::create_task;
using rota::current_task;
using rota::ParkingLot;
using rota::sleep;
using rota::Task;

/// Parks; writes "name", "name:broken", or "name:cancelled" and ends cancelled.
Coro<> park(ParkingLot& lot, Order& order, std::string name) {
  try {
    co_await lot.park();
    order.add(name);
  } catch (const BrokenResourceError&) {
    order.add(name + ":broken");
  } catch (const CancelledError&) {
    order.add(name + ":cancelled");
    throw;
  }
}

/// A lot, another one, and who is parked.
struct Parked {
  explicit Parked(const std::string& names, const std::string& elsewhere = {}) {
    for (const char name : names) add(lot, std::string(1, name));
    for (const char name : elsewhere) add(other, std::string(1, name));
    loop.run_until_idle();
  }
  void add(ParkingLot& where, const std::string& name) {
    tasks.push_back(loop->create_task(park(where, order, name)));
  }
  template <typename Function>
  const std::string& call(Function function) {
    loop.call(function);
    loop.run_until_idle();
    return order.text();
  }
  std::size_t waiting() const { return lot.statistics().tasks_waiting; }

  ParkingLot lot;
  ParkingLot other;
  Order order;
  TestLoop loop;
  std::vector<Task<>> tasks;
};

// PR12 "Parking lot: FIFO park/unpark(n), repark to another lot, cancel, break."
TEST(ParkingLot, PR12TheLongestParkedGoesFirst) {
  Parked parked("abcde");
  EXPECT_EQ(parked.waiting(), 5u);
  EXPECT_EQ(parked.call([&] { EXPECT_EQ(parked.lot.unpark(), 1u); }), "a");
  EXPECT_EQ(parked.call([&] { EXPECT_EQ(parked.lot.unpark(2), 2u); }), "a b c");
  EXPECT_EQ(parked.waiting(), 2u);
  EXPECT_EQ(parked.call([&] { EXPECT_EQ(parked.lot.unpark(9), 2u); }), "a b c d e");
  EXPECT_EQ(parked.call([&] { EXPECT_EQ(parked.lot.unpark(), 0u); }), "a b c d e");
}

TEST(ParkingLot, PR12AllMayBeLetGoAtOnce) {
  Parked parked("abc");
  const std::string& text = parked.call([&] {
    EXPECT_EQ(parked.lot.unpark_all(), 3u);
    EXPECT_EQ(parked.waiting(), 0u);
    EXPECT_EQ(parked.order.text(), "");  // nobody runs inside
  });
  EXPECT_EQ(text, "a b c");
}

TEST(ParkingLot, PR12NoUnparkIsKeptForLater) {
  Parked parked("");
  parked.call([&] { EXPECT_EQ(parked.lot.unpark(3), 0u); });
  EXPECT_EQ(parked.call([&] { parked.add(parked.lot, "a"); }), "");
  EXPECT_EQ(parked.waiting(), 1u);
}

TEST(ParkingLot, PR12WhoParksAgainIsTheLast) {
  Parked parked("b");
  parked.loop->create_task([](Parked& all) -> Coro<> {
    co_await park(all.lot, all.order, "a1");
    co_await park(all.lot, all.order, "a2");
  }(parked));
  parked.loop.run_until_idle();
  EXPECT_EQ(parked.call([&] { parked.lot.unpark_all(); }), "b a1");
  parked.call([&] { parked.add(parked.lot, "c"); });
  EXPECT_EQ(parked.call([&] { parked.lot.unpark_all(); }), "b a1 a2 c");
}

TEST(ParkingLot, PR12ReparkedOnesWaitBehindThoseInTheOtherLot) {
  Parked parked("abcd", "x");
  EXPECT_EQ(parked.call([&] { EXPECT_EQ(parked.lot.repark(parked.other), 1u); }), "");
  EXPECT_EQ(parked.call([&] { EXPECT_EQ(parked.lot.repark(parked.other, 2), 2u); }), "");
  EXPECT_EQ(parked.waiting(), 1u);
  EXPECT_EQ(parked.other.statistics().tasks_waiting, 4u);
  EXPECT_EQ(parked.call([&] { parked.other.unpark(3); }), "x a b");
  EXPECT_EQ(parked.call([&] { EXPECT_EQ(parked.lot.repark(parked.other, 9), 1u); }), "x a b");
  EXPECT_EQ(parked.call([&] { parked.other.unpark_all(); }), "x a b c d");
}

TEST(ParkingLot, PR12ReparkedToTheirOwnLotTheFirstBecomeTheLast) {
  Parked parked("abc");
  parked.call([&] { EXPECT_EQ(parked.lot.repark(parked.lot, 2), 2u); });
  parked.call([&] { EXPECT_EQ(parked.lot.repark_all(parked.lot), 3u); });
  EXPECT_EQ(parked.call([&] { parked.lot.unpark_all(); }), "c a b");
}

TEST(ParkingLot, PR12ACancelledTaskIsNoLongerParked) {
  Parked parked("abc");
  parked.call([&] {
    parked.tasks[1].cancel("why");
    parked.tasks[1].cancel("why");
    EXPECT_EQ(parked.waiting(), 2u);
  });
  EXPECT_EQ(parked.order.text(), "b:cancelled");
  EXPECT_EQ(message_of(parked.tasks[1]), "why");
  EXPECT_EQ(parked.call([&] { EXPECT_EQ(parked.lot.unpark(2), 2u); }), "b:cancelled a c");
}

TEST(ParkingLot, PR12AReparkedOneCanBeCancelledToo) {
  Parked parked("ab", "x");
  parked.call([&] {
    parked.lot.repark_all(parked.other);
    parked.tasks[0].cancel();
  });
  EXPECT_EQ(parked.order.text(), "a:cancelled");
  EXPECT_EQ(parked.call([&] { parked.other.unpark_all(); }), "a:cancelled x b");
}

TEST(ParkingLot, PR12ATaskThatIsCancelledBeforeItParksDoesNotPark) {
  Parked parked("");
  parked.loop->create_task([](Parked& all) -> Coro<> {
    current_task().cancel();
    co_await park(all.lot, all.order, "a");
  }(parked));
  parked.loop.run_until_idle();
  EXPECT_EQ(parked.order.text(), "a:cancelled");
  EXPECT_EQ(parked.waiting(), 0u);
}

// So that no unpark is lost.
TEST(ParkingLot, PR12ACancelAfterTheUnparkStaysDue) {
  ParkingLot lot;
  TestLoop loop;
  auto seen = loop->create_task(observe([&] { return lot.park(); }));
  loop.run_until_idle();
  loop.call([&] {
    lot.unpark();
    seen.cancel();
  });
  loop.run_until_idle();
  EXPECT_EQ(seen.result(), completed);
}

TEST(ParkingLot, PR12ATimeoutLeavesNothingBehind) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    ParkingLot lot;
    EXPECT_EQ(co_await word_of(rota::timeout(3s, lot.park())), ":timeout");
    EXPECT_EQ(test.now(), 3s);
    EXPECT_EQ(lot.statistics().tasks_waiting, 0u);
  }(loop));
}

TEST(ParkingLot, PR12ABrokenLotSendsEverybodyAway) {
  Parked parked("ab");
  EXPECT_FALSE(parked.lot.statistics().broken);
  EXPECT_EQ(parked.call([&] { parked.lot.break_lot(); }), "a:broken b:broken");
  EXPECT_TRUE(parked.lot.statistics().broken);
  EXPECT_EQ(parked.waiting(), 0u);
  EXPECT_EQ(parked.call([&] { parked.add(parked.lot, "c"); }), "a:broken b:broken c:broken");
  EXPECT_EQ(parked.call([&] { parked.lot.break_lot(); }), "a:broken b:broken c:broken");
}

TEST(ParkingLot, PR12BreakingReachesThoseWhoCameFromAnotherLot) {
  Parked parked("a");
  parked.call([&] { parked.lot.repark_all(parked.other); });
  EXPECT_EQ(parked.call([&] { parked.lot.break_lot(); }), "");
  EXPECT_EQ(parked.call([&] { parked.other.break_lot(); }), "a:broken");
}

TEST(ParkingLot, PR12NobodyIsReparkedToABrokenLot) {
  Parked parked("a");
  parked.call([&] {
    parked.other.break_lot();
    EXPECT_THROW(parked.lot.repark(parked.other), BrokenResourceError);
  });
  EXPECT_EQ(parked.call([&] { parked.lot.unpark(); }), "a");
}

// trio's breaker is a task; here it is what the task does at its end.
TEST(ParkingLot, PR12ATaskMayBreakALotByItsEnd) {
  Parked parked("a");
  auto fails = parked.loop->create_task([]() -> Coro<> {
    throw std::runtime_error("the one who would have unparked");
    co_return;
  }());
  fails.add_done_callback([&](const Task<>& task) {
    if (task.exception() != nullptr) parked.lot.break_lot();
  });
  parked.loop.run_until_idle();
  EXPECT_EQ(parked.order.text(), "a:broken");
}

// A gate that lets so many through at a time: what a lot is for.
TEST(ParkingLot, PR12APrimitiveOfOnesOwnNeedsNoMore) {
  struct Gate {
    Coro<> pass(Order& order, std::string name) {
      while (open == 0) co_await lot.park();
      --open;
      order.add(name);
    }
    void let_through(std::size_t count) {
      open += count;
      lot.unpark(count);
    }
    ParkingLot lot;
    std::size_t open = 0;
  };
  Gate gate;
  Order order;
  TestLoop loop;
  for (const char* name : {"a", "b", "c"}) loop->create_task(gate.pass(order, name));
  loop.run_until_idle();
  loop.call([&] { gate.let_through(2); });
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "a b");
  loop.call([&] { gate.let_through(2); });
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "a b c");
  EXPECT_EQ(gate.open, 1u);
}

// PR06 "Primitives may be created outside any loop."
TEST(ParkingLot, PR06IsBoundToTheLoopOfItsFirstUse) {
  ParkingLot unbound;
  unbound.unpark();  // outside any loop: nobody can be there
  Parked parked("a", "x");
  EXPECT_THAT(elsewhere([&] { (void)parked.lot.park(); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { parked.lot.unpark(); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { parked.lot.unpark_all(); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { parked.lot.repark(unbound); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { ParkingLot().repark(parked.lot); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { parked.lot.break_lot(); }), is_wrong_loop());
  EXPECT_EQ(parked.call([&] { parked.lot.unpark(); }), "a");
}

TEST(ParkingLot, ALoopThatClosesTakesItsWaitersAlong) {
  ParkingLot lot;
  Order order;
  {
    TestLoop loop;
    for (const char* name : {"a", "b"}) loop->create_task(park(lot, order, name));
    loop.run_until_idle();
    loop.call([&] { lot.unpark(); });  // a is let go, and will not run
    loop->close();
    EXPECT_EQ(loop.reports().size(), 2u);
  }
  EXPECT_EQ(lot.statistics().tasks_waiting, 0u);
  EXPECT_EQ(order.text(), "");
}

}  // namespace
