/// task_base.hpp: a task without the type of its result: phases, waiting, cancellation.
///
/// The table of phases, of the word's transitions and of what a cancel does in each phase:
/// runtime/README.md, 2, 3, 5. Everything here is for the owner's thread unless it says "any".
#pragma once

#include <rota/context.hpp>
#include <rota/detail/completable.hpp>
#include <rota/detail/result.hpp>

#include <coroutine>
#include <cstdint>
#include <source_location>
#include <string>

namespace rota::detail {

class TaskBase;

/// What a suspended task waits for: base of every awaiter that waits. May be moved until it is
/// awaited.
class Waiting {
 public:
  /// A cancel is due while the task waits here: end the wait (unlink, make ready), or see that it
  /// will end.
  using Cancel = void (*)(Waiting&, TaskBase&) noexcept;

  explicit constexpr Waiting(Cancel function) noexcept : cancel_(function) {}
  Waiting(Waiting&& other) noexcept : cancel_(other.cancel_) {}
  Waiting& operator=(Waiting&&) = delete;

 protected:
  ~Waiting() = default;

 private:
  friend class TaskBase;
  Cancel cancel_;
};

enum class Phase : std::uint8_t { fresh, ready, running, waiting, done };

struct ReadyNode : Runnable {
  using Runnable::Runnable;
};
struct PokeNode : Runnable {
  using Runnable::Runnable;
};

/// What is known of a task's type.
struct TaskOperations : Completable::Operations {
  std::uint32_t frame_offset;  ///< From the task's state to the root coroutine's frame.
  ResultBase& (*result)(TaskBase&) noexcept;
  void (*drop_value)(TaskBase&) noexcept;  ///< A task that ends cancelled keeps no value.
};

class TaskBase : public ReadyNode, public PokeNode, public Completable {
 public:
  // --- waiting, for awaiters ---
  /// The task stops at `leaf` and waits for `waiting`. False: a cancel is due, so nothing must be
  /// started; the task is queued and throw_if_cancelled() in await_resume will throw.
  bool begin_wait(Waiting& waiting, std::coroutine_handle<> leaf) noexcept {
    resume_ = leaf;
    if (cancel_due()) [[unlikely]] {
      requeue(leaf);
      return false;
    }
    phase_ = Phase::waiting;
    waiting_ = &waiting;
    return true;
  }
  /// The same for waits that pass a cancel on instead of refusing to begin.
  void begin_wait_even_if_cancelled(Waiting& waiting, std::coroutine_handle<> leaf) noexcept {
    resume_ = leaf;
    phase_ = Phase::waiting;
    waiting_ = &waiting;
  }
  /// To the back of the ready queue; not a wait.
  void requeue(std::coroutine_handle<> leaf) noexcept {
    resume_ = leaf;
    phase_ = Phase::ready;
    running_loop->ready.push(static_cast<ReadyNode&>(*this));
  }
  /// The fairness re-queue: `attempt` is called with this task's node when its turn comes. See
  /// attempted().
  void queue_attempt(Waiting& waiting, std::coroutine_handle<> leaf,
                     Runnable::Run attempt) noexcept {
    ReadyNode::run = attempt;
    waiting_ = &waiting;
    requeue(leaf);
  }
  /// First thing in an attempt: the task and the awaiter that tries again.
  static TaskBase& of_attempt(Runnable& node) noexcept {
    TaskBase& task = static_cast<TaskBase&>(static_cast<ReadyNode&>(node));
    task.ReadyNode::run = &TaskBase::run_step;
    return task;
  }
  Waiting& attempted() noexcept { return *waiting_; }
  /// Last thing in an attempt that has completed: goes on in the coroutine.
  void resume_now() noexcept { run_step(static_cast<ReadyNode&>(*this), false); }

  /// What the task waited for has come. Any thread that the wait was handed to.
  void make_ready() noexcept {
    LoopState* loop = running_loop;
    if (loop != nullptr && loop->core == core()) [[likely]] {
      phase_ = Phase::ready;
      waiting_ = nullptr;
      loop->ready.push(static_cast<ReadyNode&>(*this));
    } else {
      post_ready();
    }
  }

  // --- pointed to from outside ---
  /// Who points into a waiting task's frames: another loop, or a list that all threads share.
  enum class Outside : std::uint8_t { loop, shared_list };
  void go_outside(LoopState& loop, Outside where) noexcept {
    ++held_outside;
    outside_ = where;
    ++(where == Outside::loop ? loop.waits_abroad : loop.waits_shared);
  }
  void come_home(LoopState& loop) noexcept {
    --held_outside;
    --(outside_ == Outside::loop ? loop.waits_abroad : loop.waits_shared);
  }

  // --- cancellation ---
  bool cancel_due() const noexcept {
    return (word_.load(std::memory_order_relaxed) & Word::undelivered_mask) !=
           0;  // acted upon by the owner alone
  }
  /// In await_resume of a wait that a cancel may end.
  void throw_if_cancelled() {
    if (cancel_due()) [[unlikely]]
      throw_cancelled();
  }
  [[noreturn]] void throw_cancelled();  ///< Delivers: throws CancelledError.
  /// In await_resume of a completion that is final: a cancel that is due stays due, and does not
  /// cost the value.
  void overtake_cancel() noexcept {
    if (cancel_due()) [[unlikely]]
      overtaken_ = static_cast<std::uint16_t>(undelivered());
  }
  /// The cancel has been handed to what is awaited; it counts as delivered here. Returns the epoch
  /// it was delivered in.
  std::uint64_t pass_cancel_on() noexcept { return count_delivery(); }
  /// What was awaited ended with a value in spite of the cancel passed on in `epoch`: it is due
  /// again, as overtaken.
  void take_cancel_back(std::uint64_t epoch) noexcept;

  /// Any. False: done. Takes over `message` (may be null).
  bool cancel(std::string* message) noexcept;
  /// cancel() by a scope of this task (timeout, TaskGroup). Returns the epoch for leave_scope().
  std::uint64_t cancel_by_scope() noexcept;
  /// The scope takes its own cancel back. Returns the count left. Lowers undelivered too if it was
  /// never delivered.
  std::uint64_t leave_scope(std::uint64_t epoch) noexcept;
  std::uint64_t uncancel() noexcept;
  std::uint64_t cancelling() const noexcept {
    return Word::count(word_.load(std::memory_order_relaxed));
  }
  /// The text of the newest cancel, or null; the caller owns it.
  std::string* take_message() noexcept;
  /// What take_message() gave was not delivered; a newer text wins.
  void put_message_back(std::string text);

  // --- the steps, for the loop ---
  static void run_first_step(Runnable& node, bool dropped) noexcept;
  static void run_step(Runnable& node, bool dropped) noexcept;
  static void run_poke(Runnable& node, bool dropped) noexcept;
  /// The loop closes: destroys the frame and ends the task as cancelled, or leaks it: see
  /// held_outside.
  void abandon() noexcept;
  bool leaked() const noexcept { return leaked_; }

  // --- seeing inside ---
  std::uint64_t id() const noexcept { return id_; }
  std::string name() const;
  void set_name(std::string name);
  void adopt_name(std::string* name) noexcept { name_ = name; }  ///< Of a task that has none yet.
  void dump(
      int fd) const noexcept;  ///< One line: name, phase, and where it waits, innermost first.
  Phase phase() const noexcept { return phase_; }
  std::coroutine_handle<> resume_point() const noexcept { return resume_; }
  TaskBase* next_task() const noexcept { return next_task_; }
  std::source_location created_at() const noexcept { return created_at_; }

  ContextCell* context = nullptr;  ///< Null: empty.

 protected:
  TaskBase(const TaskOperations& operations, std::coroutine_handle<> root) noexcept;
  ~TaskBase();

  /// Before the result is destroyed with the last reference.
  void report_if_unretrieved() noexcept {
    if (outcome() == Outcome::exception && !retrieved()) [[unlikely]]
      report_unretrieved(*this, name());
  }
  /// Links the new task into its loop and queues its first step.
  void start(LoopState& loop, std::source_location created_at) noexcept;

 private:
  void resume_coroutine(LoopState& loop) noexcept;
  void complete(LoopState& loop) noexcept;
  void finish_cancelled_unstarted(LoopState& loop) noexcept;
  void leave_loop(LoopState& loop, Outcome outcome) noexcept;
  void post_ready() noexcept;
  [[noreturn]] void die_suspended_elsewhere() const noexcept;
  void act_on_cancel() noexcept;
  std::uint64_t count_delivery() noexcept;
  std::uint64_t undelivered() const noexcept {
    return Word::undelivered(
        word_.load(std::memory_order_relaxed));  // the owner acts on it, see cancel_due()
  }
  void lower_noticed(std::uint64_t undelivered) noexcept;
  bool ends_cancelled() const noexcept { return cancel_due() && noticed_ > overtaken_; }
  std::coroutine_handle<> root() noexcept;
  const TaskOperations& task_operations() const noexcept {
    return static_cast<const TaskOperations&>(operations());
  }

  std::coroutine_handle<> resume_;  ///< Where it goes on: the innermost coroutine.
  Waiting* waiting_ = nullptr;
  atomic<std::string*> message_{
      nullptr};                    ///< Written by any canceller (exchange), taken by the owner.
  TaskBase* next_task_ = nullptr;  // the loop's list of live tasks
  TaskBase* previous_task_ = nullptr;
  std::uint64_t id_ = 0;
  std::string* name_ = nullptr;  ///< Null: "Task-<id>", formed when asked for.
  std::source_location created_at_;
  Phase phase_ = Phase::fresh;
  Outside outside_ = Outside::loop;  ///< Of the present wait, if it is one of those.
  bool leaked_ =
      false;  ///< The loop has closed, and somebody outside still points into its frames.
  bool passing_cancel_ =
      false;  ///< Inside act_on_cancel(): ends a cycle of tasks that await each other.
  std::uint16_t noticed_ = 0;  ///< Undelivered cancels that the owner has seen: README, section 5.
  std::uint16_t overtaken_ =
      0;  ///< Undelivered cancels when a final completion last overtook them.

 public:
  /// How many outside parties point into its frames: operations in flight, links to other loops,
  /// shared lists.
  /// While there are any, the frames must not be destroyed.
  std::uint32_t held_outside = 0;

 private:
  friend class rota::EventLoop;
};

}  // namespace rota::detail
