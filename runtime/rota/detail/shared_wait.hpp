/// shared_wait.hpp: who waits for an object that all threads share, in the order they came. One
/// mechanism under every thread-safe primitive; the protocol and its proof: sync/README.md, 6.
///
/// The lists belong to an object, and its lock guards them: who gets what is decided under it, so
/// nothing is handed over twice, or to nobody. Those who wait are tasks of any loop and plain
/// threads. The waiter is a part of the awaiter, so waiting allocates nothing.
///
/// A hand-over is final. Under the lock the giver unlinks the waiter, marks it *granted*, and puts
/// its task into the inbox of its loop. A cancel or a time-out that comes later finds it unlinked,
/// and changes nothing. The doorbells are rung when the lock is free again: see Turn.
#pragma once

#include <rota/clock.hpp>
#include <rota/detail/promise.hpp>
#include <rota/detail/spin_lock.hpp>
#include <rota/detail/task_base.hpp>

#include <array>
#include <coroutine>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>

namespace rota::detail {

class SharedWaiter;
class ThreadPermit;

/// Whom to wake when the lock is free: each loop once, however many of its tasks were made ready.
class Wakes : Immovable {
 public:
  Wakes() noexcept {}
  ~Wakes() { wake_all(); }
  /// Before something is pushed into the inbox of `core`: what is pushed may end, and its loop too.
  void add(LoopCore& core) noexcept;
  void add(ThreadPermit& thread) noexcept;
  /// Into the inbox of `core`; if that is closed, `node` is dropped when the lock is free.
  void post(LoopCore& core, Runnable& node) noexcept;
  void wake_all() noexcept {
    if (count_ != 0 || threads_ != nullptr) wake_each();
  }

 private:
  void wake_each() noexcept;
  void wake_loops() noexcept;

  std::array<LoopCore*, 16> cores_;
  std::size_t count_ = 0;
  std::shared_ptr<ThreadPermit> threads_;  ///< The first of a list.
  Runnable* dropped_ = nullptr;            ///< Likewise. Their loops are in cores_.
};

/// A turn at an object: its lock, held, and whom to wake afterwards.
struct Turn : Immovable {
  explicit Turn(SpinLock& lock) noexcept : guard(lock) {}
  /// Interrupts the turn: wakes whom there is to wake, and calls `function`.
  template <typename Function>
  void while_free(Function function) noexcept {
    guard.while_free([&] {
      wakes.wake_all();
      function();
    });
  }

  Wakes wakes;  // first, so that it ends last
  SpinLock::Guard guard;
};

/// Everything here under the object's lock.
class SharedWaitList : Immovable {
 public:
  SharedWaitList() = default;
  ~SharedWaitList() {
    if (first_ != nullptr) [[unlikely]]
      die_with_waiters();
  }
  bool empty() const noexcept { return first_ == nullptr; }
  std::size_t size() const noexcept { return size_; }
  SharedWaiter* first() const noexcept { return first_; }
  void link(SharedWaiter& waiter) noexcept;
  void unlink(SharedWaiter& waiter) noexcept;

  /// Hands over to `waiter`, which is unlinked. It is no longer ours afterwards.
  void grant(SharedWaiter& waiter, Wakes& wakes) noexcept;
  /// Hands over to the one that has waited longest. False: there was nobody.
  bool grant_first(Wakes& wakes) noexcept {
    if (first_ == nullptr) return false;
    grant(*first_, wakes);
    return true;
  }
  void grant_all(Wakes& wakes) noexcept {
    while (grant_first(wakes)) continue;
  }

 private:
  [[noreturn]] void die_with_waiters() const noexcept;

  SharedWaiter* first_ = nullptr;
  SharedWaiter* last_ = nullptr;
  std::size_t size_ = 0;
};

/// One who waits. Its fields belong to the lock while it is linked, and to the one who waits before
/// and after.
class SharedWaiter {
 public:
  /// Makes ready who waits. Under the lock, on the giver's thread; the waiter is unlinked.
  using HandOver = void (*)(SharedWaiter&, Wakes&) noexcept;

  bool linked() const noexcept { return linked_; }
  bool granted() const noexcept { return granted_; }
  SharedWaiter* next() const noexcept { return next_; }  ///< Who came after it, while it is linked.
  bool handed_over_by(HandOver function) const noexcept { return hand_over_ == function; }

 protected:
  explicit SharedWaiter(HandOver function) noexcept : hand_over_(function) {}
  SharedWaiter(const SharedWaiter&) = delete;
  SharedWaiter& operator=(const SharedWaiter&) = delete;
  ~SharedWaiter() = default;

  HandOver hand_over_;

 private:
  friend class SharedWaitList;
  SharedWaiter* next_ = nullptr;
  SharedWaiter* previous_ = nullptr;
  bool linked_ = false;
  bool granted_ = false;
};

/// Base of the awaiters: all that there is to know about tasks here. May be moved until it is
/// awaited; awaited once.
class SharedTaskWait : public Waiting, public SharedWaiter {
 protected:
  SharedTaskWait(SpinLock& lock, SharedWaitList& list, Cancel function) noexcept
      : Waiting(function), SharedWaiter(&SharedTaskWait::to_task), lock_(&lock), list_(&list) {}
  SharedTaskWait(SharedTaskWait&& other) noexcept
      : Waiting(static_cast<Waiting&&>(other)),  // the rest of it is taken below
        SharedWaiter(&SharedTaskWait::to_task),
        lock_(other.lock_),
        list_(other.list_) {}
  ~SharedTaskWait() = default;

  SpinLock& lock() const noexcept { return *lock_; }
  SharedWaitList& list() const noexcept { return *list_; }
  /// Where it waits from here on: before it waits, or under the lock.
  void wait_in(SharedWaitList& list) noexcept { list_ = &list; }
  bool waited() const noexcept { return task_ != nullptr; }
  TaskBase& task() const noexcept { return *task_; }

  /// The lock is held. The task waits at `leaf`; unless a cancel is due, which leave() will throw.
  void park(TaskBase& task, std::coroutine_handle<> leaf) noexcept;
  /// The same for waits that a cancel does not end. It is linked by the caller.
  void begin(TaskBase& task, std::coroutine_handle<> leaf) noexcept;
  /// A cancel. True: it has ended the wait. False: something was handed over before.
  bool end_wait() noexcept;
  /// It is unlinked, and its task goes on.
  void go_on() noexcept;
  /// In a cancel: its loop closes, so nobody will see what was handed over: it must be passed on,
  /// now, while its object is there. Afterwards frames are destroyed in any order.
  bool is_lost() noexcept { return running_loop->closing && !std::exchange(lost_, true); }
  /// This thread waits, instead of a task. Before it is linked.
  void be_thread(ThreadPermit& permit) noexcept {
    hand_over_ = &SharedTaskWait::to_thread;
    thread_ = &permit;
  }
  /// The thread that it is waits, linked; the lock is free meanwhile. False: the time was over
  /// first, and it is linked still.
  bool wait_as_thread(Turn& turn, std::optional<Duration> timeout) noexcept;

  /// First thing in await_resume. Errors: CancelledError, and then nothing was handed over.
  void leave() {
    if (task_ != nullptr) [[unlikely]]
      leave_waited();
  }
  /// As leave(), but a cancel is the caller's business.
  void arrive() noexcept;

 private:
  void leave_waited();
  void come_home() noexcept;
  static void to_task(SharedWaiter& waiter, Wakes& wakes) noexcept;
  static void to_thread(SharedWaiter& waiter, Wakes& wakes) noexcept;

  SpinLock* lock_;
  SharedWaitList* list_;
  TaskBase* task_ = nullptr;  ///< Set once a task waits.
  ThreadPermit* thread_ = nullptr;
  bool outside_ = false;  ///< Linked, or on the way home through the inbox or the ready queue.
  bool lost_ = false;     ///< See is_lost().
};

/// For *_blocking forms. Errors: RuntimeError on a loop's thread; std::bad_alloc.
ThreadPermit& permit_to_block(const char* blocking, const char* awaitable);

/// The functions of an awaiter over three of Derived's, none of which waits: `bool attempt()
/// noexcept` takes what is wanted if it can be had at once; `bool attempt_locked(Turn&) noexcept`
/// does so under the lock, and if it cannot be had, leaves word that somebody waits; `void
/// withdraw() noexcept`, if there is something to pass on: see is_lost(). await_resume is
/// Derived's.
template <typename Derived>
class SharedAwaiter : public SharedTaskWait {
 public:
  bool await_ready() noexcept { return spend_budget(*running_loop) && derived().attempt(); }
  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle) noexcept {
    TaskBase& task = *handle.promise().task;
    if (running_loop->budget > 0) return derived().wait(task, handle);
    task.queue_attempt(*this, handle, &SharedAwaiter::run_attempt);
    return true;
  }

  /// Instead of co_await, for plain threads; then await_resume() gives the result. False: the time
  /// is over. Errors: RuntimeError on a loop's thread, which says to write `awaitable` instead.
  bool block(const char* blocking, const char* awaitable,
             std::optional<Duration> timeout = std::nullopt) {
    ThreadPermit& permit = permit_to_block(blocking, awaitable);
    if (derived().attempt()) return true;
    Turn turn(lock());
    if (derived().attempt_locked(turn)) return true;
    be_thread(permit);
    list().link(*this);
    if (wait_as_thread(turn, timeout)) return true;
    list().unlink(*this);
    return false;
  }

 protected:
  /// False: it need not wait.
  bool wait(TaskBase& task, std::coroutine_handle<> leaf) noexcept {
    Turn turn(lock());
    if (derived().attempt_locked(turn)) return false;
    park(task, leaf);
    return true;
  }
  void withdraw() noexcept {}

 private:
  friend Derived;
  SharedAwaiter(SpinLock& lock, SharedWaitList& list,
                Cancel function = &SharedAwaiter::cancel) noexcept
      : SharedTaskWait(lock, list, function) {}
  Derived& derived() noexcept { return static_cast<Derived&>(*this); }

  static void cancel(Waiting& waiting, TaskBase& /*task*/) noexcept {
    auto& self = static_cast<Derived&>(static_cast<SharedTaskWait&>(waiting));
    if (!self.end_wait() && self.is_lost()) self.withdraw();
  }
  /// The fairness re-queue is over.
  static void run_attempt(Runnable& node, bool dropped) noexcept {
    TaskBase& task = TaskBase::of_attempt(node);
    if (dropped) return;
    auto& self = static_cast<Derived&>(static_cast<SharedTaskWait&>(task.attempted()));
    if (self.attempt() || !self.wait(task, task.resume_point())) task.resume_now();
  }
};

}  // namespace rota::detail
