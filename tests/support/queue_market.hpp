/// queue_market.hpp: a Queue, LifoQueue or PriorityQueue of numbers, and who puts and gets.
#pragma once

#include <rota/error.hpp>
#include <rota/task.hpp>

#include "support/family.hpp"
#include "support/test_loop.hpp"

#include <string>
#include <vector>

namespace rota::testing_support {

/// Gets an item; writes "name=item", "name:shutdown", or "name:cancelled" and ends cancelled.
template <typename Q>
Coro<> get(Q& queue, Order& order, std::string name) {
  try {
    const int item = co_await queue.get();
    order.add(name + "=" + std::to_string(item));
  } catch (const QueueShutDown&) {
    order.add(name + ":shutdown");
  } catch (const CancelledError&) {
    order.add(name + ":cancelled");
    throw;
  }
}
/// Puts `item`; writes "name", "name:shutdown", or "name:cancelled" and ends cancelled.
template <typename Q>
Coro<> put(Q& queue, Order& order, std::string name, int item) {
  try {
    co_await queue.put(item);
    order.add(name);
  } catch (const QueueShutDown&) {
    order.add(name + ":shutdown");
  } catch (const CancelledError&) {
    order.add(name + ":cancelled");
    throw;
  }
}
/// Writes "name" once everything was done.
template <typename Q>
Coro<> join(Q& queue, Order& order, std::string name) {
  co_await queue.join();
  order.add(name);
}

/// A queue and who uses it.
template <typename Q>
struct Market {
  explicit Market(int maxsize = 0) : queue(maxsize) {}
  Task<>& getter(const std::string& name) {
    return tasks.emplace_back(loop->create_task(get(queue, order, name)));
  }
  Task<>& putter(const std::string& name, int item) {
    return tasks.emplace_back(loop->create_task(put(queue, order, name, item)));
  }
  void joiner(const std::string& name) {
    tasks.push_back(loop->create_task(join(queue, order, name)));
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
  /// What is in the queue, taken out.
  std::vector<int> drain() {
    std::vector<int> items;
    loop.call([&] {
      while (!queue.empty()) items.push_back(queue.get_nowait());
    });
    return items;
  }

  Q queue;
  Order order;
  TestLoop loop;
  std::vector<Task<>> tasks;
};

/// How `items` come out.
template <typename Q>
std::vector<int> order_of(const std::vector<int>& items) {
  Market<Q> market;
  market.call([&] {
    for (const int item : items) market.queue.put_nowait(item);
  });
  return market.drain();
}

}  // namespace rota::testing_support
