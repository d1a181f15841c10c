/// queue.hpp: Queue, LifoQueue and PriorityQueue, which tasks of one loop put items into and get
/// them out of.
#pragma once

#include <rota/detail/bound.hpp>
#include <rota/detail/immovable.hpp>
#include <rota/detail/wait_queue.hpp>
#include <rota/error.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <deque>
#include <functional>
#include <stdexcept>
#include <utility>
#include <vector>

namespace rota {

/// get_nowait() found nothing. As: asyncio.QueueEmpty.
class QueueEmpty : public std::runtime_error {
 public:
  QueueEmpty() : std::runtime_error("the queue is empty") {}
};
/// put_nowait() found no room. As: asyncio.QueueFull.
class QueueFull : public std::runtime_error {
 public:
  QueueFull() : std::runtime_error("the queue is full") {}
};
/// The queue was shut down. As: asyncio.QueueShutDown.
class QueueShutDown : public std::runtime_error {
 public:
  QueueShutDown() : std::runtime_error("the queue was shut down") {}
};

struct QueueStatistics {
  std::size_t size = 0;
  std::size_t unfinished = 0;
  std::size_t getters_waiting = 0;
  std::size_t putters_waiting = 0;
};

namespace detail {

/// The part of a queue that does not depend on what is in it.
class QueueBase : Immovable {
 public:
  std::size_t maxsize() const noexcept { return maxsize_; }  ///< 0: any number of items.
  std::size_t qsize() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  bool full() const noexcept { return maxsize_ != 0 && size_ >= maxsize_; }

  /// What a got item was for has been done. Errors: ValueError, when called more often than put.
  void task_done() {
    bound_.use("Queue.task_done");
    if (unfinished_ == 0) throw ValueError("task_done() called too many times");
    finish(1);
  }
  QueueStatistics statistics() const noexcept {
    return {size_, unfinished_, getters_.waiting(), putters_.waiting()};
  }

  class [[nodiscard("a join does nothing until it is awaited")]] JoinAwaiter final
      : public ParkedAwaiter<JoinAwaiter> {
   public:
    explicit JoinAwaiter(QueueBase& queue) noexcept
        : ParkedAwaiter<JoinAwaiter>(queue.joiners_), queue_(queue) {}
    bool attempt() noexcept { return queue_.unfinished_ == 0; }
    void await_resume() {
      if (leave()) [[unlikely]]
        task().throw_cancelled();
    }

   private:
    QueueBase& queue_;
  };
  /// Completes once every item that was put has been reported by task_done(). Suspends: unless that
  /// is so. Errors: CancelledError.
  JoinAwaiter join() {
    bound_.use("Queue.join");
    return JoinAwaiter(*this);
  }

 protected:
  explicit QueueBase(std::integral auto maxsize)
      : maxsize_(std::cmp_less(maxsize, 1) ? 0 : static_cast<std::size_t>(maxsize)) {}
  ~QueueBase() = default;

  void use(const char* operation) { bound_.use(operation); }
  bool is_shut_down() const noexcept { return shut_down_; }
  /// `dropped`: so many items are gone, and count as done.
  void shut_down(std::size_t dropped) noexcept {
    shut_down_ = true;
    size_ -= dropped;
    finish(dropped);
    getters_.wake_all();
    putters_.wake_all();
  }
  void item_added() noexcept {
    ++size_;
    ++unfinished_;
    getters_.wake(1);
  }
  void item_taken() noexcept {
    --size_;
    putters_.wake(1);
  }

  WaitQueue getters_;
  WaitQueue putters_;

 private:
  void finish(std::size_t count) noexcept {
    unfinished_ -= std::min(count, unfinished_);
    if (unfinished_ == 0) joiners_.wake_all();
  }

  WaitQueue joiners_;
  const std::size_t maxsize_;
  std::size_t size_ = 0;
  std::size_t unfinished_ = 0;
  bool shut_down_ = false;
  LoopBound bound_;
};

/// How the three queues keep their items.
template <typename T>
class FifoItems {
 public:
  template <typename... Args>
  void push(Args&&... args) {
    items_.emplace_back(std::forward<Args>(args)...);
  }
  T pop() {
    T item = std::move(items_.front());
    items_.pop_front();
    return item;
  }

 private:
  std::deque<T> items_;
};
template <typename T>
class LifoItems {
 public:
  template <typename... Args>
  void push(Args&&... args) {
    items_.emplace_back(std::forward<Args>(args)...);
  }
  T pop() {
    T item = std::move(items_.back());
    items_.pop_back();
    return item;
  }

 private:
  std::vector<T> items_;
};
template <typename T, typename Compare>
class SmallestItems {
 public:
  template <typename... Args>
  void push(Args&&... args) {
    items_.emplace_back(std::forward<Args>(args)...);
    std::ranges::push_heap(items_, larger);
  }
  T pop() {
    std::ranges::pop_heap(items_, larger);
    T item = std::move(items_.back());
    items_.pop_back();
    return item;
  }

 private:
  static bool larger(const T& left, const T& right) { return Compare()(right, left); }
  std::vector<T> items_;
};

template <typename T, typename Items>
class BasicQueue : public QueueBase {
 public:
  /// `maxsize`: room for so many items; zero or less: for any number.
  explicit BasicQueue(std::integral auto maxsize) : QueueBase(maxsize) {}
  BasicQueue() : QueueBase(0) {}

  class [[nodiscard("a put does nothing until it is awaited")]] PutAwaiter final
      : public ParkedAwaiter<PutAwaiter> {
   public:
    PutAwaiter(BasicQueue& queue, T item)
        : ParkedAwaiter<PutAwaiter>(queue.putters_), queue_(queue), item_(std::move(item)) {
      this->retry_by(&PutAwaiter::run_attempt);
    }
    /// True: there is room, or there never will be.
    bool attempt() noexcept {
      if (this->waited()) {
        this->leave_queue();
        if (this->cancelled()) return true;
      }
      return queue_.is_shut_down() || !queue_.full();
    }
    void await_resume() {
      if (this->cancelled()) [[unlikely]] {
        if (this->woken() && !queue_.full()) queue_.putters_.wake(1);
        this->task().throw_cancelled();
      }
      queue_.put_nowait(std::move(item_));
    }

   private:
    BasicQueue& queue_;
    T item_;
  };
  class [[nodiscard("what was got is lost if nobody takes it")]] GetAwaiter final
      : public ParkedAwaiter<GetAwaiter> {
   public:
    explicit GetAwaiter(BasicQueue& queue) noexcept
        : ParkedAwaiter<GetAwaiter>(queue.getters_), queue_(queue) {
      this->retry_by(&GetAwaiter::run_attempt);
    }
    /// True: there is an item, or there never will be.
    bool attempt() noexcept {
      if (this->waited()) {
        this->leave_queue();
        if (this->cancelled()) return true;
      }
      return queue_.is_shut_down() || !queue_.empty();
    }
    T await_resume() {
      if (this->cancelled()) [[unlikely]] {
        if (this->woken() && !queue_.empty()) queue_.getters_.wake(1);
        this->task().throw_cancelled();
      }
      return queue_.get_nowait();
    }

   private:
    BasicQueue& queue_;
  };

  /// Puts `item` in. Suspends: only while the queue is full. Errors: QueueShutDown; CancelledError,
  /// with nothing put in; RuntimeError on another loop, at the call.
  PutAwaiter put(T item) {
    use("Queue.put");
    return PutAwaiter(*this, std::move(item));
  }
  /// Puts it in now or not at all. Suspends: never. Errors: QueueFull; QueueShutDown.
  void put_nowait(T item) {
    use("Queue.put_nowait");
    if (is_shut_down()) throw QueueShutDown();
    if (full()) throw QueueFull();
    items_.push(std::move(item));
    item_added();
  }
  /// put(T(args...)): for items that are no temporaries to be trusted under g++ 12
  /// (safe_co_await.md).
  template <typename... Args>
    requires std::constructible_from<T, Args...>
  PutAwaiter emplace(Args&&... args) {
    use("Queue.emplace");
    return PutAwaiter(*this, T(std::forward<Args>(args)...));
  }
  /// Makes the item in its place, now or not at all. Errors: as put_nowait.
  template <typename... Args>
    requires std::constructible_from<T, Args...>
  void emplace_nowait(Args&&... args) {
    use("Queue.emplace_nowait");
    if (is_shut_down()) throw QueueShutDown();
    if (full()) throw QueueFull();
    items_.push(std::forward<Args>(args)...);
    item_added();
  }
  /// Takes the next item out. Suspends: only while the queue is empty. Errors: QueueShutDown, once
  /// it is empty; CancelledError, with nothing taken; RuntimeError on another loop, at the call.
  GetAwaiter get() {
    use("Queue.get");
    return GetAwaiter(*this);
  }
  /// Takes it now or not at all. Suspends: never. Errors: QueueEmpty; QueueShutDown.
  T get_nowait() {
    use("Queue.get_nowait");
    if (empty()) {
      if (is_shut_down()) throw QueueShutDown();
      throw QueueEmpty();
    }
    T item = items_.pop();
    item_taken();
    return item;
  }
  /// From here on putting throws QueueShutDown, and getting too once the queue is empty.
  /// `immediate`: it is emptied now, and what was in it counts as done. Errors: RuntimeError on
  /// another loop.
  void shutdown(bool immediate = false) {
    use("Queue.shutdown");
    Items dropped;  // goes when all is done: what is in it may use this queue when it is destroyed
    if (immediate) std::swap(dropped, items_);
    shut_down(immediate ? qsize() : 0);
  }

 private:
  Items items_;
};

}  // namespace detail

/// asyncio.Queue: first in, first out. Loop-local: bound to the loop of its first use. Between
/// loops: threadsafe::Queue. A woken getter has no claim to the item: whoever runs first takes it.
template <typename T>
class Queue : public detail::BasicQueue<T, detail::FifoItems<T>> {
 public:
  using detail::BasicQueue<T, detail::FifoItems<T>>::BasicQueue;
};
/// asyncio.LifoQueue: last in, first out.
template <typename T>
class LifoQueue : public detail::BasicQueue<T, detail::LifoItems<T>> {
 public:
  using detail::BasicQueue<T, detail::LifoItems<T>>::BasicQueue;
};
/// asyncio.PriorityQueue: the smallest first; of equal ones any.
template <typename T, typename Compare = std::less<T>>
class PriorityQueue : public detail::BasicQueue<T, detail::SmallestItems<T, Compare>> {
 public:
  using detail::BasicQueue<T, detail::SmallestItems<T, Compare>>::BasicQueue;
};

}  // namespace rota
