/// condition_waiters.hpp: a Condition and who waits in it.
#pragma once

#include <rota/error.hpp>
#include <rota/task.hpp>

#include "support/family.hpp"
#include "support/test_loop.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <vector>

namespace rota::testing_support {

/// Takes the lock, waits, writes "name" or "name:cancelled", and gives the lock back. Ends
/// cancelled if it was.
inline Coro<> wait_in(Condition& condition, Order& order, std::string name) {
  co_await condition.acquire();
  try {
    co_await condition.wait();
    EXPECT_TRUE(condition.locked());
    order.add(name);
  } catch (const CancelledError&) {
    EXPECT_TRUE(condition.locked());
    order.add(name + ":cancelled");
    condition.release();
    throw;
  }
  condition.release();
}

/// Tasks that wait for a notification.
struct ConditionWaiters {
  explicit ConditionWaiters(const std::string& names) {
    for (const char name : names) add(std::string(1, name));
    loop.run_until_idle();
  }
  void add(const std::string& name) {
    tasks.push_back(loop->create_task(wait_in(condition, order, name)));
  }
  /// Takes the lock, and keeps it.
  void hold() {
    loop.run([](Condition& free) -> Coro<> { co_await free.acquire(); }(condition));
  }
  void release() {
    loop.call([this] { condition.release(); });
  }
  /// Takes the lock, notifies, gives the lock back, and looks who comes.
  const std::string& notify(std::size_t count) {
    loop.run([](Condition& target, std::size_t n) -> Coro<> {
      auto held = co_await target.scoped();
      target.notify(n);
    }(condition, count));
    return settle();
  }
  const std::string& settle() {
    loop.run_until_idle();
    return order.text();
  }
  std::size_t waiting() const { return condition.statistics().tasks_waiting; }

  Condition condition;
  Order order;
  TestLoop loop;
  std::vector<Task<>> tasks;
};

}  // namespace rota::testing_support
