/// shared_wait.hpp: who waits for an object that all threads share, in the order they came. One
/// mechanism under every thread-safe primitive.
///
/// The list belongs to an object, and the object's lock guards both: who gets what is decided under
/// it, so nothing is handed over twice, or to nobody. Those who wait are tasks of any loop (the
/// waiter is a part of the awaiter, so waiting allocates nothing) and plain threads.
///
/// A hand-over is final. Under the lock the giver unlinks the waiter, marks it *granted*, and puts
/// its task into the inbox of its loop; a cancel or a time-out that comes later finds it unlinked,
/// and changes nothing. The doorbells are rung when the lock is free again: see Wakes.
#pragma once

#include <rota/detail/promise.hpp>
#include <rota/detail/spin_lock.hpp>
#include <rota/detail/task_base.hpp>

#include <array>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <mutex>
#include <optional>
#include <semaphore>

namespace rota::detail {

class SharedWaiter;

/// The loops that a hand-over concerns. Made before the lock is taken, so that it ends after it is
/// free: then each loop is woken, once, however many of its tasks were made ready.
class Wakes : Immovable {
 public:
  Wakes() = default;
  ~Wakes() { wake_all(); }
  /// Before something is pushed into the inbox of `core`: what is pushed may end, and its loop too.
  void add(LoopCore& core) noexcept;

 private:
  void wake_all() noexcept;

  std::array<LoopCore*, 16> cores_;
  std::size_t count_ = 0;
};

/// Everything here under the object's lock.
class SharedWaitList : Immovable {
 public:
  bool empty() const noexcept { return first_ == nullptr; }
  std::size_t size() const noexcept { return size_; }
  SharedWaiter* first() const noexcept { return first_; }
  void link(SharedWaiter& waiter) noexcept;
  void unlink(SharedWaiter& waiter) noexcept;

  /// Hands over to `waiter`, which is unlinked. False: its loop has closed, and it has got nothing.
  [[nodiscard]] bool grant(SharedWaiter& waiter, Wakes& wakes) noexcept;
  /// Hands over to the one that has waited longest. False: there was nobody.
  bool grant_first(Wakes& wakes) noexcept;
  void grant_all(Wakes& wakes) noexcept {
    while (grant_first(wakes)) continue;
  }

 private:
  SharedWaiter* first_ = nullptr;
  SharedWaiter* last_ = nullptr;
  std::size_t size_ = 0;
};

/// One who waits. Its fields belong to the lock while it is linked, and to the one who waits before
/// and after.
class SharedWaiter {
 public:
  bool linked() const noexcept { return linked_; }
  bool granted() const noexcept { return granted_; }

 protected:
  explicit SharedWaiter(TaskBase* task = nullptr) noexcept : task_(task) {}
  SharedWaiter(const SharedWaiter&) = delete;
  SharedWaiter& operator=(const SharedWaiter&) = delete;
  ~SharedWaiter() = default;

  TaskBase* task_;  ///< Null: a plain thread; or an awaiter that has not waited yet.

 private:
  friend class SharedWaitList;
  SharedWaiter* next_ = nullptr;
  SharedWaiter* previous_ = nullptr;
  bool linked_ = false;
  bool granted_ = false;
};

/// Base of the awaiters. May be moved until it is awaited.
class SharedTaskWait : public Waiting, public SharedWaiter {
 protected:
  SharedTaskWait(SpinLock& lock, SharedWaitList& list) noexcept
      : Waiting(&SharedTaskWait::cancel), lock_(&lock), list_(&list) {}
  SharedTaskWait(SharedTaskWait&& other) noexcept : SharedTaskWait(*other.lock_, *other.list_) {}
  ~SharedTaskWait() = default;

  SpinLock& lock() const noexcept { return *lock_; }
  SharedWaitList& list() const noexcept { return *list_; }
  bool waited() const noexcept { return task_ != nullptr; }
  /// The lock is held. The task waits at `leaf`; unless a cancel is due, which leave() will throw.
  void park(TaskBase& task, std::coroutine_handle<> leaf) noexcept;
  /// First thing in await_resume. Errors: CancelledError, and then nothing was handed over.
  void leave() {
    if (task_ != nullptr) [[unlikely]]
      leave_waited();
  }
  /// In the destructor: something was handed over, and the frame is destroyed without having seen
  /// it (its loop closes): it must be passed on.
  bool lost_grant() const noexcept { return granted() && !left_; }

 private:
  friend class SharedWaitList;
  void leave_waited();
  void come_home() noexcept;
  static void cancel(Waiting& waiting, TaskBase& task) noexcept;

  SpinLock* lock_;
  SharedWaitList* list_;
  bool outside_ = false;  ///< Linked, or on the way home through the inbox.
  bool left_ = false;
};

/// The three functions of an awaiter over two of Derived's: `bool attempt() noexcept` takes what is
/// wanted if it can be had now; `bool attempt_locked() noexcept` does so under the lock, and if it
/// cannot be had, leaves word that somebody waits. await_resume is Derived's.
template <typename Derived>
class SharedAwaiter : public SharedTaskWait {
 public:
  bool await_ready() noexcept { return spend_budget(*running_loop) && derived().attempt(); }
  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle) noexcept {
    TaskBase& task = *handle.promise().task;
    if (running_loop->budget > 0) return wait(task, handle);
    task.queue_attempt(*this, handle, &SharedAwaiter::run_attempt);
    return true;
  }

 protected:
  using SharedTaskWait::SharedTaskWait;

 private:
  Derived& derived() noexcept { return static_cast<Derived&>(*this); }

  /// False: it need not wait.
  bool wait(TaskBase& task, std::coroutine_handle<> leaf) noexcept {
    const std::lock_guard guard(lock());
    if (derived().attempt_locked()) return false;
    park(task, leaf);
    return true;
  }
  /// The fairness re-queue is over.
  static void run_attempt(Runnable& node, bool dropped) noexcept {
    TaskBase& task = TaskBase::of_attempt(node);
    if (dropped) return;
    auto& self = static_cast<Derived&>(static_cast<SharedTaskWait&>(task.attempted()));
    if (self.attempt() || !self.wait(task, task.resume_point())) task.resume_now();
  }
};

/// A plain thread that waits, on its stack.
class SharedThreadWait : public SharedWaiter {
 public:
  /// The lock is held; it is free while the thread waits, and held again afterwards. True: granted.
  /// False: the time is over.
  bool wait(std::unique_lock<SpinLock>& lock, SharedWaitList& list,
            std::optional<std::chrono::nanoseconds> timeout) noexcept;

 private:
  friend class SharedWaitList;
  std::binary_semaphore woken_{0};
};

/// For the *_blocking forms. Errors: RuntimeError on a loop's thread, which must not be blocked.
void require_plain_thread(const char* blocking, const char* awaitable);

}  // namespace rota::detail
