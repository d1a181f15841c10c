/// runtime_task_group_test.cpp: TaskGroup: waiting for children, errors, cancellation from outside.
///
/// The statements quoted are asyncio's, by their numbers in the catalogue of behaviours; the order
/// lists are CPython 3.15's.

#include <rota/task_group.hpp>
#include <rota/with.hpp>

#include "support/observe.hpp"
#include "support/scopes.hpp"
#include "support/test_loop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>

namespace {

using namespace std::chrono_literals;
using namespace rota::testing_support;
using rota::CancelledError;
using rota::Coro;
using rota::create_task;
using rota::current_task;
using rota::ExceptionGroup;
using rota::KeyboardInterrupt;
using rota::sleep;
using rota::TaskGroup;
using rota::with;
using testing::IsEmpty;

Coro<> sleeper(rota::Duration delay) { co_await sleep(delay); }
Coro<> yield() { co_await sleep(0s); }

/// What `body(group, args...)` in a group throws, in a word.
template <typename Body, typename... Args>
Coro<std::string> result_of(Body body, Args... args) {
  TaskGroup group;
  co_return co_await result_in(group, body, args...);
}

// TG01 "Exit waits for all children, including those added late by children."
TEST(TaskGroup, TG01TheScopeWaitsForAllChildren) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    const int sum = co_await with(
        TaskGroup(),
        [](TaskGroup& group, int base) -> Coro<int> {
          auto first = group.create_task(give_after(1s, base));
          auto second = group.create_task(give_after(2s, 2));
          group.create_task([](TaskGroup& parent) -> Coro<> {
            co_await sleep(3s);
            parent.create_task(sleeper(4s));  // late
          }(group));
          co_return co_await first + co_await second;
        },
        40);
    EXPECT_EQ(sum, 42);
    EXPECT_EQ(test.now(), 7s);
  }(loop));
}

TEST(TaskGroup, TG01TheOrderOfLeavingIsAsyncios) {
  TestLoop loop;
  Order order;
  loop.run([](Order& seen) -> Coro<> {
    auto ticks = create_task(ticker(seen, 8));
    auto scope = [](Order& said) -> Coro<> {
      auto body = [](TaskGroup& group, Order& within) -> Coro<> {
        group.create_task(steps(within, "a", 1));
        group.create_task(steps(within, "b", 2));
        within.add("body");
        co_return;
      };
      co_await with(TaskGroup(), body, std::ref(said));
      said.add("left");
    };
    co_await yield();
    co_await create_task(scope(seen));
    co_await ticks;
  }(order));
  EXPECT_EQ(order.text(), "0 1 body 2 3 a 4 b 5 6 left 7");
}

TEST(TaskGroup, TG01TakesCallablesAndAnyAwaitable) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    co_await with(TaskGroup(), [](TaskGroup& group) -> Coro<> {
      auto called = group.create_task([](int a, int b) -> Coro<int> { co_return a + b; }, 1, 2);
      auto slept = group.create_task(sleep(1s, 5));
      const std::string text(100, 'x');
      auto captured = group.create_task([text]() -> Coro<std::size_t> {
        co_await sleep(1s);
        co_return text.size();
      });
      EXPECT_EQ(co_await called, 3);
      EXPECT_EQ(co_await slept, 5);
      EXPECT_EQ(co_await captured, 100u);
    });
    EXPECT_EQ(test.now(), 1s);
  }(loop));
}

// TG02 "A child that was cancelled (or cancels itself) does not abort the group."
TEST(TaskGroup, TG02ACancelledChildDoesNotAbortTheGroup) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    EXPECT_EQ(co_await result_of([](TaskGroup& group) -> Coro<> {
                auto child = group.create_task(sleeper(1h));
                group.create_task([]() -> Coro<> {
                  current_task().cancel();
                  co_await sleep(1h);
                }());
                auto other = group.create_task(give_after(5s, 1));
                co_await yield();
                child.cancel();
                EXPECT_EQ(co_await other, 1);
              }),
              "none");
    EXPECT_EQ(test.now(), 5s);
  }(loop));
}

// TG03 "First child error cancels the other children and the body's current await; raised as an
// aggregate."
TEST(TaskGroup, TG03FirstChildErrorCancelsTheOthersAndTheBody) {
  TestLoop loop;
  Order order;
  loop.run([](Order& seen, TestLoop& test) -> Coro<> {
    auto body = [](TaskGroup& group, Order& said) -> Coro<> {
      group.create_task(fail_after(1s, "first"));
      group.create_task(say_when_cancelled(said, "child"));
      co_await say_when_cancelled(said, "body");
    };
    EXPECT_EQ(co_await result_of(body, std::ref(seen)), "group(first)");
    EXPECT_EQ(test.now(), 1s);
    EXPECT_EQ(current_task().cancelling(), 0u);
    co_await yield();
  }(order, loop));
  EXPECT_EQ(order.text(), "child body");
  EXPECT_THAT(loop.messages(), IsEmpty());
}

TEST(TaskGroup, TG03TheOrderOfAnErrorIsAsyncios) {
  TestLoop loop;
  Order order;
  loop.run([](Order& seen) -> Coro<> {
    auto ticks = create_task(ticker(seen, 10));
    auto body = [](TaskGroup& group, Order& said) -> Coro<> {
      group.create_task([](Order& within) -> Coro<> {
        co_await yield();
        within.add("bad");
        throw std::runtime_error("bad");
      }(said));
      group.create_task(say_when_cancelled(said, "x:cancelled"));
      co_await say_when_cancelled(said, "body-cancelled");
    };
    co_await create_task(observe(seen, "tg", with(TaskGroup(), body, std::ref(seen))));
    co_await ticks;
  }(order));
  EXPECT_EQ(order.text(), "0 1 2 bad 3 4 x:cancelled body-cancelled 5 6 tg:group(bad) 7 8 9");
}

TEST(TaskGroup, TG03ErrorsWhileCancellingJoinTheAggregateInTheirOrder) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    EXPECT_EQ(co_await result_of([](TaskGroup& group) -> Coro<> {
                group.create_task(fail_when_cancelled("second"));
                group.create_task(fail_after(1s, "first"));
                group.create_task(fail_when_cancelled("third"));
                co_return;
              }),
              "group(first,second,third)");
  }());
}

TEST(TaskGroup, TG03TheAggregateSaysWhatItIs) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    std::string what;
    try {
      co_await with(TaskGroup(), [](TaskGroup& group) -> Coro<> {
        group.create_task(fail_after(0s, "one"));
        group.create_task(fail_after(0s, "two"));
        co_return;
      });
    } catch (const ExceptionGroup& group) {
      what = group.what();
    }
    EXPECT_EQ(what, "unhandled errors in a TaskGroup (2 sub-exceptions)");
  }());
}

// TG04 "External cancel of the parent while waiting: children are cancelled and awaited, then
// CancelledError."
TEST(TaskGroup, TG04ACancelOfTheWaitingParentReachesTheChildren) {
  TestLoop loop;
  Order order;
  loop.run([](Order& seen, TestLoop& test) -> Coro<> {
    auto body = [](TaskGroup& group, Order& said) -> Coro<> {
      group.create_task([](Order& within) -> Coro<> {
        bool cancelled = false;
        try {
          co_await sleep(1h);
        } catch (const CancelledError&) {
          cancelled = true;
        }
        co_await sleep(10s);
        within.add(cancelled ? "cleaned" : "not cancelled");
      }(said));
      co_return;
    };
    auto task = create_task(with(TaskGroup(), body, std::ref(seen)));
    co_await sleep(1s);
    task.cancel("outside");
    std::string message;
    try {
      co_await task;
    } catch (const CancelledError& error) {
      message = error.message();
    }
    EXPECT_EQ(message, "outside");
    EXPECT_EQ(test.now(), 11s);
    EXPECT_EQ(task.cancelling(), 1u);
  }(order, loop));
  EXPECT_EQ(order.text(), "cleaned");
}

TEST(TaskGroup, TG04ACancelOfTheBodyDoesTheSame) {
  TestLoop loop;
  Order order;
  loop.run([](Order& seen) -> Coro<> {
    auto body = [](TaskGroup& group, Order& said) -> Coro<> {
      group.create_task(say_when_cancelled(said, "child"));
      co_await say_when_cancelled(said, "body");
    };
    auto task = create_task(with(TaskGroup(), body, std::ref(seen)));
    co_await sleep(1s);
    task.cancel();
    EXPECT_EQ(co_await word_of(task), ":cancelled");
  }(order));
  EXPECT_EQ(order.text(), "body child");
}

TEST(TaskGroup, TG04RepeatedCancelsEndNoWaitBeforeTheChildrenDo) {
  TestLoop loop;
  loop.run([](TestLoop& test) -> Coro<> {
    auto task = create_task(with(TaskGroup(), [](TaskGroup& group) -> Coro<> {
      group.create_task([]() -> Coro<> {
        for (int i = 0; i < 3; ++i) {
          try {
            co_await sleep(10s);
          } catch (const CancelledError&) {
          }
        }
      }());
      co_return;
    }));
    for (int i = 0; i < 3; ++i) {
      co_await sleep(1s);
      task.cancel();
    }
    EXPECT_EQ(co_await word_of(task), ":cancelled");
    EXPECT_EQ(test.now(), 21s) << "the child was cancelled once";
    EXPECT_EQ(task.cancelling(), 3u);
  }(loop));
}

// TG05 "Child errors during that cancel win over CancelledError (aggregate raised), and the
// parent's cancelling() count survives."
TEST(TaskGroup, TG05ErrorsDuringACancelWinAndTheCountSurvives) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    for (const bool body_waits : {false, true}) {
      auto scope = [](bool waits) -> Coro<std::string> {
        const std::string word = co_await result_of(
            [](TaskGroup& group, bool within) -> Coro<> {
              group.create_task(fail_when_cancelled("in clean-up"));
              if (within) co_await sleep(1h);
            },
            waits);
        EXPECT_EQ(current_task().cancelling(), 1u);
        current_task().uncancel();
        co_return word;
      };
      auto task = create_task(scope(body_waits));
      co_await sleep(1s);
      task.cancel();
      EXPECT_EQ(co_await task, "group(in clean-up)");
    }
  }());
}

// TG06 "Body error: children cancelled; body error is part of the aggregate with child errors."
TEST(TaskGroup, TG06ABodyErrorCancelsTheChildrenAndJoinsTheAggregate) {
  TestLoop loop;
  Order order;
  loop.run([](Order& seen) -> Coro<> {
    auto body = [](TaskGroup& group, Order& said) -> Coro<> {
      group.create_task(say_when_cancelled(said, "child"));
      group.create_task(fail_when_cancelled("of the child"));
      co_await sleep(1s);
      throw std::runtime_error("of the body");
    };
    EXPECT_EQ(co_await result_of(body, std::ref(seen)), "group(of the child,of the body)");
    EXPECT_EQ(co_await result_of([](TaskGroup&) -> Coro<> {
                throw std::runtime_error("alone");
                co_return;
              }),
              "group(alone)");
    EXPECT_EQ(current_task().cancelling(), 0u);
  }(order));
  EXPECT_EQ(order.text(), "child");
}

TEST(TaskGroup, TG06ABodyErrorInsteadOfTheCancellationJoinsTheAggregate) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    EXPECT_EQ(co_await result_of([](TaskGroup& group) -> Coro<> {
                group.create_task(fail_after(1s, "child"));
                co_await fail_when_cancelled("body");
              }),
              "group(child,body)");
    EXPECT_EQ(current_task().cancelling(), 0u);
  }());
}

// TG07 "Nested groups give nested aggregates."
TEST(TaskGroup, TG07NestedGroupsGiveNestedAggregates) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    auto inner = [](TaskGroup& group) -> Coro<> {
      group.create_task(fail_after(1s, "inner"));
      co_await sleep(1h);
    };
    auto outer = [](TaskGroup& group, decltype(inner) nested) -> Coro<> {
      group.create_task(fail_when_cancelled("outer"));
      co_await with(TaskGroup(), nested);
    };
    EXPECT_EQ(co_await result_of(outer, inner), "group(outer,group(inner))");
    EXPECT_EQ(current_task().cancelling(), 0u);
  }());
}

// TG08 "Outer child fails while the inner group waits: inner is cancelled, only the outer aggregate
// is raised."
TEST(TaskGroup, TG08AnOuterChildsErrorCancelsTheInnerGroup) {
  TestLoop loop;
  Order order;
  loop.run([](Order& seen) -> Coro<> {
    auto inner = [](TaskGroup& group, Order& said) -> Coro<> {
      group.create_task(say_when_cancelled(said, "inner child"));
      co_return;
    };
    auto outer = [](TaskGroup& group, decltype(inner) nested, Order& said) -> Coro<> {
      group.create_task(fail_after(1s, "outer"));
      co_await with(TaskGroup(), nested, std::ref(said));
    };
    EXPECT_EQ(co_await result_of(outer, inner, std::ref(seen)), "group(outer)");
    EXPECT_EQ(current_task().cancelling(), 0u);
  }(order));
  EXPECT_EQ(order.text(), "inner child");
}

// TG09 "KeyboardInterrupt of a child leaves bare, not aggregated, after the children ended."
TEST(TaskGroup, TG09AnInterruptLeavesBareAfterTheChildrenEnded) {
  TestLoop loop;
  Order order;
  loop.run([](Order& seen) -> Coro<> {
    auto interrupt = []() -> Coro<> {
      co_await sleep(1s);
      throw KeyboardInterrupt(2);
    };
    for (const bool in_body : {false, true}) {
      auto body = [](TaskGroup& group, decltype(interrupt) interrupted, bool directly,
                     Order& said) -> Coro<> {
        group.create_task(say_when_cancelled(said, "child"));
        group.create_task(fail_when_cancelled("error"));
        if (directly) co_await interrupted();
        group.create_task(interrupted());
        co_await sleep(1h);
      };
      EXPECT_EQ(co_await result_of(body, interrupt, in_body, std::ref(seen)),
                "interrupted by a signal");
      EXPECT_EQ(current_task().cancelling(), 0u);
    }
  }(order));
  EXPECT_EQ(order.text(), "child child");
}

// TG10 "Other base exceptions are aggregated": whatever is thrown, also what is no std::exception.
TEST(TaskGroup, TG10WhateverIsThrownIsAggregated) {
  TestLoop loop;
  loop.run([]() -> Coro<> {
    int caught = 0;
    try {
      co_await with(TaskGroup(), [](TaskGroup& group) -> Coro<> {
        group.create_task([]() -> Coro<> {
          throw 42;
          co_return;
        }());
        co_return;
      });
    } catch (const ExceptionGroup& group) {
      try {
        std::rethrow_exception(group.exceptions().at(0));
      } catch (int number) {
        caught = number;
      }
    }
    EXPECT_EQ(caught, 42);
  }());
}

}  // namespace
