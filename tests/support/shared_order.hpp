/// shared_order.hpp: what happens on several loops and threads, in order; and threads that wait for
/// an object with them.
#pragma once

#include <rota/coro.hpp>
#include <rota/error.hpp>
#include <rota/loop.hpp>

#include "support/test_loop.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <mutex>
#include <string>
#include <thread>

namespace rota::testing_support {

/// Order, for any thread.
class SharedOrder {
 public:
  void add(const std::string& what) {
    const std::lock_guard lock(mutex_);
    order_.add(what);
  }
  std::string text() const {
    const std::lock_guard lock(mutex_);
    return order_.text();
  }

 private:
  mutable std::mutex mutex_;
  Order order_;
};

/// Returns once `holds()`: something that another thread is about to bring about.
template <typename Condition>
void wait_until(Condition holds) {
  while (!holds()) std::this_thread::yield();
}

/// Returns once `count` tasks and threads wait for `object`.
template <typename T>
void wait_until_waiting(const T& object, std::size_t count) {
  wait_until([&] { return object.statistics().tasks_waiting == count; });
}

/// Acquires `target`, looks whether that is on its own loop, writes its name, and gives it back; or
/// writes "name:cancelled" and ends cancelled.
template <typename T>
Coro<> use_here(T& target, SharedOrder& order, std::string name) {
  const LoopHandle home = get_running_loop().handle();
  try {
    co_await target.acquire();
  } catch (const CancelledError&) {
    order.add(name + ":cancelled");
    throw;
  }
  EXPECT_EQ(get_running_loop().handle(), home);
  order.add(name);
  target.release();
}

/// The same on a plain thread.
template <typename T>
std::jthread use_on_thread(T& target, SharedOrder& order, std::string name) {
  return std::jthread([&target, &order, name = std::move(name)] {
    target.acquire_blocking();
    order.add(name);
    target.release();
  });
}

}  // namespace rota::testing_support
