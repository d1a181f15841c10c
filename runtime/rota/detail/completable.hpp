/// completable.hpp: what a task and a future have in common: one outcome, the word, and those who
/// wait for it.
///
/// The protocol of the word stands in runtime/README.md, section 2. The waiter list is the owner's
/// plain data; other loops wait by message (completion_wait.hpp).
#pragma once

#include <rota/detail/atomic.hpp>
#include <rota/detail/immovable.hpp>
#include <rota/detail/loop_state.hpp>

#include <cassert>
#include <cstdint>
#include <exception>
#include <string>
#include <utility>

namespace rota::detail {

class Completable;

/// Somebody who is told once when a task or future is done. Holds a reference to it until then.
struct Waiter {
  /// On the owner's thread; makes something ready, runs no user code. `waiter` may be gone when it
  /// returns. `abandoned`: the loop closed and it will never be done.
  using Notify = void (*)(Waiter& waiter, bool abandoned) noexcept;

  explicit constexpr Waiter(Notify function) noexcept : notify(function) {}

  Waiter* next = nullptr;
  Notify notify;
};

/// First in, first out, in one pointer: to the last of a circle.
class WaiterList {
 public:
  bool empty() const noexcept { return last_ == nullptr; }

  void push(Waiter& waiter) noexcept {
    if (last_ == nullptr) {
      waiter.next = &waiter;
    } else {
      waiter.next = last_->next;
      last_->next = &waiter;
    }
    last_ = &waiter;
  }

  Waiter& pop() noexcept {
    assert(last_ != nullptr);
    Waiter& first = *last_->next;
    if (&first == last_) {
      last_ = nullptr;
    } else {
      last_->next = first.next;
    }
    return first;
  }

  /// `waiter` is in it.
  void remove(Waiter& waiter) noexcept {
    WaiterList kept;
    while (!empty()) {
      Waiter& first = pop();
      if (&first != &waiter) kept.push(first);
    }
    *this = kept;
  }

  /// Moves everything to the caller's list; this one is empty then.
  WaiterList take() noexcept {
    WaiterList taken;
    taken.last_ = std::exchange(last_, nullptr);
    return taken;
  }

 private:
  Waiter* last_ = nullptr;
};

enum class Outcome : std::uint8_t { pending, value, exception, cancelled };

/// The bits of the word; who writes them in which order: runtime/README.md, section 2.
struct Word {
  static constexpr std::uint64_t reference = 1;
  static constexpr std::uint64_t reference_mask = (std::uint64_t{1} << 24) - 1;
  static constexpr std::uint64_t done = std::uint64_t{1}
                                        << 24;  ///< The outcome is final. Never cleared.
  static constexpr std::uint64_t poked = std::uint64_t{1}
                                         << 25;  ///< The poke node is on its way to the owner.
  static constexpr unsigned count_shift = 26;    ///< cancel() calls not taken back by uncancel().
  static constexpr unsigned undelivered_shift = 38;  ///< Those that no await has thrown yet.
  static constexpr unsigned epoch_shift = 50;        ///< Deliveries so far; wraps.
  static constexpr std::uint64_t counter_max = (std::uint64_t{1} << 12) - 1;
  static constexpr std::uint64_t undelivered_mask = counter_max << undelivered_shift;

  static constexpr std::uint64_t count(std::uint64_t word) noexcept {
    return (word >> count_shift) & counter_max;
  }
  static constexpr std::uint64_t undelivered(std::uint64_t word) noexcept {
    return (word >> undelivered_shift) & counter_max;
  }
  static constexpr std::uint64_t epoch(std::uint64_t word) noexcept { return word >> epoch_shift; }

  static constexpr std::uint64_t with(std::uint64_t word, std::uint64_t count,
                                      std::uint64_t undelivered) noexcept {
    const std::uint64_t both = (counter_max << count_shift) | undelivered_mask;
    return (word & ~both) | (count << count_shift) | (undelivered << undelivered_shift);
  }
};

class Completable : Immovable {
 public:
  struct Operations {
    void (*destroy)(Completable&) noexcept;  ///< The last reference is gone.
    /// Owner's thread (a task: any). False when done. Takes over `message` (may be null).
    bool (*cancel)(Completable&, std::string* message) noexcept;
    const std::exception_ptr& (*exception)(const Completable&) noexcept;  ///< Of a done one.
    const char* kind;                                                     ///< "Task", "Future"
  };

  // --- any thread that holds a reference ---
  bool done() const noexcept {
    // acquire: pairs with the release of finish(); the outcome and the result are constant from
    // there on.
    return (word_.load(std::memory_order_acquire) & Word::done) != 0;
  }
  void retain() noexcept {
    // relaxed: the caller's own reference keeps it alive.
    word_.fetch_add(Word::reference, std::memory_order_relaxed);
  }
  void release() noexcept {
    // acquire: pairs with the fetch_sub of those who dropped theirs before: their uses come before
    // the destruction. With one reference left nobody else can do anything to the word but set bits
    // for the holder: no RMW is needed.
    const std::uint64_t word = word_.load(std::memory_order_acquire);
    if ((word & (Word::reference_mask | Word::poked)) == Word::reference) {
      operations_->destroy(*this);
      return;
    }
    // acq_rel: pairs with itself: the last one sees what the others did.
    const std::uint64_t before = word_.fetch_sub(Word::reference, std::memory_order_acq_rel);
    if ((before & Word::reference_mask) == Word::reference) operations_->destroy(*this);
  }

  /// For a holder: nobody else has a reference, so nobody will ask for the result of a done one.
  bool only_reference() const noexcept {
    // acquire: pairs with the fetch_sub in release(): what the others did with the result comes
    // before.
    const std::uint64_t word = word_.load(std::memory_order_acquire);
    return (word & (Word::reference_mask | Word::poked)) == Word::reference;
  }
  Outcome outcome() const noexcept { return outcome_; }  ///< Final once done().
  LoopCore* core() const noexcept {
    // acquire: pairs with the release in FutureBase::bind(): the core behind the pointer is seen
    // whole.
    return core_.load(std::memory_order_acquire);
  }
  bool owned_here() const noexcept { return core() == running_core(); }
  const Operations& operations() const noexcept { return *operations_; }
  void mark_retrieved() noexcept { retrieved_.store(true, std::memory_order_relaxed); }
  /// A done one that ended with cancels undelivered.
  bool cancel_left() const noexcept {
    return (word_.load(std::memory_order_relaxed) & Word::undelivered_mask) !=
           0;  // constant since DONE was seen
  }
  bool retrieved() const noexcept { return retrieved_.load(std::memory_order_relaxed); }

  // --- owner's thread ---
  WaiterList& waiters() noexcept { return waiters_; }

 protected:
  Completable(const Operations& operations, std::uint64_t references) noexcept
      : operations_(&operations), word_(references) {}
  ~Completable() = default;

  /// Owner. The result is stored. Sets DONE, gives `references` back and tells everybody. `this`
  /// may be gone afterwards.
  void finish(Outcome outcome, std::uint64_t references) noexcept {
    outcome_ = outcome;
    WaiterList waiters = waiters_.take();
    // acq_rel: the release pairs with the acquire in done() and publishes the result; the acquire
    // pairs with the release of dropped references, should the object be destroyed here.
    const std::uint64_t before =
        word_.fetch_add(Word::done - references, std::memory_order_acq_rel);
    while (!waiters.empty()) {
      Waiter& waiter = waiters.pop();
      waiter.notify(waiter, false);
    }
    if ((before & Word::reference_mask) == references && references != 0)
      operations_->destroy(*this);
  }

  const Operations* operations_;
  atomic<LoopCore*> core_{nullptr};
  atomic<std::uint64_t> word_;
  WaiterList waiters_;
  atomic<bool> retrieved_{
      false};  ///< Written by any thread, relaxed: read only by the one that destroys.
  Outcome outcome_ = Outcome::pending;
};

/// Between two runs of its loop, and before the first, a task or future may be used by its loop's
/// thread: what that makes ready is queued as if from inside.
class EnteredLoop : Immovable {
 public:
  explicit EnteredLoop(const LoopCore* core) noexcept : entered_(running_loop == nullptr) {
    if (entered_ && core != nullptr && core->at_rest_for_this_thread()) running_loop = core->loop();
  }
  ~EnteredLoop() {
    if (entered_) running_loop = nullptr;
  }

 private:
  const bool entered_;
};

/// The exception of a done one, which counts as retrieved. Errors: InvalidStateError; its
/// CancelledError.
std::exception_ptr exception_of_done(const Completable& completable);
/// Errors: InvalidStateError when not done.
void require_result(const Completable& completable);
/// Tells its loop's exception handler, wherever we are: nobody took the exception.
void report_unretrieved(const Completable& completable, std::string name) noexcept;

}  // namespace rota::detail
