#include <rota/task.hpp>

#include <algorithm>
#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <unistd.h>

namespace rota::detail {
namespace {

/// Task ids are handed to loops in blocks, so that making a task touches nothing shared.
std::uint64_t new_task_id(LoopState& loop) noexcept {
  static constexpr std::uint64_t block = 1024;
  static constinit atomic<std::uint64_t> next_block{1};
  if (loop.next_task_id == loop.task_ids_end) {
    loop.next_task_id =
        next_block.fetch_add(block, std::memory_order_relaxed);  // only the numbers must differ
    loop.task_ids_end = loop.next_task_id + block;
  }
  return loop.next_task_id++;
}

std::string take_text(std::string* message) {
  const std::unique_ptr<std::string> owned(message);
  return owned == nullptr ? std::string() : std::move(*owned);
}

}  // namespace

TaskBase::TaskBase(const TaskOperations& operations, std::coroutine_handle<> root) noexcept
    : ReadyNode(&TaskBase::run_first_step),
      PokeNode(&TaskBase::run_poke),
      Completable(operations, 2),
      resume_(root) {}

TaskBase::~TaskBase() {
  rota::detail::release(context);
  delete message_.load(
      std::memory_order_relaxed);  // the last reference is gone: nobody writes it any more
  delete name_;
  LoopCore* const owner = core();
  assert(owner != nullptr);  // since start()
  owner->release();
}

void TaskBase::start(LoopState& loop, std::source_location created_at) noexcept {
  assert(loop.core != nullptr);
  loop.core->retain();
  core_.store(loop.core, std::memory_order_relaxed);  // published with the task
  created_at_ = created_at;
  id_ = new_task_id(loop);
  next_task_ = loop.all_tasks;
  if (next_task_ != nullptr) next_task_->previous_task_ = this;
  loop.all_tasks = this;
  ++loop.tasks_alive;
  loop.ready.push(static_cast<ReadyNode&>(*this));
}

// --- steps ---

void TaskBase::run_first_step(Runnable& node, bool dropped) noexcept {
  auto& task = static_cast<TaskBase&>(static_cast<ReadyNode&>(node));
  task.ReadyNode::run = &TaskBase::run_step;
  if (dropped) return;  // abandon() ends it
  if (task.cancel_due()) {
    task.finish_cancelled_unstarted(*running_loop);
  } else {
    task.resume_coroutine(*running_loop);
  }
}

void TaskBase::run_step(Runnable& node, bool dropped) noexcept {
  auto& task = static_cast<TaskBase&>(static_cast<ReadyNode&>(node));
  if (!dropped) {
    task.resume_coroutine(*running_loop);
  } else if (task.phase_ == Phase::waiting && task.held_outside > 0) {
    // This was the answer from outside, which has let go. abandon() ends the task.
    task.come_home(*running_loop);
  }
}

void TaskBase::resume_coroutine(LoopState& loop) noexcept {
  phase_ = Phase::running;
  waiting_ = nullptr;
  loop.current_task = this;
  loop.context_slot = &context;
  loop.budget = loop.budget_refill;
  loop.transfers = transfer_limit;
  ++loop.tasks_resumed_total;
  std::coroutine_handle<> next = resume_;
  do {
    next.resume();
    next = std::exchange(loop.bounced, nullptr);
    loop.transfers = transfer_limit;
  } while (next);
  loop.current_task = nullptr;
  loop.context_slot = nullptr;
  if (phase_ == Phase::running) complete(loop);
}

std::coroutine_handle<> TaskBase::root() noexcept {
  return std::coroutine_handle<>::from_address(reinterpret_cast<std::byte*>(this) +
                                               task_operations().frame_offset);
}

void TaskBase::complete(LoopState& loop) noexcept {
  if (!root().done()) [[unlikely]]
    die_suspended_elsewhere();
  root().destroy();
  ResultBase& result = task_operations().result(*this);
  Outcome outcome = Outcome::value;
  if (result.exception) {
    outcome = is_cancelled_error(result.exception) ? Outcome::cancelled : Outcome::exception;
  } else if (ends_cancelled()) [[unlikely]] {
    task_operations().drop_value(*this);
    result.exception = std::make_exception_ptr(CancelledError(take_text(take_message())));
    outcome = Outcome::cancelled;
  }
  leave_loop(loop, outcome);
}

void TaskBase::finish_cancelled_unstarted(LoopState& loop) noexcept {
  task_operations().result(*this).exception =
      std::make_exception_ptr(CancelledError(take_text(take_message())));
  // As running, for what the destructors of arguments and locals may ask or do.
  phase_ = Phase::running;
  waiting_ = nullptr;
  loop.current_task = this;
  loop.context_slot = &context;
  root().destroy();
  loop.given_up = nullptr;
  loop.current_task = nullptr;
  loop.context_slot = nullptr;
  leave_loop(loop, Outcome::cancelled);
}

void TaskBase::leave_loop(LoopState& loop, Outcome outcome) noexcept {
  if (previous_task_ != nullptr) {
    previous_task_->next_task_ = next_task_;
  } else {
    loop.all_tasks = next_task_;
  }
  if (next_task_ != nullptr) next_task_->previous_task_ = previous_task_;
  --loop.tasks_alive;
  phase_ = Phase::done;
  finish(outcome, Word::reference);  // the runtime's; the task may be gone now
}

void TaskBase::abandon() noexcept {
  EventLoop& loop = loop_of(*running_loop);
  loop.call_exception_handler({"Task was destroyed but it is pending!", {}, name()});
  if (held_outside == 0) {
    finish_cancelled_unstarted(loop);
    return;
  }
  // Somebody still points into its frames: they are leaked, with the task. Who waits for it is told
  // that it never ends.
  leaked_ = true;
  for (WaiterList waiting = waiters_.take(); !waiting.empty();) {
    Waiter& waiter = waiting.pop();
    waiter.notify(waiter, true);
  }
}

void TaskBase::die_suspended_elsewhere() const noexcept {
  dprintf(
      STDERR_FILENO,
      "rota: task '%s' has awaited something that suspends it without rota's knowledge (%s:%u)\n"
      "  why: only awaitables made for rota can make a task wait; std::suspend_always and foreign "
      "ones cannot\n"
      "  do:  set a rota::Future from the foreign callback, and await that\n",
      name().c_str(), promise_of(resume_).await_site.file_name(),
      promise_of(resume_).await_site.line());
  std::abort();
}

void TaskBase::post_ready() noexcept {
  // The core must outlive the wake-up that follows the push: once pushed, the task may end, and its
  // loop too.
  LoopCore* const owner = core();
  assert(owner != nullptr);
  owner->retain();
  (void)owner->post(
      static_cast<ReadyNode&>(*this));  // closed: its frames were leaked, nobody waits for it
  owner->release();
}

// --- cancellation ---

bool TaskBase::cancel(std::string* message) noexcept {
  if (message != nullptr) {
    // acq_rel: pairs with the exchange in take_message(), which the owner makes after it has seen
    // the count.
    delete message_.exchange(message, std::memory_order_acq_rel);
  }
  const bool here = owned_here();
  std::uint64_t word = word_.load(std::memory_order_relaxed);
  std::uint64_t next = 0;
  do {
    if ((word & Word::done) != 0) return false;
    next = Word::with(word, std::min(Word::count(word) + 1, Word::counter_max),
                      std::min(Word::undelivered(word) + 1, Word::counter_max));
    if (!here && (word & Word::poked) == 0) next = (next | Word::poked) + Word::reference;
    // acq_rel: as a release it pairs with the acquire of run_poke() and count_delivery(), which
    // then see message_; as an acquire it pairs with run_poke()'s clearing of POKED: the poke node
    // is free to be queued again.
  } while (!word_.compare_exchange_weak(word, next, std::memory_order_acq_rel,
                                        std::memory_order_relaxed));
  if (here) {
    act_on_cancel();
  } else if ((word & Word::poked) == 0) {
    LoopCore* const owner = core();
    assert(owner != nullptr);
    owner->retain();  // until the wake-up is over: the poke's own reference may be gone by then
    if (!owner->post(static_cast<PokeNode&>(*this))) release();  // closed: the task is done by now
    owner->release();
  }
  return true;
}

void TaskBase::run_poke(Runnable& node, bool) noexcept {
  auto& task = static_cast<TaskBase&>(static_cast<PokeNode&>(node));
  // acq_rel: pairs with the compare-exchange in cancel(): sees every cancel that the bit stood for,
  // and hands the node to the next one.
  const std::uint64_t word = task.word_.fetch_and(~Word::poked, std::memory_order_acq_rel);
  if ((word & Word::done) == 0) task.act_on_cancel();
  task.release();  // the poke's
}

void TaskBase::act_on_cancel() noexcept {
  noticed_ = static_cast<std::uint16_t>(undelivered());
  if (phase_ != Phase::waiting || passing_cancel_ || !cancel_due()) return;
  passing_cancel_ = true;
  waiting_->cancel_(*waiting_, *this);
  passing_cancel_ = false;
}

std::uint64_t TaskBase::count_delivery() noexcept {
  noticed_ = 0;
  overtaken_ = 0;
  std::uint64_t word = word_.load(std::memory_order_relaxed);
  std::uint64_t next = 0;
  do {
    // The epoch is in the top bits: it wraps without touching anything else.
    next = Word::with(word, Word::count(word), 0) + (std::uint64_t{1} << Word::epoch_shift);
    // acquire: pairs with cancel(): the text of what is delivered here is seen by take_message().
  } while (!word_.compare_exchange_weak(word, next, std::memory_order_acquire,
                                        std::memory_order_relaxed));
  return Word::epoch(next);
}

void TaskBase::throw_cancelled() {
  count_delivery();
  throw CancelledError(take_text(take_message()));
}

std::string* TaskBase::take_message() noexcept {
  // acquire: pairs with the compare-exchange in cancel(): whoever saw its cancel in the word, by a
  // relaxed load too, sees its text.
  (void)word_.load(std::memory_order_acquire);
  // Usually there is none: no RMW then. acq_rel: pairs with the exchange in cancel().
  if (message_.load(std::memory_order_relaxed) == nullptr) return nullptr;
  return message_.exchange(nullptr, std::memory_order_acq_rel);
}

void TaskBase::put_message_back(std::string text) {
  std::string* nothing = nullptr;
  auto* const message = new std::string(std::move(text));
  // acq_rel: pairs with the exchange in cancel().
  if (!message_.compare_exchange_strong(nothing, message, std::memory_order_acq_rel,
                                        std::memory_order_relaxed)) {
    delete message;
  }
}

namespace {

/// Changes the word's counts by `change(count, undelivered, epoch)`; returns the new word.
template <typename Change>
std::uint64_t change_word(atomic<std::uint64_t>& word, Change change) noexcept {
  std::uint64_t before = word.load(std::memory_order_relaxed);
  std::uint64_t after = 0;
  do {
    after = change(before);
    // relaxed: only the counts travel in it.
  } while (!word.compare_exchange_weak(before, after, std::memory_order_relaxed,
                                       std::memory_order_relaxed));
  return after;
}

std::uint64_t without_one(std::uint64_t word) noexcept {
  const std::uint64_t count = Word::count(word) == 0 ? 0 : Word::count(word) - 1;
  return Word::with(word, count, std::min(Word::undelivered(word), count));
}

}  // namespace

std::uint64_t TaskBase::uncancel() noexcept {
  const std::uint64_t word = change_word(word_, without_one);
  lower_noticed(Word::undelivered(word));
  return Word::count(word);
}

std::uint64_t TaskBase::cancel_by_scope() noexcept {
  const std::uint64_t word = change_word(word_, [](std::uint64_t before) {
    return Word::with(before, std::min(Word::count(before) + 1, Word::counter_max),
                      std::min(Word::undelivered(before) + 1, Word::counter_max));
  });
  act_on_cancel();
  return Word::epoch(word);
}

std::uint64_t TaskBase::leave_scope(std::uint64_t epoch) noexcept {
  const std::uint64_t word = change_word(word_, [epoch](std::uint64_t before) {
    const bool never_delivered = Word::epoch(before) == epoch && Word::undelivered(before) > 0;
    if (never_delivered)
      before = Word::with(before, Word::count(before), Word::undelivered(before) - 1);
    return without_one(before);
  });
  lower_noticed(Word::undelivered(word));
  return Word::count(word);
}

void TaskBase::take_cancel_back(std::uint64_t epoch) noexcept {
  const std::uint64_t word = change_word(word_, [epoch](std::uint64_t before) {
    if (Word::epoch(before) != epoch || Word::count(before) == 0) return before;
    const std::uint64_t due = std::min(Word::undelivered(before) + 1, Word::count(before));
    return Word::with(before, Word::count(before), due) - (std::uint64_t{1} << Word::epoch_shift);
  });
  overtaken_ = static_cast<std::uint16_t>(Word::undelivered(word));
}

void TaskBase::lower_noticed(std::uint64_t undelivered) noexcept {
  noticed_ = std::min(noticed_, static_cast<std::uint16_t>(undelivered));
  overtaken_ = std::min(overtaken_, static_cast<std::uint16_t>(undelivered));
}

// --- results ---

std::exception_ptr exception_of_done(const Completable& completable) {
  if (!completable.done()) throw InvalidStateError("Exception is not set.");
  const_cast<Completable&>(completable).mark_retrieved();
  const std::exception_ptr& exception = completable.operations().exception(completable);
  if (completable.outcome() == Outcome::cancelled) std::rethrow_exception(exception);
  return exception;
}

void require_result(const Completable& completable) {
  if (!completable.done()) throw InvalidStateError("Result is not set.");
}

std::exception_ptr TaskHandle::exception() const { return exception_of_done(*task_); }

void report_unretrieved(const Completable& completable, std::string name) noexcept {
  const std::string kind = completable.operations().kind;
  ExceptionContext context(kind + " exception was never retrieved",
                           completable.operations().exception(completable), std::move(name));
  if (running_loop != nullptr && running_loop->core == completable.core()) {
    loop_of(*running_loop).call_exception_handler(context);
    return;
  }
  report_on_loop(completable.core(), std::move(context));
}

}  // namespace rota::detail

namespace rota {

detail::TaskHandle current_task() {
  detail::TaskBase* const task = detail::require_running_loop().current_task;
  if (task == nullptr) throw RuntimeError("no running task");
  task->retain();
  return detail::TaskHandle(task);
}

std::vector<detail::TaskHandle> all_tasks() {
  std::vector<detail::TaskHandle> tasks;
  for (detail::TaskBase* task = detail::require_running_loop().all_tasks; task != nullptr;
       task = task->next_task()) {
    task->retain();
    tasks.push_back(detail::TaskHandle(task));
  }
  std::ranges::reverse(tasks);
  return tasks;
}

}  // namespace rota
