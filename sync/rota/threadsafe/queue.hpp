/// queue.hpp: threadsafe::Queue, LifoQueue and PriorityQueue, which tasks of any loop, and plain
/// threads, put items into and get them out of.
#pragma once

#include <rota/clock.hpp>
#include <rota/detail/immovable.hpp>
#include <rota/detail/shared_wait.hpp>
#include <rota/detail/spin_lock.hpp>
#include <rota/error.hpp>
#include <rota/queue.hpp>
#include <rota/threadsafe/detail/queue_items.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <functional>
#include <optional>
#include <utility>

namespace rota::threadsafe {

namespace detail {

/// The part of a queue that does not depend on what is in it.
class QueueBase : rota::detail::Immovable {
 public:
  std::size_t maxsize() const noexcept { return maxsize_; }  ///< 0: any number of items.
  std::size_t qsize() const noexcept { return guard_.glance(); }
  bool empty() const noexcept { return qsize() == 0; }
  bool full() const noexcept { return has_reached(qsize()); }

  /// What a got item was for has been done. Errors: ValueError, when called more often than put.
  void task_done() {
    rota::detail::Turn turn(guard_);
    if (unfinished_ == 0) throw ValueError("task_done() called too many times");
    finish(1, turn);
  }
  QueueStatistics statistics() const noexcept {
    const rota::detail::SpinLock::Guard guard(guard_);
    return {guard.state, unfinished_, getters_.size(), putters_.size()};
  }

  class [[nodiscard("a join does nothing until it is awaited")]] JoinAwaiter final
      : public rota::detail::SharedAwaiter<JoinAwaiter> {
   public:
    explicit JoinAwaiter(QueueBase& queue) noexcept
        : SharedAwaiter<JoinAwaiter>(queue.guard_, queue.joiners_), queue_(queue) {}
    bool attempt() noexcept {
      rota::detail::Turn turn(lock());
      return attempt_locked(turn);
    }
    bool attempt_locked(rota::detail::Turn& /*turn*/) noexcept { return queue_.unfinished_ == 0; }
    void await_resume() { leave(); }

   private:
    QueueBase& queue_;
  };
  /// Completes once every item that was put has been reported by task_done(). Suspends: unless that
  /// is so. Thread: a loop's. Errors: CancelledError.
  JoinAwaiter join() noexcept { return JoinAwaiter(*this); }
  /// Blocks likewise. Thread: any but a loop's. Errors: RuntimeError on a loop's.
  void join_blocking() { block_to_join(std::nullopt); }
  /// The same, for at most `timeout`. Returns whether it was so.
  bool join_blocking(Duration timeout) { return block_to_join(timeout); }

 protected:
  explicit QueueBase(std::integral auto maxsize) noexcept
      : maxsize_(std::cmp_less(maxsize, 1) ? 0 : static_cast<std::size_t>(maxsize)) {}
  ~QueueBase() = default;

  bool has_reached(std::size_t size) const noexcept { return maxsize_ != 0 && size >= maxsize_; }
  /// So many items need not be worked upon any more.
  void finish(std::size_t count, rota::detail::Turn& turn) noexcept {
    unfinished_ -= std::min(count, unfinished_);
    if (unfinished_ == 0) joiners_.grant_all(turn.wakes);
  }

  mutable rota::detail::SpinLock guard_;  ///< Its state: the number of items. The rest is guarded.
  rota::detail::SharedWaitList getters_;  ///< Not empty: there is no item, nobody waits to put.
  rota::detail::SharedWaitList putters_;  ///< Not empty: it is full.
  std::size_t unfinished_ = 0;
  bool shut_down_ = false;  ///< And so both lists are empty.
  bool emptied_ = false;    ///< By shutdown(true).

 private:
  bool block_to_join(std::optional<Duration> timeout) {
    return join().block("Queue.join_blocking", "queue.join()", timeout);
  }

  rota::detail::SharedWaitList joiners_;
  const std::size_t maxsize_;
};

template <typename T, typename Items>
class BasicQueue : public QueueBase {
  using Item = typename Items::Item;

 public:
  /// `maxsize`: room for so many items; zero or less: for any number.
  explicit BasicQueue(std::integral auto maxsize) noexcept : QueueBase(maxsize) {}
  BasicQueue() noexcept : QueueBase(0) {}

  class [[nodiscard("a put does nothing until it is awaited")]] PutAwaiter final
      : public rota::detail::SharedAwaiter<PutAwaiter> {
   public:
    PutAwaiter(BasicQueue& queue, Item item) noexcept
        : rota::detail::SharedAwaiter<PutAwaiter>(queue.guard_, queue.putters_),
          queue_(queue),
          item_(std::move(item)) {}
    bool attempt() noexcept {
      rota::detail::Turn turn(this->lock());
      return attempt_locked(turn);
    }
    bool attempt_locked(rota::detail::Turn& turn) noexcept {
      return queue_.put_locked(item_, turn);
    }
    void await_resume() {
      this->leave();
      if (!item_.empty()) throw QueueShutDown();
    }

   private:
    friend class BasicQueue;
    BasicQueue& queue_;
    Item item_;  ///< Until it is in the queue.
  };
  class [[nodiscard("what was got is lost if nobody takes it")]] GetAwaiter final
      : public rota::detail::SharedAwaiter<GetAwaiter> {
   public:
    explicit GetAwaiter(BasicQueue& queue) noexcept
        : rota::detail::SharedAwaiter<GetAwaiter>(queue.guard_, queue.getters_), queue_(queue) {}
    bool attempt() noexcept {
      rota::detail::Turn turn(this->lock());
      return attempt_locked(turn);
    }
    bool attempt_locked(rota::detail::Turn& turn) noexcept {
      return queue_.get_locked(item_, turn);
    }
    void withdraw() noexcept {
      if (!item_.empty()) queue_.put_back(item_);
    }
    T await_resume() {
      this->leave();
      if (item_.empty()) throw QueueShutDown();
      return Items::take(std::move(item_));
    }

   private:
    friend class BasicQueue;
    BasicQueue& queue_;
    Item item_;
  };

  /// Puts `item` in. Suspends: only while the queue is full. Thread: a loop's. Errors:
  /// QueueShutDown; CancelledError, with nothing put in.
  PutAwaiter put(T item) { return PutAwaiter(*this, Items::make(std::move(item))); }
  /// Blocks likewise. Thread: any but a loop's. Errors: QueueShutDown; RuntimeError on a loop's.
  void put_blocking(T item) { (void)block_to_put(std::move(item), std::nullopt); }
  /// The same, for at most `timeout`. Returns whether it was put in; if not, it is gone.
  [[nodiscard]] bool put_blocking(T item, Duration timeout) {
    return block_to_put(std::move(item), timeout);
  }
  /// Puts it in now or not at all. Suspends: never. Errors: QueueFull; QueueShutDown.
  void put_nowait(T item) { put_now(Items::make(std::move(item))); }
  /// put(T(args...)): also right for aggregates under g++ 12.
  template <typename... Args>
    requires std::constructible_from<T, Args...>
  PutAwaiter emplace(Args&&... args) {
    return put(T(std::forward<Args>(args)...));
  }
  /// Makes the item in its place, now or not at all. Errors: as put_nowait.
  template <typename... Args>
    requires std::constructible_from<T, Args...>
  void emplace_nowait(Args&&... args) {
    put_now(Items::make(std::forward<Args>(args)...));
  }
  /// Takes the next item out. An item that was handed to a getter is its own: nobody else gets it.
  /// If the getter's loop closes before it has run, the item is the queue's next again. Suspends:
  /// only while the queue is empty. Thread: a loop's. Errors: QueueShutDown, once it is empty;
  /// CancelledError, with nothing taken.
  GetAwaiter get() noexcept { return GetAwaiter(*this); }
  /// Blocks likewise. Thread: any but a loop's. Errors: QueueShutDown; RuntimeError on a loop's.
  T get_blocking() { return *block_to_get(std::nullopt); }
  /// The same, for at most `timeout`: nothing then.
  std::optional<T> get_blocking(Duration timeout) { return block_to_get(timeout); }
  /// Takes it now or not at all. Suspends: never. Errors: QueueEmpty; QueueShutDown.
  T get_nowait();
  /// From here on putting throws QueueShutDown, and getting too once the queue is empty.
  /// `immediate`: it is emptied now, and what was in it counts as done.
  void shutdown(bool immediate = false) noexcept;

 private:
  bool put_locked(Item& item, rota::detail::Turn& turn) noexcept;
  bool get_locked(Item& item, rota::detail::Turn& turn) noexcept;
  void put_now(Item item);
  void hand_over(Item& item, rota::detail::Turn& turn) noexcept;
  void put_back(Item& item) noexcept;
  bool block_to_put(T item, std::optional<Duration> timeout) {
    PutAwaiter waiter = put(std::move(item));
    if (!waiter.block("Queue.put_blocking", "queue.put(item)", timeout)) return false;
    waiter.await_resume();
    return true;
  }
  std::optional<T> block_to_get(std::optional<Duration> timeout) {
    GetAwaiter waiter = get();
    if (!waiter.block("Queue.get_blocking", "queue.get()", timeout)) return std::nullopt;
    return waiter.await_resume();
  }

  Items items_;
};

/// True: it is in, or, if `item` is still there, will never be.
template <typename T, typename Items>
bool BasicQueue<T, Items>::put_locked(Item& item, rota::detail::Turn& turn) noexcept {
  if (shut_down_) return true;
  if (!getters_.empty()) {
    ++unfinished_;
    hand_over(item, turn);
    return true;
  }
  if (has_reached(turn.guard.state)) return false;
  ++unfinished_;
  ++turn.guard.state;
  items_.push(item);
  return true;
}

/// True: `item` is there, or, if not, never will be.
template <typename T, typename Items>
bool BasicQueue<T, Items>::get_locked(Item& item, rota::detail::Turn& turn) noexcept {
  if (turn.guard.state == 0) return shut_down_;
  items_.pop(item);
  --turn.guard.state;
  if (!putters_.empty() && !has_reached(turn.guard.state)) {
    auto& putter = static_cast<PutAwaiter&>(*putters_.first());
    items_.push(putter.item_);
    ++turn.guard.state;
    ++unfinished_;
    putters_.grant(putter, turn.wakes);
  }
  return true;
}

template <typename T, typename Items>
void BasicQueue<T, Items>::hand_over(Item& item, rota::detail::Turn& turn) noexcept {
  auto& getter = static_cast<GetAwaiter&>(*getters_.first());
  std::swap(getter.item_, item);
  getters_.grant(getter, turn.wakes);
}

/// The loop of the getter that it was handed to has closed.
template <typename T, typename Items>
void BasicQueue<T, Items>::put_back(Item& item) noexcept {
  rota::detail::Turn turn(guard_);
  if (emptied_) {
    finish(1, turn);  // as those that were in the queue then
  } else if (!getters_.empty()) {
    hand_over(item, turn);
  } else {
    items_.put_back(item);  // there may be one more than there is room for
    ++turn.guard.state;
  }
}

template <typename T, typename Items>
void BasicQueue<T, Items>::put_now(Item item) {
  {
    rota::detail::Turn turn(guard_);
    if (!put_locked(item, turn)) throw QueueFull();
  }
  if (!item.empty()) throw QueueShutDown();
}

template <typename T, typename Items>
T BasicQueue<T, Items>::get_nowait() {
  Item item;
  {
    rota::detail::Turn turn(guard_);
    if (!get_locked(item, turn)) throw QueueEmpty();
  }
  if (item.empty()) throw QueueShutDown();
  return Items::take(std::move(item));
}

template <typename T, typename Items>
void BasicQueue<T, Items>::shutdown(bool immediate) noexcept {
  Items dropped;  // goes when the lock is free: what is in it may use this queue
  rota::detail::Turn turn(guard_);
  shut_down_ = true;
  if (immediate) {
    emptied_ = true;
    std::swap(dropped, items_);
    finish(std::exchange(turn.guard.state, 0), turn);
  }
  getters_.grant_all(turn.wakes);
  putters_.grant_all(turn.wakes);
}

}  // namespace detail

/// rota::Queue for tasks of any loop, and for plain threads: first in, first out. Getters and
/// putters are served in the order they came. Thread: any.
template <typename T>
class Queue : public detail::BasicQueue<T, detail::FifoItems<T>> {
 public:
  using detail::BasicQueue<T, detail::FifoItems<T>>::BasicQueue;
};
/// rota::LifoQueue for tasks of any loop, and for plain threads: last in, first out.
template <typename T>
class LifoQueue : public detail::BasicQueue<T, detail::LifoItems<T>> {
 public:
  using detail::BasicQueue<T, detail::LifoItems<T>>::BasicQueue;
};
/// rota::PriorityQueue for tasks of any loop, and for plain threads: the smallest first. Compare
/// runs under the queue's lock: it must not throw, wait, or use the queue.
template <typename T, typename Compare = std::less<T>>
class PriorityQueue : public detail::BasicQueue<T, detail::SmallestItems<T, Compare>> {
 public:
  using detail::BasicQueue<T, detail::SmallestItems<T, Compare>>::BasicQueue;
};

}  // namespace rota::threadsafe
