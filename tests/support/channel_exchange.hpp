/// channel_exchange.hpp: a memory channel of numbers, and who sends and receives.
#pragma once

#include <rota/error.hpp>
#include <rota/memory_channel.hpp>
#include <rota/task.hpp>

#include "support/test_loop.hpp"

#include <concepts>
#include <string>
#include <utility>
#include <vector>

namespace rota::testing_support {

/// Sends `item`; writes "name", "name:closed", "name:broken", or "name:cancelled" and ends
/// cancelled.
inline Coro<> send(MemorySendChannel<int>& channel, Order& order, std::string name, int item) {
  try {
    co_await channel.send(item);
    order.add(name);
  } catch (const ClosedResourceError&) {
    order.add(name + ":closed");
  } catch (const BrokenResourceError&) {
    order.add(name + ":broken");
  } catch (const CancelledError&) {
    order.add(name + ":cancelled");
    throw;
  }
}
/// Receives; writes "name=item", "name:end", "name:closed", or "name:cancelled" and ends cancelled.
inline Coro<> receive(MemoryReceiveChannel<int>& channel, Order& order, std::string name) {
  try {
    const int item = co_await channel.receive();
    order.add(name + "=" + std::to_string(item));
  } catch (const EndOfChannel&) {
    order.add(name + ":end");
  } catch (const ClosedResourceError&) {
    order.add(name + ":closed");
  } catch (const CancelledError&) {
    order.add(name + ":cancelled");
    throw;
  }
}

/// A channel and who uses its ends.
struct Exchange {
  explicit Exchange(std::integral auto capacity) : Exchange(create_memory_channel<int>(capacity)) {}
  explicit Exchange(std::pair<MemorySendChannel<int>, MemoryReceiveChannel<int>> ends)
      : in(std::move(ends.first)), out(std::move(ends.second)) {}

  Task<>& sender(const std::string& name, int item) { return sender(in, name, item); }
  Task<>& sender(MemorySendChannel<int>& end, const std::string& name, int item) {
    return tasks.emplace_back(loop->create_task(send(end, order, name, item)));
  }
  Task<>& receiver(const std::string& name) { return receiver(out, name); }
  Task<>& receiver(MemoryReceiveChannel<int>& end, const std::string& name) {
    return tasks.emplace_back(loop->create_task(receive(end, order, name)));
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
  /// What is there, taken out.
  std::vector<int> drain() {
    std::vector<int> items;
    loop.call([&] {
      try {
        for (;;) items.push_back(out.receive_nowait());
      } catch (const WouldBlock&) {
        // that was all
      } catch (const EndOfChannel&) {
        // likewise
      }
    });
    return items;
  }

  Order order;
  TestLoop loop;
  MemorySendChannel<int> in;
  MemoryReceiveChannel<int> out;
  std::vector<Task<>> tasks;
};

}  // namespace rota::testing_support
