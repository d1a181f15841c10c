/// lock_contest.hpp: a Lock, its holder, and who waits for it.
#pragma once

#include <rota/task.hpp>

#include "support/contenders.hpp"
#include "support/family.hpp"
#include "support/test_loop.hpp"

#include <string>
#include <vector>

namespace rota::testing_support {

/// A held lock and who waits for it.
struct LockContest {
  explicit LockContest(const std::string& names) {
    loop.run(lock.acquire());
    for (const char name : names) add(std::string(1, name));
    loop.run_until_idle();
  }
  void add(const std::string& name) { tasks.push_back(loop->create_task(take(lock, order, name))); }
  /// Lets the holder go, and looks who comes.
  const std::string& release() {
    loop.call([this] { lock.release(); });
    return settle();
  }
  const std::string& settle() {
    loop.run_until_idle();
    return order.text();
  }

  Lock lock;
  Order order;
  TestLoop loop;
  std::vector<Task<>> tasks;
};

}  // namespace rota::testing_support
