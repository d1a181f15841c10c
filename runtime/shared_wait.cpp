#include <rota/detail/cpu.hpp>
#include <rota/detail/shared_wait.hpp>
#include <rota/error.hpp>

#include <algorithm>
#include <cassert>
#include <sched.h>
#include <string>

namespace rota::detail {

void SpinLock::wait_until_free() const noexcept {
  static constexpr int spins = 64;
  for (int round = 0; held_.load(std::memory_order_relaxed); ++round) {  // lock() acquires
    if (round < spins) {
      relax_cpu();
    } else {
      ::sched_yield();
    }
  }
}

// --- waking -----------------------------------------------------------------------------------

void Wakes::add(LoopCore& core) noexcept {
  for (std::size_t i = 0; i < count_; ++i) {
    if (cores_[i] == &core) return;
  }
  if (count_ == cores_.size()) wake_all();  // under the lock then: slow, and still right
  core.retain();
  cores_[count_++] = &core;
}

void Wakes::wake_all() noexcept {
  for (; count_ > 0; --count_) {
    LoopCore& core = *cores_[count_ - 1];
    core.wake();
    core.release();
  }
}

// --- the list ---------------------------------------------------------------------------------

void SharedWaitList::link(SharedWaiter& waiter) noexcept {
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

bool SharedWaitList::grant(SharedWaiter& waiter, Wakes& wakes) noexcept {
  unlink(waiter);
  waiter.granted_ = true;
  TaskBase* const task = waiter.task_;
  if (task == nullptr) {
    static_cast<SharedThreadWait&>(waiter)
        .woken_.release();  // it waits for the lock before it goes
  } else if (task->owned_here()) {
    static_cast<SharedTaskWait&>(waiter).come_home();
    task->make_ready();
  } else {
    wakes.add(*task->core());
    // From here on the waiter is its loop's.
    if (!task->core()->inbox().push(static_cast<ReadyNode&>(*task))) return false;
  }
  return true;
}

bool SharedWaitList::grant_first(Wakes& wakes) noexcept {
  while (first_ != nullptr) {
    if (grant(*first_, wakes)) return true;
  }
  return false;
}

// --- tasks ------------------------------------------------------------------------------------

void SharedTaskWait::park(TaskBase& task, std::coroutine_handle<> leaf) noexcept {
  task_ = &task;
  if (!task.begin_wait(*this, leaf)) return;
  task.go_outside(*running_loop, TaskBase::Outside::shared_list);
  outside_ = true;
  list_->link(*this);
}

void SharedTaskWait::come_home() noexcept {
  outside_ = false;
  task_->come_home(*running_loop);
}

void SharedTaskWait::leave_waited() {
  if (outside_) come_home();
  left_ = true;
  if (!granted()) task_->throw_cancelled();
  task_->overtake_cancel();
}

void SharedTaskWait::cancel(Waiting& waiting, TaskBase& task) noexcept {
  auto& self = static_cast<SharedTaskWait&>(waiting);
  {
    const std::lock_guard guard(*self.lock_);
    if (!self.linked()) return;  // it was granted, and is in our inbox
    self.list_->unlink(self);
  }
  self.come_home();
  task.make_ready();
}

// --- threads ----------------------------------------------------------------------------------

bool SharedThreadWait::wait(std::unique_lock<SpinLock>& lock, SharedWaitList& list,
                            std::optional<std::chrono::nanoseconds> timeout) noexcept {
  static constexpr std::chrono::nanoseconds longest = std::chrono::hours(24 * 365);
  list.link(*this);
  lock.unlock();
  if (timeout) {
    (void)woken_.try_acquire_for(std::min(*timeout, longest));  // far from the end of the clock
  } else {
    woken_.acquire();
  }
  lock.lock();  // whoever granted is out of it: nobody is at our stack any more
  if (linked()) list.unlink(*this);
  return granted();
}

void require_plain_thread(const char* blocking, const char* awaitable) {
  if (running_loop == nullptr) return;
  throw RuntimeError(std::string(blocking) +
                     " would block this thread's event loop: write co_await " + awaitable);
}

}  // namespace rota::detail
