#include <rota/detail/cpu.hpp>
#include <rota/detail/shared_wait.hpp>
#include <rota/error.hpp>

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <sched.h>
#include <semaphore>
#include <string>
#include <unistd.h>

namespace rota::detail {

void SpinLock::wait_until_free() const noexcept {
  static constexpr int spins = 64;  // longer than anything that is done under the lock
  for (int round = 0; (word_.load(std::memory_order_relaxed) & held) != 0; ++round) {
    if (round < spins) {
      relax_cpu();
    } else {
      ::sched_yield();  // the holder has lost its CPU
    }
  }  // relaxed: lock() acquires
}

// --- waking -----------------------------------------------------------------------------------

/// How a plain thread waits: one for each thread, owned by it and by whoever is about to wake it,
/// who thus need not hold the object's lock for that. One release() for each hand-over, and the
/// thread takes it before it goes on; so there is never one too many.
class ThreadPermit : public std::enable_shared_from_this<ThreadPermit> {
 public:
  static ThreadPermit& of_this_thread() {
    static thread_local const auto permit = std::make_shared<ThreadPermit>();
    return *permit;
  }

  void release() noexcept { semaphore_.release(); }
  void acquire() noexcept { semaphore_.acquire(); }
  /// False: the time was over first.
  bool acquire_for(Duration timeout) noexcept {
    static constexpr Duration longest = std::chrono::hours(24 * 365);  // far from the clock's end
    return semaphore_.try_acquire_for(std::min(timeout, longest));
  }

  std::shared_ptr<ThreadPermit> next;  ///< In the list of a Wakes; a thread is in one at most.

 private:
  std::binary_semaphore semaphore_{0};
};

void Wakes::add(LoopCore& core) noexcept {
  for (std::size_t i = 0; i < count_; ++i) {
    if (cores_[i] == &core) return;
  }
  if (count_ == cores_.size()) wake_loops();  // under the lock then: slow, and still right
  core.retain();
  cores_[count_++] = &core;
}

void Wakes::add(ThreadPermit& thread) noexcept {
  thread.next = std::exchange(threads_, thread.shared_from_this());
}

void Wakes::post(LoopCore& core, Runnable& node) noexcept {
  add(core);
  if (core.inbox().push(node)) return;
  node.next = std::exchange(dropped_, &node);
}

void Wakes::wake_each() noexcept {
  while (dropped_ != nullptr) {
    Runnable& node = *std::exchange(dropped_, dropped_->next);
    node.run(node, true);
  }
  wake_loops();
  while (threads_ != nullptr) {
    const std::shared_ptr<ThreadPermit> thread = std::exchange(threads_, threads_->next);
    thread->next = nullptr;  // before it may wait again
    thread->release();
  }
}

void Wakes::wake_loops() noexcept {
  for (; count_ > 0; --count_) {
    LoopCore& core = *cores_[count_ - 1];
    core.wake();
    core.release();
  }
}

// --- the list ---------------------------------------------------------------------------------

void SharedWaitList::link(SharedWaiter& waiter) noexcept {
  assert(!waiter.linked_);
  waiter.linked_ = true;
  waiter.next_ = nullptr;
  waiter.previous_ = last_;
  (last_ == nullptr ? first_ : last_->next_) = &waiter;
  last_ = &waiter;
  ++size_;
}

void SharedWaitList::unlink(SharedWaiter& waiter) noexcept {
  assert(waiter.linked_);
  waiter.linked_ = false;
  (waiter.previous_ == nullptr ? first_ : waiter.previous_->next_) = waiter.next_;
  (waiter.next_ == nullptr ? last_ : waiter.next_->previous_) = waiter.previous_;
  --size_;
}

void SharedWaitList::grant(SharedWaiter& waiter, Wakes& wakes) noexcept {
  unlink(waiter);
  waiter.granted_ = true;
  waiter.hand_over_(waiter, wakes);
}

void SharedWaitList::die_with_waiters() const noexcept {
  dprintf(STDERR_FILENO,
          "rota: an object of rota::threadsafe was destroyed while %zu tasks or threads waited for "
          "it\n"
          "  why: it must outlive every await of it that is under way\n"
          "  do:  end those who wait first, or share its ownership with them\n",
          size_);
  std::abort();
}

// --- tasks ------------------------------------------------------------------------------------

void SharedTaskWait::park(TaskBase& task, std::coroutine_handle<> leaf) noexcept {
  task_ = &task;
  if (!task.begin_wait(*this, leaf)) return;
  task.go_outside(*running_loop, TaskBase::Outside::shared_list);
  outside_ = true;
  list_->link(*this);
}

void SharedTaskWait::begin(TaskBase& task, std::coroutine_handle<> leaf) noexcept {
  task_ = &task;
  task.begin_wait_even_if_cancelled(*this, leaf);
  task.go_outside(*running_loop, TaskBase::Outside::shared_list);
  outside_ = true;
}

void SharedTaskWait::to_task(SharedWaiter& waiter, Wakes& wakes) noexcept {
  auto& self = static_cast<SharedTaskWait&>(waiter);
  TaskBase& task = *self.task_;
  if (task.owned_here()) {
    running_loop->ready.push(static_cast<ReadyNode&>(task));
    return;
  }
  LoopCore& core = *task.core();
  wakes.add(core);
  // It was linked until now, so its loop is open: see EventLoop::bring_home(). Once it is pushed,
  // the waiter is its loop's.
  [[maybe_unused]] const bool open = core.inbox().push(static_cast<ReadyNode&>(task));
  assert(open);
}

void SharedTaskWait::come_home() noexcept {
  outside_ = false;
  task_->come_home(*running_loop);
}

void SharedTaskWait::go_on() noexcept {
  come_home();
  task_->make_ready();
}

void SharedTaskWait::arrive() noexcept {
  if (outside_) {
    come_home();
    lock_->pass();  // who handed over may still hold it; after us the object may be destroyed
  }
}

void SharedTaskWait::leave_waited() {
  arrive();
  if (!granted()) task_->throw_cancelled();
  task_->overtake_cancel();
}

bool SharedTaskWait::end_wait() noexcept {
  {
    const SpinLock::Guard guard(*lock_);
    if (!linked()) return false;  // it was granted, and is in our inbox or ready queue
    list_->unlink(*this);
  }
  go_on();
  return true;
}

// --- threads ----------------------------------------------------------------------------------

void SharedTaskWait::to_thread(SharedWaiter& waiter, Wakes& wakes) noexcept {
  wakes.add(*static_cast<SharedTaskWait&>(waiter).thread_);
}

bool SharedTaskWait::wait_as_thread(Turn& turn, std::optional<Duration> timeout) noexcept {
  bool permitted = true;
  turn.while_free([&] {
    if (timeout) {
      permitted = thread_->acquire_for(*timeout);
    } else {
      thread_->acquire();
    }
  });
  if (linked()) return false;
  // Who handed over has freed the lock: nobody is at our stack any more.
  if (!permitted) turn.while_free([&] { thread_->acquire(); });  // it is on its way
  return true;
}

ThreadPermit& permit_to_block(const char* blocking, const char* awaitable) {
  if (running_loop != nullptr) {
    throw RuntimeError(std::string(blocking) +
                       " would block this thread's event loop: write co_await " + awaitable);
  }
  return ThreadPermit::of_this_thread();
}

}  // namespace rota::detail
