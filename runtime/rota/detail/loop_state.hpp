/// loop_state.hpp: the part of a loop that awaiters touch inline. Owner's thread only.
#pragma once

#include <rota/detail/immovable.hpp>
#include <rota/detail/kernel.hpp>
#include <rota/detail/loop_core.hpp>
#include <rota/detail/runnable.hpp>
#include <rota/detail/timer_heap.hpp>

#include <coroutine>
#include <cstdint>

namespace rota {
class EventLoop;
}  // namespace rota

namespace rota::detail {

class ExecutorJob;
class TaskBase;
struct ContextCell;
struct LinkNode;

/// A resume may make this many awaits that need not wait before its task goes to the back of the
/// queue (D5): fair to its neighbours, and still only one queue round trip (4 ns) for 128 awaits.
inline constexpr std::int32_t await_budget = 128;

/// Nested symmetric transfers before the stack is unwound to the run loop. Compilers that make no
/// tail call (g++ below -O2) use some 200 bytes of stack for each.
inline constexpr std::int32_t transfer_limit = 128;

class LoopState : Immovable {
 public:
  LoopCore* core = nullptr;
  Kernel* kernel = nullptr;
  ReadyQueue ready;
  ReadyQueue deferred;  ///< Run when the present resume ends: stream flushes.
  TimerHeap timers;

  TaskBase* current_task = nullptr;  ///< Being resumed now.
  ContextCell** context_slot =
      nullptr;  ///< The running task's or callback's context; null outside of both.
  std::int32_t budget = await_budget;
  std::int32_t budget_refill = await_budget;  ///< A huge number switches fairness off.
  std::int32_t transfers = transfer_limit;
  std::coroutine_handle<> bounced;  ///< Where to go on after an unwound transfer.

  TaskBase* all_tasks = nullptr;  ///< Live tasks, newest first.
  std::uint64_t next_task_id = 0;
  std::uint64_t task_ids_end = 0;

  LinkNode* foreign_waiters =
      nullptr;            ///< Links to tasks and futures of this loop: answered when it closes.
  bool answered = false;  ///< close() has answered them: who comes now is answered at once.
  std::size_t waits_abroad =
      0;  ///< Tasks of this loop that wait for another one: a jumping clock stands still.
  std::size_t waits_shared = 0;          ///< Tasks of this loop in lists that all threads share.
  ExecutorJob* executor_jobs = nullptr;  ///< Calls that have not come back, newest first.
  bool executors_closed = false;         ///< No more calls: shutdown_default_executor().
  bool closing = false;                  ///< close() has begun: nothing new can be made here.
  /// While close() destroys the frames of a task: the lock that its wait in a Condition has given
  /// up, so that the scopes around that do not hold it.
  const void* given_up = nullptr;

  // Counters, always on.
  std::uint64_t steps_total = 0;
  std::uint64_t tasks_resumed_total = 0;
  std::uint64_t tasks_alive = 0;

  std::int64_t now() noexcept { return kernel->now(); }
  EventLoop& loop() noexcept;  ///< The loop that this is a part of.

 protected:
  LoopState() = default;
  ~LoopState() = default;
};

/// The loop that runs on this thread now, or null. Read anew after every suspension: never kept
/// across one.
extern constinit thread_local LoopState* running_loop;

inline LoopCore* running_core() noexcept {
  return running_loop != nullptr ? running_loop->core : nullptr;
}

/// The running loop. Errors: RuntimeError "no running event loop".
LoopState& require_running_loop();

/// True: go on. False: this resume has had its share; the awaiter queues an attempt.
inline bool spend_budget(LoopState& loop) noexcept { return --loop.budget > 0; }

/// Where a symmetric transfer to `next` really goes: there, or to the run loop, which then goes
/// there.
inline std::coroutine_handle<> transfer(std::coroutine_handle<> next) noexcept {
  LoopState& loop = *running_loop;
  if (--loop.transfers > 0) [[likely]]
    return next;
  loop.bounced = next;
  return std::noop_coroutine();
}

}  // namespace rota::detail
