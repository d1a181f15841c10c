/// sync_capacity_limiter_test.cpp: CapacityLimiter: who has which token, and what happens when
/// their number changes.
///
/// The statements quoted are anyio's and trio's, by their numbers in the catalogue of behaviours;
/// D.. are rota's decisions.

#include <rota/capacity_limiter.hpp>
#include <rota/error.hpp>
#include <rota/loop.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>
#include <rota/timeout.hpp>
#include <rota/with.hpp>

#include "support/cancel_matrix.hpp"
#include "support/contenders.hpp"
#include "support/observe.hpp"
#include "support/test_loop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace {

using namespace std::chrono_literals;
using namespace rota::testing_support;
using rota::CapacityLimiter;
using rota::Coro;
using rota::create_task;
using rota::current_task;
using rota::LoopOptions;
using rota::RuntimeError;
using rota::sleep;
using rota::Task;
using rota::unlimited;
using rota::ValueError;
using rota::with;
using rota::WouldBlock;
using testing::ElementsAre;

/// A limiter, and tasks that take its tokens and keep them.
struct Contest {
  Contest(int tokens, const std::string& names) : limiter(tokens) {
    for (const char name : names) add(std::string(1, name));
    loop.run_until_idle();
  }
  void add(const std::string& name) {
    tasks.push_back(loop->create_task(take(limiter, order, name)));
  }
  /// Gives the token of `task` back, and looks who comes.
  const std::string& release(std::size_t task) {
    return call([&, task] { limiter.release_on_behalf_of(tasks[task]); });
  }
  template <typename Function>
  const std::string& call(Function function) {
    loop.call(function);
    return settle();
  }
  const std::string& settle() {
    loop.run_until_idle();
    return order.text();
  }
  std::size_t waiting() const { return limiter.statistics().tasks_waiting; }

  CapacityLimiter limiter;
  Order order;
  TestLoop loop;
  std::vector<Task<>> tasks;
};

Coro<> acquire_for(CapacityLimiter& limiter, const void* borrower) {
  co_await limiter.acquire_on_behalf_of(borrower);
}

// --- tokens and borrowers ----------------------------------------------------------------------

// PR08 "CapacityLimiter: tokens int >=0 or inf; per-borrower - second borrow by the same borrower
// and release by a non-borrower -> RuntimeError."
TEST(CapacityLimiter, PR08TheNumberOfTokensIsAWholeNumberOrUnlimited) {
  EXPECT_EQ(CapacityLimiter(0).total_tokens(), 0u);
  EXPECT_EQ(CapacityLimiter(7).total_tokens(), 7u);
  EXPECT_EQ(CapacityLimiter(unlimited).total_tokens(), unlimited);
  EXPECT_THROW(CapacityLimiter(-1), ValueError);
  EXPECT_FALSE((std::is_constructible_v<CapacityLimiter, double>));
  CapacityLimiter limiter(1);
  EXPECT_THROW(limiter.set_total_tokens(-1), ValueError);
  EXPECT_EQ(limiter.total_tokens(), 1u);
}

TEST(CapacityLimiter, PR08SaysHowManyTokensAreBorrowed) {
  Contest contest(3, "ab");
  EXPECT_EQ(contest.limiter.borrowed_tokens(), 2u);
  EXPECT_EQ(contest.limiter.available_tokens(), 1u);
  contest.release(0);
  EXPECT_EQ(contest.limiter.borrowed_tokens(), 1u);
  EXPECT_EQ(contest.limiter.available_tokens(), 2u);
}

TEST(CapacityLimiter, PR08AFreeTokenIsTakenWithoutSuspending) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    CapacityLimiter limiter(1);
    const std::size_t before = test.steps();
    for (int i = 0; i < 1000; ++i) {
      co_await limiter.acquire();
      EXPECT_EQ(limiter.available_tokens(), 0u);
      limiter.release();
    }
    EXPECT_EQ(test.steps(), before);
  }(loop));
}

TEST(CapacityLimiter, PR08ATaskBorrowsOneTokenAtMost) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    CapacityLimiter limiter(2);
    co_await limiter.acquire();
    EXPECT_THROW(co_await limiter.acquire(), RuntimeError);
    EXPECT_THROW(limiter.acquire_nowait(), RuntimeError);
    EXPECT_EQ(limiter.borrowed_tokens(), 1u);
    limiter.set_total_tokens(1);
    EXPECT_THROW(co_await limiter.acquire(), RuntimeError);  // at once: it would wait for itself
    limiter.release();
    co_await limiter.acquire();
    limiter.release();
  }());
}

TEST(CapacityLimiter, PR08WhoHasNoTokenCannotGiveItBack) {
  Contest contest(1, "a");
  const std::string& text = contest.call([&] {
    EXPECT_THROW(contest.limiter.release(), RuntimeError);  // no task
    EXPECT_THROW(contest.limiter.release_on_behalf_of(&contest), RuntimeError);
  });
  EXPECT_EQ(text, "a");
  contest.loop.run([](CapacityLimiter& limiter) -> Coro<> {
    EXPECT_THROW(limiter.release(), RuntimeError);
    co_return;
  }(contest.limiter));
  EXPECT_EQ(contest.limiter.borrowed_tokens(), 1u);
}

TEST(CapacityLimiter, PR08WithoutATokenEverybodyWaits) {
  Contest contest(0, "a");
  EXPECT_EQ(contest.waiting(), 1u);
  contest.call(
      [&] { EXPECT_THROW(contest.limiter.acquire_on_behalf_of_nowait(&contest), WouldBlock); });
  EXPECT_EQ(contest.call([&] { contest.limiter.set_total_tokens(1); }), "a");
}

TEST(CapacityLimiter, PR08UnlimitedTokensNeverEnd) {
  Contest contest(0, "ab");
  EXPECT_EQ(contest.call([&] { contest.limiter.set_total_tokens(unlimited); }), "a b");
  EXPECT_EQ(contest.limiter.available_tokens(), unlimited);
}

TEST(CapacityLimiter, D5AfterManyAcquiresThatNeedNotWaitTheTaskGivesWayOnce) {
  TestLoop loop{LoopOptions()};
  CapacityLimiter limiter(1);
  auto work = [&limiter]() -> Coro<> {
    co_await limiter.acquire();
    limiter.release();
  };
  EXPECT_THAT(loop.run(count_by_step(loop, 300, work)), ElementsAre(127, 128, 45));
}

TEST(CapacityLimiter, D5WhoGivesWayQueuesIfTheTokenWasTakenMeanwhile) {
  TestLoop loop{LoopOptions()};
  CapacityLimiter limiter(1);
  Order order;
  auto polite = loop->create_task([](CapacityLimiter& contested, Order& out) -> Coro<> {
    co_await spend_the_budget();
    create_task(use(contested, out, "other"));
    co_await use(contested, out, "polite");
  }(limiter, order));
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "other polite");
  EXPECT_TRUE(polite.done());
  EXPECT_EQ(limiter.borrowed_tokens(), 0u);
}

// --- their number ------------------------------------------------------------------------------

// PR09 "Raising total_tokens wakes as many waiters; lowering lets borrowers finish."
TEST(CapacityLimiter, PR09MoreTokensLetSoManyMoreGoOn) {
  Contest contest(1, "abcd");
  EXPECT_EQ(contest.order.text(), "a");
  EXPECT_EQ(contest.call([&] { contest.limiter.set_total_tokens(3); }), "a b c");
  EXPECT_EQ(contest.waiting(), 1u);
  EXPECT_EQ(contest.call([&] { contest.limiter.set_total_tokens(9); }), "a b c d");
  EXPECT_EQ(contest.limiter.available_tokens(), 5u);
}

TEST(CapacityLimiter, PR09WithFewerTokensNobodyLosesHis) {
  Contest contest(3, "abcd");
  contest.call([&] { contest.limiter.set_total_tokens(1); });
  EXPECT_EQ(contest.limiter.borrowed_tokens(), 3u);
  EXPECT_EQ(contest.limiter.available_tokens(), 0u);
  EXPECT_EQ(contest.release(0), "a b c");
  EXPECT_EQ(contest.release(1), "a b c");
  EXPECT_EQ(contest.release(2), "a b c d");  // only now there is one again
  EXPECT_EQ(contest.limiter.borrowed_tokens(), 1u);
}

// --- on behalf of others -----------------------------------------------------------------------

// PR10 "acquire_on_behalf_of(any object); FIFO queue; cancel leaves no token behind."
TEST(CapacityLimiter, PR10AnyObjectMayBorrow) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    std::array<int, 3> things{};
    CapacityLimiter limiter(2);
    co_await limiter.acquire_on_behalf_of(&things[0]);
    limiter.acquire_on_behalf_of_nowait(&things[1]);
    EXPECT_THROW(limiter.acquire_on_behalf_of_nowait(&things[1]), RuntimeError);
    EXPECT_THROW(limiter.acquire_on_behalf_of_nowait(&things[2]), WouldBlock);
    EXPECT_THROW(limiter.release(), RuntimeError);  // neither is this task's
    limiter.release_on_behalf_of(&things[0]);
    limiter.acquire_on_behalf_of_nowait(&things[2]);
    EXPECT_THROW(limiter.release_on_behalf_of(&things[0]), RuntimeError);
    limiter.release_on_behalf_of(&things[2]);
    limiter.release_on_behalf_of(&things[1]);
    EXPECT_EQ(limiter.borrowed_tokens(), 0u);
  }());
}

TEST(CapacityLimiter, PR10ATaskIsABorrowerLikeAnother) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    CapacityLimiter limiter(1);
    limiter.acquire_on_behalf_of_nowait(current_task());
    EXPECT_THROW(limiter.acquire_nowait(), RuntimeError);
    limiter.release();
    EXPECT_EQ(limiter.borrowed_tokens(), 0u);
    co_return;
  }());
}

TEST(CapacityLimiter, PR10WhoAwaitsBorrowsNotWhoCalled) {
  Contest contest(1, "");
  contest.loop.run([](CapacityLimiter& limiter) -> Coro<> {
    auto child = create_task(limiter.acquire());
    co_await child;
    EXPECT_THROW(limiter.release(), RuntimeError);
    limiter.release_on_behalf_of(child);
  }(contest.limiter));
}

TEST(CapacityLimiter, PR10TokensGoToTheLongestWaiting) {
  Contest contest(2, "abcd");
  EXPECT_EQ(contest.release(1), "a b c");
  EXPECT_EQ(contest.release(0), "a b c d");
}

TEST(CapacityLimiter, PR10ANewcomerDoesNotPassTheOneWhoseTurnItIs) {
  Contest contest(1, "ab");
  const std::string& text = contest.call([&] {
    contest.add("newcomer");  // will run before b
    contest.limiter.release_on_behalf_of(contest.tasks[0]);
    EXPECT_EQ(contest.limiter.borrowed_tokens(), 1u);  // b's
    EXPECT_THROW(contest.limiter.acquire_on_behalf_of_nowait(&contest), WouldBlock);
  });
  EXPECT_EQ(text, "a b");
}

TEST(CapacityLimiter, PR10WhoseBorrowerGotATokenMeanwhileIsRefused) {
  Contest contest(1, "a");
  int thing = 0;
  auto first = contest.loop->create_task(acquire_for(contest.limiter, &thing));
  auto second = contest.loop->create_task(acquire_for(contest.limiter, &thing));
  contest.add("b");
  contest.settle();
  EXPECT_EQ(contest.release(0), "a");
  EXPECT_TRUE(first.done() && first.exception() == nullptr);
  EXPECT_FALSE(second.done());
  EXPECT_EQ(contest.call([&] { contest.limiter.set_total_tokens(2); }), "a b");  // in its place
  EXPECT_THROW(second.result(), RuntimeError);
  EXPECT_EQ(contest.limiter.borrowed_tokens(), 2u);
}

// --- cancelling --------------------------------------------------------------------------------

TEST(CapacityLimiter, PR10ACancelledWaiterLeavesNoTokenBehind) {
  Contest contest(1, "abc");
  contest.tasks[1].cancel();
  EXPECT_EQ(contest.settle(), "a b:cancelled");
  EXPECT_EQ(contest.waiting(), 1u);
  EXPECT_EQ(contest.release(0), "a b:cancelled c");
  EXPECT_EQ(contest.limiter.borrowed_tokens(), 1u);
}

TEST(CapacityLimiter, PR10WithACancelAfterItsTurnTheTokenGoesToTheNext) {
  Contest contest(1, "abc");
  const std::string& text = contest.call([&] {
    contest.limiter.release_on_behalf_of(contest.tasks[0]);
    contest.tasks[1].cancel();
  });
  EXPECT_EQ(text, "a b:cancelled c");
  contest.call([&] {
    contest.limiter.release_on_behalf_of(contest.tasks[2]);
    EXPECT_EQ(contest.limiter.borrowed_tokens(), 0u);
  });
}

TEST(CapacityLimiter, PR10WithoutANextTheTokenIsFree) {
  Contest contest(1, "ab");
  contest.call([&] {
    contest.limiter.release_on_behalf_of(contest.tasks[0]);
    contest.tasks[1].cancel();
  });
  EXPECT_EQ(contest.limiter.available_tokens(), 1u);
}

TEST(CapacityLimiter, PR10ATaskThatIsCancelledBeforeItWaitsBorrowsNothing) {
  Contest contest(0, "");
  contest.loop->create_task([](Contest& all) -> Coro<> {
    current_task().cancel();
    co_await take(all.limiter, all.order, "a");
  }(contest));
  EXPECT_EQ(contest.settle(), "a:cancelled");
  EXPECT_EQ(contest.waiting(), 0u);
  contest.call([&] { contest.limiter.set_total_tokens(1); });
  EXPECT_EQ(contest.limiter.borrowed_tokens(), 0u);
}

TEST(CapacityLimiter, PR10ACancelledOneThatWouldHaveBeenRefusedGivesNoTokenBack) {
  Contest contest(0, "");
  int thing = 0;
  auto first = contest.loop->create_task(acquire_for(contest.limiter, &thing));
  auto second = contest.loop->create_task(acquire_for(contest.limiter, &thing));
  contest.settle();
  contest.call([&] {
    contest.limiter.set_total_tokens(2);
    second.cancel();
  });
  EXPECT_TRUE(first.done() && second.cancelled());
  EXPECT_EQ(contest.limiter.borrowed_tokens(), 1u);
}

TEST(CapacityLimiter, PR10ATimeoutTakesNoToken) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    CapacityLimiter limiter(0);
    EXPECT_EQ(co_await word_of(rota::timeout(3s, limiter.acquire())), ":timeout");
    EXPECT_EQ(test.now(), 3s);
    limiter.set_total_tokens(1);
    EXPECT_EQ(limiter.available_tokens(), 1u);
  }(loop));
}

// PR07 "Cancelling one of two contenders never deadlocks the other."
TEST(CapacityLimiter, PR07NoTokenIsLostAndNobodyIsForgotten) {
  for (std::size_t victim = 0; victim < 4; ++victim) {
    for (std::size_t steps = 0; steps < 10; ++steps) {
      CapacityLimiter limiter(2);
      TestLoop loop;
      auto contend = [](CapacityLimiter& contested) -> Coro<> {
        auto token = co_await contested.scoped();
        co_await sleep(0s);
      };
      std::vector<Task<>> tasks;
      for (int i = 0; i < 4; ++i) tasks.push_back(loop->create_task(contend(limiter)));
      loop.run_steps(steps);
      tasks[victim].cancel();
      tasks[(victim + 1) % 4].cancel();
      loop.run_until_idle();
      for (const std::size_t other : {(victim + 2) % 4, (victim + 3) % 4}) {
        EXPECT_TRUE(tasks[other].done() && !tasks[other].cancelled())
            << "victim " << victim << ", " << steps << " steps";
      }
      EXPECT_EQ(limiter.available_tokens(), 2u);
    }
  }
}

// --- the rest ----------------------------------------------------------------------------------

// LK12, of a CapacityLimiter: "Scoped form acquires on entry, releases on every exit path".
TEST(CapacityLimiter, LK12ScopesGiveTheTokenBack) {
  TestLoop loop;
  CapacityLimiter limiter(1);
  auto use_scoped = [](CapacityLimiter& lent, bool fails) -> Coro<> {
    auto token = co_await lent.scoped();
    EXPECT_EQ(lent.borrowed_tokens(), 1u);
    if (fails) throw std::runtime_error("error");
    co_await sleep(1s);
  };
  EXPECT_EQ(loop.run(word_of(use_scoped(limiter, false))), "");
  EXPECT_EQ(limiter.borrowed_tokens(), 0u);
  EXPECT_EQ(loop.run(word_of(use_scoped(limiter, true))), ":error");
  EXPECT_EQ(limiter.borrowed_tokens(), 0u);
  auto cancelled = loop->create_task(use_scoped(limiter, false));
  loop.run_steps(1);
  EXPECT_EQ(limiter.borrowed_tokens(), 1u);
  cancelled.cancel();
  loop.run_until_idle();
  EXPECT_EQ(limiter.borrowed_tokens(), 0u);
}

TEST(CapacityLimiter, LK12ATokenThatIsHandedToAnotherTaskIsStillItsBorrowers) {
  TestLoop loop;
  CapacityLimiter limiter(1);
  loop.run([](CapacityLimiter& lent) -> Coro<> {
    auto token = co_await lent.scoped();
    co_await create_task([](rota::BorrowedToken moved) -> Coro<> {
      const auto goes_here = std::move(moved);
      co_return;
    }(std::move(token)));
    EXPECT_EQ(lent.borrowed_tokens(), 0u);
  }(limiter));
}

TEST(CapacityLimiter, LK12WithGivesTheTokenBack) {
  TestLoop loop;
  CapacityLimiter limiter(1);
  auto body = [](CapacityLimiter& lent) -> Coro<int> {
    EXPECT_EQ(lent.borrowed_tokens(), 1u);
    co_return 12;
  };
  EXPECT_EQ(loop.run(word_of(with(limiter, body))), "=12");
  auto fails = []() -> Coro<> {
    throw std::runtime_error("error");
    co_return;
  };
  EXPECT_EQ(loop.run(word_of(with(limiter, fails))), ":error");
  EXPECT_EQ(limiter.borrowed_tokens(), 0u);
}

// PR05 "statistics()". PR06 "Primitives may be created outside any loop."
TEST(CapacityLimiter, PR05StatisticsSayHowItIs) {
  Contest contest(1, "abc");
  const auto seen = contest.limiter.statistics();
  EXPECT_EQ(seen.total_tokens, 1u);
  EXPECT_EQ(seen.borrowed_tokens, 1u);
  EXPECT_EQ(seen.tasks_waiting, 2u);
}

// LK16, of a CapacityLimiter: "raises RuntimeError 'bound to a different event loop'."
TEST(CapacityLimiter, LK16UseOnAnotherLoopIsRefusedAtTheCall) {
  Contest contest(1, "ab");
  CapacityLimiter& limiter = contest.limiter;
  EXPECT_THAT(elsewhere([&] { (void)limiter.acquire(); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { (void)limiter.acquire_on_behalf_of(&limiter); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { limiter.acquire_on_behalf_of_nowait(&limiter); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { (void)limiter.scoped(); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { limiter.release_on_behalf_of(contest.tasks[0]); }), is_wrong_loop());
  EXPECT_THAT(elsewhere([&] { limiter.set_total_tokens(5); }), is_wrong_loop());
  EXPECT_EQ(limiter.borrowed_tokens(), 1u);
  EXPECT_EQ(contest.settle(), "a");
}

TEST(CapacityLimiter, ALoopThatClosesTakesItsWaitersAlong) {
  CapacityLimiter limiter(0);
  Order order;
  {
    TestLoop loop;
    for (const char* name : {"a", "b"}) loop->create_task(take(limiter, order, name));
    loop.run_until_idle();
    loop->close();
    EXPECT_EQ(loop.reports().size(), 2u);
  }
  EXPECT_EQ(limiter.statistics().tasks_waiting, 0u);
  EXPECT_EQ(order.text(), "");
}

}  // namespace
