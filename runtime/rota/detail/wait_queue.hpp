/// wait_queue.hpp: who waits for a loop-local object, in the order they came. One mechanism under
/// every primitive.
///
/// A waiter is a part of its awaiter, so waiting allocates nothing. It is linked while it waits,
/// and once woken until its task has run: so a newcomer sees that somebody was promised something
/// (no barging). Those that were woken are always the first of the queue.
#pragma once

#include <rota/detail/promise.hpp>
#include <rota/detail/task_base.hpp>

#include <algorithm>
#include <cassert>
#include <coroutine>
#include <cstddef>
#include <cstdint>

namespace rota::detail {

class Parked;

/// Owner's thread only.
class WaitQueue : Immovable {
 public:
  WaitQueue() = default;
  ~WaitQueue();
  bool empty() const noexcept { return first_ == nullptr; }
  std::size_t waiting() const noexcept { return waiting_; }  ///< Not counting those woken.
  /// Somebody was woken and has not run yet.
  bool promised() const noexcept { return first_ != first_waiting_; }
  Parked* first_waiting() const noexcept { return first_waiting_; }

  /// Wakes up to `count`, the longest waiting first. Returns how many.
  std::size_t wake(std::size_t count) noexcept;
  std::size_t wake_all() noexcept { return wake(waiting_); }

  /// Takes `waiter`, which waits here, out and makes it ready. As opposed to one that was woken it
  /// has what it waited for, and is in nobody's way.
  void hand_over(Parked& waiter) noexcept;
  /// Lets up to `count`, the longest waiting first, wait in `target` instead, behind those there.
  /// Returns how many.
  std::size_t move_to(WaitQueue& target, std::size_t count) noexcept;

 private:
  friend class Parked;
  void link(Parked& waiter) noexcept;
  void unlink(Parked& waiter) noexcept;

  Parked* first_ = nullptr;
  Parked* last_ = nullptr;
  Parked* first_waiting_ = nullptr;
  std::size_t waiting_ = 0;
};

/// Base of the awaiters of primitives. May be moved until it is awaited.
class Parked : public Waiting {
 public:
  /// It was woken, as opposed to cancelled.
  bool woken() const noexcept { return state_ == State::woken; }
  Parked* next() const noexcept { return next_; }  ///< While it waits: who came after it.

 protected:
  explicit Parked(WaitQueue& queue) noexcept : Waiting(&Parked::cancel), queue_(&queue) {}
  Parked(Parked&& other) noexcept
      : Waiting(&Parked::cancel), queue_(other.queue_), retry_(other.retry_) {}
  ~Parked() {
    if (linked()) [[unlikely]]  // its frame is destroyed while it waits
      queue_->unlink(*this);
  }

  /// The task waits at `leaf`; unless a cancel is due, which await_resume will throw.
  void park(TaskBase& task, std::coroutine_handle<> leaf) noexcept {
    task_ = &task;
    state_ = State::idle;
    if (task.begin_wait(*this, leaf)) {
      queue_->link(*this);
    } else {
      ended_ = true;
    }
  }
  /// In await_resume: leaves the queue. True: it waited and is cancelled.
  bool leave() noexcept {
    leave_queue();
    return cancelled();
  }
  bool waited() const noexcept { return task_ != nullptr; }
  /// It waited, and was cancelled: a cancel is due, or has ended the wait. The latter is kept:
  /// uncancel() may have dropped the cancel since, but nothing has come to go on with.
  bool cancelled() const noexcept { return task_ != nullptr && (ended_ || task_->cancel_due()); }
  /// In await_resume of one that has waited to be handed something: throws if a cancel has ended
  /// the wait; one that came later stays due.
  void take_hand_over() {
    if (!woken()) task_->throw_cancelled();
    task_->overtake_cancel();
  }
  TaskBase& task() const noexcept { return *task_; }
  WaitQueue& queue() const noexcept { return *queue_; }
  /// Before it parks: when it is woken or cancelled, `attempt` is called instead of the coroutine.
  void retry_by(Runnable::Run attempt) noexcept { retry_ = attempt; }
  /// Woken to try again: it is no longer in the way of others.
  void leave_queue() noexcept {
    if (linked()) queue_->unlink(*this);
  }
  /// Where the next park() waits.
  void wait_in(WaitQueue& queue) noexcept { queue_ = &queue; }
  /// Instead of parking, because a cancel is due: its attempt is called in the next step.
  void retry_soon(TaskBase& task, std::coroutine_handle<> leaf) noexcept {
    task_ = &task;
    ended_ = true;
    task.queue_attempt(*this, leaf, retry_);
  }
  /// Waits in another queue from here on, and no cancel ends it: one that comes stays due.
  void park_again(WaitQueue& queue, std::coroutine_handle<> leaf) noexcept {
    if (linked()) queue_->unlink(*this);
    queue_ = &queue;
    retry_ = nullptr;
    cancellable_ = false;
    task_->begin_wait_even_if_cancelled(*this, leaf);
    queue_->link(*this);
  }

 private:
  friend class WaitQueue;
  enum class State : std::uint8_t { idle, waiting, woken };

  bool linked() const noexcept { return linked_; }
  void make_ready() noexcept {
    if (retry_ == nullptr) {
      task_->make_ready();
    } else {
      task_->queue_attempt(*this, task_->resume_point(), retry_);
    }
  }
  static void cancel(Waiting& waiting, TaskBase& /*task*/) noexcept {
    auto& self = static_cast<Parked&>(waiting);
    // Woken: outside of the loop's run, and its turn has not come. It stays due.
    if (!self.cancellable_ || self.woken()) return;
    self.ended_ = true;
    self.leave_queue();
    self.make_ready();
  }

  WaitQueue* queue_;
  TaskBase* task_ = nullptr;  ///< Set once it waits.
  Parked* next_ = nullptr;
  Parked* previous_ = nullptr;
  Runnable::Run retry_ = nullptr;
  State state_ = State::idle;
  bool linked_ = false;
  bool cancellable_ = true;
  bool ended_ = false;  ///< A cancel has ended the wait, or kept it from beginning.
};

/// Only a loop that closes may destroy it before those who wait: their frames go in any order.
inline WaitQueue::~WaitQueue() {
  assert(first_ == nullptr || running_loop == nullptr || running_loop->closing);
  for (Parked* waiter = first_; waiter != nullptr; waiter = waiter->next_) waiter->linked_ = false;
}

inline void WaitQueue::link(Parked& waiter) noexcept {
  waiter.state_ = Parked::State::waiting;
  waiter.linked_ = true;
  waiter.next_ = nullptr;
  waiter.previous_ = last_;
  (last_ == nullptr ? first_ : last_->next_) = &waiter;
  last_ = &waiter;
  if (first_waiting_ == nullptr) first_waiting_ = &waiter;
  ++waiting_;
}

inline void WaitQueue::unlink(Parked& waiter) noexcept {
  assert(waiter.linked_);
  waiter.linked_ = false;
  if (&waiter == first_waiting_) first_waiting_ = waiter.next_;
  if (waiter.state_ == Parked::State::waiting) {
    waiter.state_ = Parked::State::idle;
    --waiting_;
  }
  (waiter.previous_ == nullptr ? first_ : waiter.previous_->next_) = waiter.next_;
  (waiter.next_ == nullptr ? last_ : waiter.next_->previous_) = waiter.previous_;
}

inline std::size_t WaitQueue::wake(std::size_t count) noexcept {
  std::size_t woken = 0;
  for (; woken < count && first_waiting_ != nullptr; ++woken) {
    Parked& waiter = *first_waiting_;
    first_waiting_ = waiter.next_;
    waiter.state_ = Parked::State::woken;
    --waiting_;
    waiter.make_ready();
  }
  return woken;
}

inline void WaitQueue::hand_over(Parked& waiter) noexcept {
  unlink(waiter);
  waiter.state_ = Parked::State::woken;
  waiter.make_ready();
}

inline std::size_t WaitQueue::move_to(WaitQueue& target, std::size_t count) noexcept {
  count = std::min(count, waiting_);
  for (std::size_t moved = 0; moved < count; ++moved) {
    Parked& waiter = *first_waiting_;
    unlink(waiter);
    waiter.queue_ = &target;
    target.link(waiter);
  }
  return count;
}

/// The three functions of an awaiter over `bool Derived::attempt() noexcept`, which takes what is
/// wanted if it can be had now. await_resume is Derived's.
template <typename Derived>
class ParkedAwaiter : public Parked {
 public:
  bool await_ready() noexcept { return spend_budget(*running_loop) && derived().attempt(); }
  template <typename Promise>
  void await_suspend(std::coroutine_handle<Promise> handle) noexcept {
    TaskBase& task = *handle.promise().task;
    if (running_loop->budget <= 0) {
      task.queue_attempt(*this, handle, &ParkedAwaiter::run_attempt);
    } else {
      park(task, handle);
    }
  }

 protected:
  /// The fairness re-queue is over; or it was woken to try again.
  static void run_attempt(Runnable& node, bool dropped) noexcept {
    TaskBase& task = TaskBase::of_attempt(node);
    if (dropped) return;
    auto& self = static_cast<Derived&>(static_cast<Parked&>(task.attempted()));
    if (self.attempt()) {
      task.resume_now();
    } else {
      self.park(task, task.resume_point());
    }
  }

 private:
  friend Derived;
  explicit ParkedAwaiter(WaitQueue& queue) noexcept : Parked(queue) {}
  Derived& derived() noexcept { return static_cast<Derived&>(*this); }
};

}  // namespace rota::detail
