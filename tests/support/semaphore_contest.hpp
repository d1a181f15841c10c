/// semaphore_contest.hpp: a Semaphore and who wants its tokens.
#pragma once

#include <rota/task.hpp>

#include "support/contenders.hpp"
#include "support/family.hpp"
#include "support/test_loop.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace rota::testing_support {

/// A semaphore and who wants its tokens.
struct SemaphoreContest {
  SemaphoreContest(int value, const std::string& names) : semaphore(value) {
    for (const char name : names) add(std::string(1, name));
    loop.run_until_idle();
  }
  void add(const std::string& name) {
    tasks.push_back(loop->create_task(take(semaphore, order, name)));
  }
  /// Gives `count` tokens at once, and looks who comes.
  const std::string& release(int count = 1) {
    loop.call([&] {
      for (int i = 0; i < count; ++i) semaphore.release();
    });
    return settle();
  }
  const std::string& settle() {
    loop.run_until_idle();
    return order.text();
  }
  std::size_t value() const { return semaphore.statistics().value; }
  std::size_t waiting() const { return semaphore.statistics().tasks_waiting; }

  Semaphore semaphore;
  Order order;
  TestLoop loop;
  std::vector<Task<>> tasks;
};

}  // namespace rota::testing_support
