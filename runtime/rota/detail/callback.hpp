/// callback.hpp: a callable in a loop's queue: call_soon, call_later, done callbacks.
#pragma once

#include <rota/concepts.hpp>
#include <rota/context.hpp>
#include <rota/detail/completable.hpp>
#include <rota/detail/frame_allocator.hpp>
#include <rota/detail/loop_state.hpp>

#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <new>
#include <tuple>
#include <type_traits>
#include <utility>

namespace rota::detail {

/// A callable with its context, counted: by the queue that holds it and by its Handle.
///
/// state_: pending → running → finished, or pending → cancelled, by compare-exchange; whoever
/// leaves `pending` owns the callable and destroys it. So a cancel from another thread either comes
/// before the run or is refused; nobody blocks.
class Callback : public Runnable, public TimerNode, Immovable {
 public:
  enum class State : std::uint8_t { pending, running, finished, cancelled };

  /// Any thread. False: it runs, has run, or was cancelled before.
  bool cancel() noexcept;
  bool cancelled() const noexcept {
    // acquire: pairs with the compare-exchange in cancel().
    return state_.load(std::memory_order_acquire) == State::cancelled;
  }
  void retain() noexcept {
    references_.fetch_add(1, std::memory_order_relaxed);  // the caller's own reference keeps it
  }
  void release() noexcept {
    // acq_rel: pairs with itself: the last holder sees what the others did.
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy();
  }
  /// Runs it unless it was cancelled, and drops the queue's reference. Exceptions go to the loop's
  /// handler.
  static void run_queued(Runnable& node, bool dropped) noexcept;

 protected:
  struct Operations {
    void (*invoke)(Callback&);
    void (*destroy_callable)(Callback&) noexcept;
    void (*deallocate)(Callback&) noexcept;
  };
  Callback(const Operations& operations, ContextCell* context, std::uint32_t references) noexcept;
  ~Callback();

 private:
  bool leave_pending(State to) noexcept;
  void invoke() noexcept;
  void destroy() noexcept;
  static void timer_due(TimerNode& node) noexcept;

  const Operations& operations_;
  ContextCell* context_;  ///< Owned; a copy of the creator's.
  atomic<std::uint32_t> references_;
  atomic<State> state_{State::pending};
};

template <typename Function>
class CallbackOf final : public Callback {
 public:
  /// In a copy of the current context. `references`: how many the caller and the queue will drop.
  /// Errors: std::bad_alloc, and what copying the callable throws.
  static CallbackOf* create(Function function, std::uint32_t references) {
    ContextCell* const context = copy_cell(current_context_slot());
    void* memory = nullptr;
    try {
      memory = allocate_frame(sizeof(CallbackOf));
    } catch (...) {
      rota::detail::release(context);
      throw;
    }
    return ::new (memory) CallbackOf(std::move(function), context, references);
  }

 private:
  CallbackOf(Function function, ContextCell* context, std::uint32_t references) noexcept
      : Callback(operations, context, references) {
    ::new (&storage_) Function(std::move(function));
  }
  Function& callable() noexcept { return *std::launder(reinterpret_cast<Function*>(&storage_)); }

  static void invoke_callable(Callback& self) { static_cast<CallbackOf&>(self).callable()(); }
  static void destroy_callable(Callback& self) noexcept {
    std::destroy_at(&static_cast<CallbackOf&>(self).callable());
  }
  static void deallocate(Callback& self) noexcept {
    auto& typed = static_cast<CallbackOf&>(self);
    typed.~CallbackOf();
    release_frame(&typed, sizeof(CallbackOf));
  }
  static constexpr Operations operations{&invoke_callable, &destroy_callable, &deallocate};

  alignas(Function) std::byte storage_[sizeof(Function)];
};

/// `function(args...)` as a callable without arguments; the arguments are kept by value.
template <typename Function, typename... Args>
auto bind_call(Function&& function, Args&&... args) {
  return [function = std::decay_t<Function>(std::forward<Function>(function)),
          arguments = std::tuple<std::decay_t<Args>...>(std::forward<Args>(args)...)]() mutable {
    std::apply([&](auto&... argument) { std::invoke(std::move(function), std::move(argument)...); },
               arguments);
  };
}

/// Identifies a done callback for its removal.
enum class CallbackId : std::uint64_t {};

/// A done callback: waits in the waiter list like an awaiter, and is called through the ready
/// queue.
CallbackId add_done_waiter(Completable& completable, Callback& callback);
bool remove_done_callback(Completable& completable, CallbackId id);

template <typename Function>
CallbackId add_done_callback(Completable& completable, Function function) {
  using Call = CallbackOf<Function>;
  return add_done_waiter(completable, *Call::create(std::move(function), 2));
}

}  // namespace rota::detail
