/// contenders.hpp: tasks that contend for an object of their loop, and write down who gets it; and
/// what the same object says on another loop.
#pragma once

#include <rota/coro.hpp>
#include <rota/error.hpp>
#include <rota/sleep.hpp>

#include "support/test_loop.hpp"

#include <gmock/gmock.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

namespace rota::testing_support {

/// Acquires `target` and keeps it. Writes its name, or "name:cancelled" and ends cancelled.
template <typename T>
Coro<> take(T& target, Order& order, std::string name) {
  try {
    co_await target.acquire();
    order.add(name);
  } catch (const CancelledError&) {
    order.add(name + ":cancelled");
    throw;
  }
}

/// The same, but gives it back at once.
template <typename T>
Coro<> use(T& target, Order& order, std::string name) {
  co_await take(target, order, name);
  target.release();
}

/// What the RuntimeError says that `operation()` throws on a loop of its own; empty if it throws
/// none.
template <typename Operation>
std::string elsewhere(Operation operation) {
  TestLoop other;
  std::string text;
  other.call([&] {
    try {
      operation();
    } catch (const RuntimeError& error) {
      text = error.what();
    }
  });
  return text;
}
inline auto is_wrong_loop() { return testing::HasSubstr("bound to a different event loop"); }

/// Does `work` `count` times, each time at least one await that need not wait. Gives how often it
/// was done in each step of the loop.
template <typename Work>
Coro<std::vector<int>> count_by_step(TestLoop& loop, int count, Work work) {
  std::vector<int> done = {0};
  std::size_t step = loop.steps();
  for (int i = 0; i < count; ++i) {
    co_await work();
    if (loop.steps() != step) {
      step = loop.steps();
      done.push_back(0);
    }
    ++done.back();
  }
  co_return done;
}

}  // namespace rota::testing_support
