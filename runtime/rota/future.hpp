/// future.hpp: Future<T>, a result that somebody will set. Set on its loop, awaited from any.
#pragma once

#include <rota/detail/bound.hpp>
#include <rota/detail/callback.hpp>
#include <rota/detail/completion_wait.hpp>
#include <rota/loop.hpp>

#include <concepts>
#include <exception>
#include <memory>
#include <string>
#include <utility>

namespace rota {

namespace detail {

/// A future without the type of its result. Owner's thread unless it says "any".
class FutureBase : public Completable {
 public:
  void require_pending() const;  ///< Errors: InvalidStateError.
  /// The loop of the first use is the owner. Errors: RuntimeError on another loop.
  void use(const char* operation) {
    if (core() != running_core() || core() == nullptr) [[unlikely]]
      bind(operation, false);
  }
  /// Any. An await binds it too, but may come from anywhere once it is bound.
  void bind_if_unbound() {
    if (core() == nullptr) [[unlikely]]
      bind("await", true);
  }
  /// A new one: belongs to `owner`.
  void bind_to(LoopCore& owner) noexcept {
    owner.retain();
    core_.store(&owner, std::memory_order_release);  // pairs with the acquire in core()
  }
  /// Owner. False: done already. Takes over `message` (may be null). Types built on futures
  /// (gather) pass it on instead.
  virtual bool cancel_requested(std::string* message) noexcept;

 protected:
  explicit FutureBase(const Operations& operations) noexcept : Completable(operations, 1) {}
  virtual ~FutureBase();
  virtual ResultBase& result_base() noexcept = 0;

  static bool cancel_any(Completable& completable, std::string* message) noexcept;
  void report_if_unretrieved() noexcept {
    if (outcome() == Outcome::exception && !retrieved()) [[unlikely]]
      report_unretrieved(*this, {});
  }

 private:
  void bind(const char* operation, bool awaited);
};

template <typename T>
class FutureState : public FutureBase, public Result<T> {
 public:
  FutureState() noexcept : FutureBase(operations_of_type) {}

  template <typename... Args>
  void set_result(Args&&... args) {
    this->use("Future.set_result");
    this->require_pending();
    const EnteredLoop entered(this->core());
    this->emplace(std::forward<Args>(args)...);
    this->finish(Outcome::value, 0);
  }
  void set_exception(std::exception_ptr error) {
    this->use("Future.set_exception");
    this->require_pending();
    const EnteredLoop entered(this->core());
    const bool cancelled = is_cancelled_error(error);
    ResultBase::exception = std::move(error);
    this->finish(cancelled ? Outcome::cancelled : Outcome::exception, 0);
  }

  static void* operator new(std::size_t bytes) { return allocate_frame(bytes); }
  static void operator delete(void* memory, std::size_t bytes) noexcept {
    release_frame(memory, bytes);
  }

 protected:
  ~FutureState() override = default;
  ResultBase& result_base() noexcept override { return *this; }

 private:
  static void destroy(Completable& completable) noexcept {
    auto& state = static_cast<FutureState&>(completable);
    state.report_if_unretrieved();
    delete &state;
  }
  static const std::exception_ptr& exception_of(const Completable& completable) noexcept {
    return static_cast<const FutureState&>(completable).ResultBase::exception;
  }
  static constexpr Operations operations_of_type{.destroy = &destroy,
                                                 .cancel = &FutureBase::cancel_any,
                                                 .exception = &exception_of,
                                                 .kind = "Future"};
};

template <typename T>
class FutureAwaiter final : public CompletionWait {
 public:
  /// Takes over one reference.
  explicit FutureAwaiter(FutureState<T>* state) noexcept : CompletionWait(state) {}
  decltype(auto) await_resume() {
    finish_wait();
    return static_cast<FutureState<T>*>(target_)->get();
  }
};

}  // namespace detail

/// A result that somebody will set. A handle: copies mean the same future. Made anywhere; belongs
/// to the loop of its first use, and is set, cancelled and given callbacks there. Any loop may
/// await it, any thread may ask whether it is done. Between threads without a loop:
/// threadsafe::Future. As: asyncio.Future.
template <typename T = void>
class Future {
 public:
  Future() : state_(new detail::FutureState<T>) {}
  Future(const Future& other) noexcept : state_(other.state_) {
    if (state_ != nullptr) state_->retain();
  }
  Future(Future&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  Future& operator=(Future other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~Future() {
    if (state_ != nullptr) state_->release();
  }
  bool operator==(const Future&) const = default;

  /// Sets the result and makes every waiter ready, in the order they came.
  /// Errors: InvalidStateError when done; RuntimeError on another loop. Thread: owner loop.
  /// Suspends: never.
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
  /// Ends it with CancelledError. Returns: false when it is done already. Errors: RuntimeError on
  /// another loop.
  bool cancel() const {
    state_->use("Future.cancel");
    return state_->cancel_requested(nullptr);
  }
  bool cancel(std::string message) const {
    state_->use("Future.cancel");
    return state_->cancel_requested(new std::string(std::move(message)));
  }

  bool done() const noexcept { return state_->done(); }  ///< Thread: any.
  bool cancelled() const noexcept {                      ///< Thread: any.
    return state_->done() && state_->outcome() == detail::Outcome::cancelled;
  }
  /// The value. Thread: any. Errors: InvalidStateError when not done; what was set; CancelledError.
  decltype(auto) result() const {
    detail::require_result(*state_);
    state_->mark_retrieved();
    return state_->get();
  }
  /// What was set by set_exception, or null. Thread: any. Errors: InvalidStateError;
  /// CancelledError.
  std::exception_ptr exception() const { return detail::exception_of_done(*state_); }

  /// Waits until it is done; gives `const T&`. Cancelling the awaiting task cancels the future.
  /// Suspends: only while not done. Thread: any loop. Errors: what was set; CancelledError.
  detail::FutureAwaiter<T> operator co_await() const {
    state_->bind_if_unbound();
    state_->retain();
    return detail::FutureAwaiter<T>(state_);
  }

  /// Calls `callback(Future<T>)` on the loop, through call_soon, once it is done. Thread: owner
  /// loop.
  template <std::invocable<Future<T>> Callback>
  detail::CallbackId add_done_callback(Callback callback) const {
    state_->use("Future.add_done_callback");
    return detail::add_done_callback(*state_,
                                     [future = *this, callback = std::move(callback)]() mutable {
                                       callback(std::move(future));
                                     });
  }
  /// Returns whether it was still there. Thread: owner loop.
  bool remove_done_callback(detail::CallbackId id) const {
    return detail::remove_done_callback(*state_, id);
  }

  detail::FutureState<T>* state() const noexcept { return state_; }
  /// Takes over one reference.
  explicit Future(detail::FutureState<T>* state) noexcept : state_(state) {}

 private:
  detail::FutureState<T>* state_;
};

template <typename T>
Future<T> EventLoop::create_future() {
  require_open();
  Future<T> future;
  future.state()->bind_to(*core);
  return future;
}

}  // namespace rota
