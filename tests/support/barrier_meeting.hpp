/// barrier_meeting.hpp: a Barrier and who comes to it.
#pragma once

#include <rota/error.hpp>
#include <rota/task.hpp>

#include "support/family.hpp"
#include "support/test_loop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <vector>

namespace rota::testing_support {

/// Waits at `barrier`; writes "name=index" and keeps the index, or writes "name:broken" or
/// "name:cancelled" and ends cancelled.
inline Coro<> pass(Barrier& barrier, Order& order, std::vector<std::size_t>& indices,
                   std::string name) {
  try {
    const std::size_t index = co_await barrier.wait();
    order.add(name + "=" + std::to_string(index));
    indices.push_back(index);
  } catch (const BrokenBarrierError&) {
    order.add(name + ":broken");
  } catch (const CancelledError&) {
    order.add(name + ":cancelled");
    throw;
  }
}

/// A barrier, and who comes to it.
struct Meeting {
  explicit Meeting(int parties, const std::string& names = {}) : barrier(parties) {
    for (const char name : names) add(std::string(1, name));
    loop.run_until_idle();
  }
  void add(const std::string& name) {
    tasks.push_back(loop->create_task(pass(barrier, order, indices, name)));
  }
  /// More come.
  const std::string& come(const std::string& names) {
    for (const char name : names) add(std::string(1, name));
    return settle();
  }
  const std::string& settle() {
    loop.run_until_idle();
    return order.text();
  }
  void reset() {
    loop.call([this] { barrier.reset(); });
  }
  void abort() {
    loop.call([this] { barrier.abort(); });
  }
  /// A round of `names` passes, whatever was before.
  void expect_a_good_round(const std::string& names) {
    indices.clear();
    come(names);
    std::vector<std::size_t> all(names.size());
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = i;
    EXPECT_THAT(indices, testing::UnorderedElementsAreArray(all));
    EXPECT_EQ(barrier.n_waiting(), 0u);
    EXPECT_FALSE(barrier.broken());
  }

  Barrier barrier;
  Order order;
  std::vector<std::size_t> indices;
  TestLoop loop;
  std::vector<Task<>> tasks;
};

}  // namespace rota::testing_support
