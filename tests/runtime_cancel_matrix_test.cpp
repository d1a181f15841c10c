/// The cancel matrix of runtime/README.md, for timers, futures and tasks. Each cell has one
/// outcome.
#include <rota/future.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>

#include "support/cancel_matrix.hpp"

#include <gtest/gtest.h>

#include <tuple>

namespace rota {
namespace {

using namespace std::chrono_literals;
using testing_support::cancel_from;
using testing_support::cancelled;
using testing_support::completed;
using testing_support::From;
using testing_support::Moment;
using testing_support::observe;
using testing_support::Seen;
using testing_support::spend_the_budget;

class CancelMatrix : public testing::TestWithParam<std::tuple<Moment, From>> {
 protected:
  Moment moment() const { return std::get<0>(GetParam()); }
  From from() const { return std::get<1>(GetParam()); }

  /// Runs `body` as a task, with the cancel at the cell's moment where that is before or while it
  /// waits.
  Seen run(Coro<Seen> body) {
    auto main = [](CancelMatrix& cell, Coro<Seen> coro) -> Coro<Seen> {
      cell.victim_ = create_task(std::move(coro));
      if (cell.moment() == Moment::in_flight) {
        co_await sleep(0s);  // now it waits
        cancel_from(cell.from(), cell.victim_);
      }
      co_return co_await cell.victim_;
    };
    return loop_.run_until_complete(main(*this, std::move(body)));
  }
  void cancel_victim() { cancel_from(from(), victim_); }
  void cancel_if(Moment when) {
    if (moment() == when) cancel_victim();
  }

  EventLoop loop_;
  Task<Seen> victim_;
};

TEST_P(CancelMatrix, Timer) {
  if (moment() == Moment::fairness_requeue)
    return;  // a sleep always waits: the cell does not exist
  auto wait = [this]() -> Coro<> {
    cancel_if(Moment::before_start);
    if (moment() != Moment::completed_not_resumed) {
      co_await sleep(1h);
    } else {
      // Armed before the sleep and due with it: when this runs, the sleep is over and its task is
      // queued.
      const TimePoint due = loop_.time() + 1ms;
      loop_.call_at(due, [this] { cancel_victim(); });
      co_await sleep(due - loop_.time());
      ADD_FAILURE() << "the sleep ended as if there were no cancel";
    }
  };
  EXPECT_EQ(run(observe(wait)), cancelled);
  EXPECT_TRUE(loop_.timers.empty());
}

TEST_P(CancelMatrix, Future) {
  Future<int> future;
  auto wait = [this, &future]() -> Coro<> {
    if (moment() == Moment::completed_not_resumed) {
      loop_.call_soon([this, &future] {
        future.set_result(5);
        cancel_victim();
      });
    }
    if (moment() == Moment::fairness_requeue) {
      future.set_result(5);
      loop_.call_soon([this] { cancel_victim(); });
      co_await spend_the_budget();
    }
    cancel_if(Moment::before_start);
    EXPECT_EQ(co_await future, 5);
  };
  const bool wins = moment() == Moment::fairness_requeue;
  EXPECT_EQ(run(observe(wait)), wins ? completed : cancelled);
  // A cancel that was passed on ended the future; one that came too late left its result alone.
  const bool passed_on = moment() == Moment::before_start || moment() == Moment::in_flight;
  EXPECT_EQ(future.cancelled(), passed_on);
  if (!passed_on) {
    EXPECT_EQ(future.result(), 5);
  }
}

TEST_P(CancelMatrix, Task) {
  Task<int> child;
  auto body = [](std::chrono::nanoseconds delay) -> Coro<int> {
    co_await sleep(delay);
    co_return 5;
  };
  auto wait = [this, &child, body]() -> Coro<> {
    const bool completes =
        moment() == Moment::completed_not_resumed || moment() == Moment::fairness_requeue;
    child = create_task(body(completes ? 0s : 3600s));
    if (moment() == Moment::completed_not_resumed) {
      // Added before the await, so called before the awaiting task is resumed.
      child.add_done_callback([this](const Task<int>&) { cancel_victim(); });
    }
    if (moment() == Moment::fairness_requeue) {
      while (!child.done()) co_await sleep(0s);
      loop_.call_soon([this] { cancel_victim(); });
      co_await spend_the_budget();
    }
    cancel_if(Moment::before_start);
    EXPECT_EQ(co_await child, 5);
  };
  const bool wins = moment() == Moment::fairness_requeue;
  EXPECT_EQ(run(observe(wait)), wins ? completed : cancelled);
  const bool passed_on = moment() == Moment::before_start || moment() == Moment::in_flight;
  ASSERT_TRUE(child.done());
  EXPECT_EQ(child.cancelled(), passed_on);
  if (!passed_on) {
    EXPECT_EQ(child.result(), 5);
  }
}

INSTANTIATE_TEST_SUITE_P(Cells, CancelMatrix,
                         testing::Combine(testing::Values(Moment::before_start, Moment::in_flight,
                                                          Moment::completed_not_resumed,
                                                          Moment::fairness_requeue),
                                          testing::Values(From::own_loop, From::other_loop)),
                         [](const auto& cell) {
                           return to_string(std::get<0>(cell.param)) +
                                  to_string(std::get<1>(cell.param));
                         });

}  // namespace
}  // namespace rota
