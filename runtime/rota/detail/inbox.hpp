/// inbox.hpp: what other threads hand to a loop: many push, the owner takes all at once.
///
/// head_ is null (empty), a list of nodes (newest first), or CLOSED. Any thread pushes by one
/// compare-exchange; the owner takes the whole list by one exchange. After close() no push succeeds
/// and the pusher keeps its node.
#pragma once

#include <rota/detail/atomic.hpp>
#include <rota/detail/runnable.hpp>

namespace rota::detail {

class Inbox {
 public:
  /// Any thread, signal handlers too. False: closed, the caller keeps `node`.
  [[nodiscard]] bool push(Runnable& node) noexcept {
    // acquire (and the same on failure below): pairs with the exchange in close(); whoever is
    // turned away sees everything that the loop did before it closed.
    Runnable* newest = head_.load(std::memory_order_acquire);
    do {
      if (newest == closed_mark()) return false;
      node.next = newest;
      // seq_cst: pairs with the re-check of empty() in EventLoop::sleep(); as a release it pairs
      // with the acquire in take_all() and publishes node and what it belongs to.
    } while (!head_.compare_exchange_weak(newest, &node, std::memory_order_seq_cst,
                                          std::memory_order_acquire));
    return true;  // node is the owner's now: it may already be gone
  }

  /// Owner. seq_cst: pairs with the compare-exchange in push(): the re-check before sleep.
  bool empty() const noexcept { return head_.load(std::memory_order_seq_cst) == nullptr; }

  /// Owner, every step: a guess that costs a plain load; what it misses is found at the next step
  /// or by the re-check.
  bool looks_empty() const noexcept { return head_.load(std::memory_order_relaxed) == nullptr; }

  /// Owner. Everything pushed so far, oldest first.
  Runnable* take_all() noexcept {
    // acquire: pairs with the compare-exchange in push().
    return reversed(head_.exchange(nullptr, std::memory_order_acquire));
  }

  /// Owner, once. What was pushed before, oldest first; later pushes fail.
  Runnable* close() noexcept {
    // acq_rel: the acquire pairs with push() for the nodes taken, the release with the acquire of a
    // push turned away.
    return reversed(head_.exchange(closed_mark(), std::memory_order_acq_rel));
  }

 private:
  static Runnable* closed_mark() noexcept {
    static constinit Runnable mark{nullptr};
    return &mark;
  }

  static Runnable* reversed(Runnable* newest) noexcept {
    Runnable* oldest = nullptr;
    while (newest != nullptr) {
      Runnable* next = newest->next;
      newest->next = oldest;
      oldest = std::exchange(newest, next);
    }
    return oldest;
  }

  atomic<Runnable*> head_{nullptr};
};

}  // namespace rota::detail
