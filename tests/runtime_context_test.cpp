/// runtime_context_test.cpp: Context and ContextVar by themselves, and how callbacks carry them.

#include <rota/context.hpp>
#include <rota/future.hpp>
#include <rota/task.hpp>

#include "support/test_loop.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>

namespace {

using namespace std::chrono_literals;
using rota::Context;
using rota::ContextVar;
using rota::copy_context;
using rota::testing_support::Order;
using rota::testing_support::TestLoop;

ContextVar<std::string> user("user");
ContextVar<int> depth("depth", 1);

// --- variables ---------------------------------------------------------------------------------

TEST(ContextVar, GivesItsDefaultOrAFallbackOrThrows) {
  EXPECT_EQ(depth.name(), "depth");
  EXPECT_EQ(depth.get(), 1);
  EXPECT_EQ(depth.get(7), 7);
  EXPECT_EQ(user.get("nobody"), "nobody");
  try {
    user.get();
    FAIL() << "no exception";
  } catch (const rota::RuntimeError& error) {
    EXPECT_NE(std::string(error.what()).find("user"), std::string::npos);
  }
}

TEST(ContextVar, KeepsWhatWasSetUntilReset) {
  Context().run([] {
    const auto first = depth.set(2);
    EXPECT_EQ(depth.get(), 2);
    EXPECT_EQ(depth.get(9), 2);
    const auto second = depth.set(3);
    EXPECT_EQ(depth.get(), 3);
    depth.reset(second);
    EXPECT_EQ(depth.get(), 2);
    depth.reset(first);
    EXPECT_EQ(depth.get(), 1);
    EXPECT_EQ(depth.get(9), 9);
  });
}

TEST(ContextVar, TwoOfTheSameNameAreDifferent) {
  Context().run([] {
    ContextVar<int> one("same", 0);
    ContextVar<int> two("same", 0);
    one.set(1);
    EXPECT_EQ(two.get(), 0);
  });
}

// --- contexts ----------------------------------------------------------------------------------

TEST(Context, RunGivesWhatTheFunctionGivesAndKeepsWhatItSets) {
  Context context;
  EXPECT_EQ(context.run([](int number) { return number + depth.get(); }, 10), 11);
  context.run([] { depth.set(5); });
  EXPECT_EQ(depth.get(), 1);
  EXPECT_EQ(context.run([] { return depth.get(); }), 5);
}

TEST(Context, RunRestoresTheOuterContextAlsoAfterAnException) {
  Context context;
  EXPECT_THROW(context.run([] {
    depth.set(5);
    throw std::runtime_error("out");
  }),
               std::runtime_error);
  EXPECT_EQ(depth.get(), 1);
  EXPECT_EQ(context.run([] { return depth.get(); }), 5);
}

TEST(Context, RunsMayBeNested) {
  Context outer;
  Context inner;
  outer.run([&] {
    depth.set(2);
    inner.run([&] {
      EXPECT_EQ(depth.get(), 1);
      depth.set(3);
      EXPECT_EQ(outer.run([] { return depth.get(); }), 2);
    });
    EXPECT_EQ(depth.get(), 2);
  });
  EXPECT_EQ(inner.run([] { return depth.get(); }), 3);
}

TEST(Context, ACopyHasTheValuesAndThenALifeOfItsOwn) {
  Context().run([] {
    depth.set(2);
    Context copy = copy_context();
    depth.set(3);
    copy.run([] {
      EXPECT_EQ(depth.get(), 2);
      depth.set(4);
    });
    EXPECT_EQ(depth.get(), 3);
    EXPECT_EQ(copy.run([] { return depth.get(); }), 4);
  });
}

TEST(Context, CopiesOfTheHandleMeanTheSameContext) {
  Context context;
  Context same = context;
  context.run([] { depth.set(8); });
  EXPECT_EQ(same.run([] { return depth.get(); }), 8);
}

TEST(Context, ValuesDieWithTheLastContextThatHasThem) {
  ContextVar<std::shared_ptr<int>> holder("holder");
  auto token = std::make_shared<int>(1);
  {
    Context context;
    context.run([&] { holder.set(token); });
    const Context copy = context.run([] { return copy_context(); });
    context = Context();
    EXPECT_EQ(token.use_count(), 2);
  }
  EXPECT_EQ(token.use_count(), 1);
}

TEST(Context, EveryThreadStartsWithAnEmptyOne) {
  Context().run([] {
    depth.set(6);
    std::thread([] { EXPECT_EQ(depth.get(), 1); }).join();
  });
}

TEST(Context, ACopyMayBeRunOnAnotherThread) {
  Context().run([] {
    depth.set(6);
    std::thread([copy = copy_context()]() mutable {
      copy.run([] { EXPECT_EQ(depth.get(), 6); });
      EXPECT_EQ(depth.get(), 1);
    }).join();
  });
}

// --- callbacks ---------------------------------------------------------------------------------

TEST(Context, ACallbackRunsInACopyOfTheContextOfItsScheduling) {
  TestLoop loop;
  Order order;
  Context().run([&] {
    user.set("soon");
    loop->call_soon([&] {
      order.add(user.get());
      user.set("changed");
    });
    loop->call_soon([&] { order.add(user.get()); });
    user.set("later");
    loop->call_later(1s, [&] { order.add(user.get()); });
    user.set("at");
    loop->call_at(rota::TimePoint(2s), [&] { order.add(user.get()); });
    user.set("unused");
  });
  loop.advance(3s);
  EXPECT_EQ(order.text(), "soon soon later at");
  EXPECT_EQ(user.get("clean"), "clean");
}

TEST(Context, WhatOneCallbackSetsTheNextDoesNotSee) {
  TestLoop loop;
  Order order;
  loop->call_soon([] { user.set("leak"); });
  loop->call_soon([&] { order.add(user.get("clean")); });
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "clean");
}

TEST(Context, ACallFromAnotherThreadBringsThatThreadsContext) {
  TestLoop loop;
  Order order;
  std::thread([&] {
    user.set("thread");
    loop->call_soon_threadsafe([&] { order.add(user.get()); });
  }).join();
  loop.run_until_idle();
  EXPECT_EQ(order.text(), "thread");
}

}  // namespace
