/// future.hpp: threadsafe::Future<T>, a result that any thread may set.
#pragma once

#include <rota/clock.hpp>
#include <rota/error.hpp>
#include <rota/future.hpp>
#include <rota/loop.hpp>
#include <rota/threadsafe/detail/future_state.hpp>

#include <concepts>
#include <exception>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace rota::threadsafe {

/// rota::Future that is set, cancelled, awaited and asked from anywhere. A handle: copies mean the
/// same future. Of those who set it exactly one wins. Thread: any.
template <typename T = void>
class Future {
 public:
  Future() : state_(std::make_shared<detail::FutureState<T>>()) {}
  bool operator==(const Future&) const = default;

  /// Sets the result and makes everybody ready who waits, in the order they came. If making the
  /// value throws, that is what was set. Errors: InvalidStateError when it is done, or another
  /// thread sets it now. Suspends: never.
  template <typename U = T>
    requires std::convertible_to<U&&, T> && (!std::is_void_v<T>)
  void set_result(U&& value) const {
    state_->set_result(std::forward<U>(value));
  }
  void set_result() const
    requires std::is_void_v<T>
  {
    state_->set_result();
  }
  /// As set_result, with an exception. `exception` may be any object or an exception_ptr.
  void set_exception(std::exception_ptr exception) const {
    state_->set_exception(std::move(exception));
  }
  template <typename Exception>
  void set_exception(Exception exception) const {
    state_->set_exception(std::make_exception_ptr(std::move(exception)));
  }
  /// Ends it with CancelledError. Returns: false when it is done, or another thread sets it now.
  bool cancel() const noexcept { return state_->cancel(nullptr); }
  bool cancel(std::string message) const {
    return state_->cancel(new std::string(std::move(message)));
  }

  bool done() const noexcept { return state_->done(); }
  bool cancelled() const noexcept {
    return state_->done() && state_->outcome() == detail::Outcome::cancelled;
  }
  /// The value. Errors: InvalidStateError when not done; what was set; CancelledError.
  decltype(auto) result() const {
    if (!done()) throw InvalidStateError("Result is not set.");
    state_->mark_retrieved();
    return state_->get();
  }
  /// The value, once it is there. Thread: any but a loop's. Errors: as result(); TimeoutError;
  /// RuntimeError on a loop's.
  decltype(auto) result_blocking() const {
    wait_blocking(std::nullopt);
    return result();
  }
  decltype(auto) result_blocking(Duration timeout) const {
    wait_blocking(timeout);
    return result();
  }
  /// What was set by set_exception, or null. Errors: InvalidStateError; CancelledError.
  std::exception_ptr exception() const { return state_->exception(); }

  /// Waits until it is done; gives `const T&`. Cancelling the awaiting task cancels the future, for
  /// everybody. Suspends: only while not done. Thread: a loop's. Errors: what was set;
  /// CancelledError.
  detail::FutureAwaiter<T> operator co_await() const { return detail::FutureAwaiter<T>(state_); }

  /// Calls `callback(Future<T>)` once it is done, on the loop that this is called on, through
  /// call_soon; not at all if that loop closes first, or nobody is left who could set the future.
  /// Thread: a loop's. Errors: RuntimeError on others.
  template <std::invocable<Future<T>> Callback>
  rota::detail::CallbackId add_done_callback(Callback callback) const;
  /// Returns whether it was still there.
  bool remove_done_callback(rota::detail::CallbackId id) const {
    return state_->remove_done_callback(id);
  }

 private:
  explicit Future(std::shared_ptr<detail::FutureState<T>> state) noexcept
      : state_(std::move(state)) {}
  void wait_blocking(std::optional<Duration> timeout) const {
    detail::FutureAwaiter<T> waiter(state_);
    if (!waiter.block("Future.result_blocking", "future", timeout)) throw TimeoutError();
  }

  std::shared_ptr<detail::FutureState<T>> state_;
};

template <typename T>
template <std::invocable<Future<T>> Callback>
rota::detail::CallbackId Future<T>::add_done_callback(Callback callback) const {
  rota::detail::require_running_loop();
  // Plain: whoever calls it keeps the future; one that is only stored does not.
  detail::FutureState<T>* const state = state_.get();
  auto call = [state, callback = std::move(callback)]() mutable {
    callback(Future(std::static_pointer_cast<detail::FutureState<T>>(state->shared_from_this())));
  };
  using Call = rota::detail::CallbackOf<decltype(call)>;
  return state_->add_done_callback(*Call::create(std::move(call), 1));
}

}  // namespace rota::threadsafe
