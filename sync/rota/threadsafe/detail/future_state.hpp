/// future_state.hpp: what the handles of a threadsafe::Future share.
///
/// pending → claimed, by the one setter that wins; he writes the outcome, which nobody reads yet;
/// claimed → done, in the store that frees the lock, once everybody who waits has been told. From
/// there on nothing changes.
#pragma once

#include <rota/detail/atomic.hpp>
#include <rota/detail/immovable.hpp>
#include <rota/detail/shared_wait.hpp>
#include <rota/detail/spin_lock.hpp>
#include <rota/error.hpp>
#include <rota/future.hpp>
#include <rota/loop.hpp>

#include <coroutine>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace rota::threadsafe::detail {

using rota::detail::CallbackId;
using rota::detail::Outcome;

/// A future without the type of its result. Thread: any.
class FutureBase : public std::enable_shared_from_this<FutureBase>, rota::detail::Immovable {
 public:
  bool done() const noexcept { return guard_.read() == is_done; }
  Outcome outcome() const noexcept { return outcome_; }  ///< Once it is done.
  void mark_retrieved() noexcept {
    retrieved_.store(true, std::memory_order_relaxed);  // only the last holder reads it
  }
  /// The exception of a done one. Errors: InvalidStateError; its CancelledError.
  std::exception_ptr exception();
  /// False: done, or somebody sets it now. Takes over `message` (may be null).
  bool cancel(std::string* message) noexcept;
  /// A cancel is due in `task`, which awaits us: it is passed on, unless the outcome is there.
  void cancel_by(rota::detail::TaskBase& task) noexcept;
  /// `callback`: one reference. Thread: a loop's. Errors: RuntimeError on others.
  CallbackId add_done_callback(rota::detail::Callback& callback);
  bool remove_done_callback(CallbackId id);

 protected:
  FutureBase() = default;
  virtual ~FutureBase();
  virtual rota::detail::ResultBase& result_base() noexcept = 0;

  /// False: somebody else has set it, or does so now.
  bool claim() noexcept;
  void publish(Outcome outcome) noexcept;
  void report_if_unretrieved() noexcept;

 private:
  template <typename T>
  friend class FutureAwaiter;
  using State = rota::detail::SpinLock::State;

  // The state of guard_.
  static constexpr State pending = 0;
  static constexpr State claimed = 1;
  static constexpr State is_done = 2;

  mutable rota::detail::SpinLock guard_;
  rota::detail::SharedWaitList waiters_;         ///< Empty once it is done.
  rota::detail::atomic<bool> retrieved_{false};  ///< Somebody has looked at the exception.
  Outcome outcome_ = Outcome::pending;           ///< Written by the one who has claimed it.
};

template <typename T>
class FutureState final : public FutureBase {
 public:
  FutureState() = default;
  ~FutureState() override { report_if_unretrieved(); }

  template <typename... Args>
  void set_result(Args&&... args) {
    require_claim();
    try {
      result_.emplace(std::forward<Args>(args)...);
    } catch (...) {  // it is claimed: it must end
      result_.exception = std::current_exception();
    }
    publish(result_.exception ? Outcome::exception : Outcome::value);
  }
  void set_exception(std::exception_ptr error) {
    const bool cancelled = rota::detail::is_cancelled_error(error);
    require_claim();
    result_.exception = std::move(error);
    publish(cancelled ? Outcome::cancelled : Outcome::exception);
  }
  decltype(auto) get() const { return result_.get(); }

 private:
  void require_claim() {
    if (!claim()) throw InvalidStateError("invalid state: the future is done already");
  }
  rota::detail::ResultBase& result_base() noexcept override { return result_; }

  rota::detail::Result<T> result_;
};

template <typename T>
class [[nodiscard("an await of a future does nothing until it is awaited")]] FutureAwaiter final
    : public rota::detail::SharedAwaiter<FutureAwaiter<T>> {
  using Base = rota::detail::SharedAwaiter<FutureAwaiter<T>>;
  friend Base;

 public:
  explicit FutureAwaiter(std::shared_ptr<FutureState<T>> state) noexcept
      : Base(state->guard_, state->waiters_, &FutureAwaiter::cancel), state_(std::move(state)) {}
  bool attempt() noexcept { return state_->guard_.settled() == FutureBase::is_done; }
  bool attempt_locked(rota::detail::Turn& turn) noexcept {
    return turn.guard.state == FutureBase::is_done;
  }
  decltype(auto) await_resume() {
    this->leave();
    state_->mark_retrieved();
    return state_->get();
  }

 private:
  bool wait(rota::detail::TaskBase& task, std::coroutine_handle<> leaf) noexcept {
    if (task.cancel_due()) [[unlikely]]
      state_->cancel_by(task);
    return Base::wait(task, leaf);
  }
  static void cancel(rota::detail::Waiting& waiting, rota::detail::TaskBase& task) noexcept {
    static_cast<FutureAwaiter&>(waiting).state_->cancel_by(task);
  }

  std::shared_ptr<FutureState<T>> state_;
};

/// A done callback: waits in the list like an awaiter, is posted to its loop, and ends itself.
class DoneCallback final : public rota::detail::SharedWaiter, public rota::detail::Runnable {
 public:
  DoneCallback(FutureBase& future, rota::detail::Callback& callback, CallbackId id)
      : SharedWaiter(&DoneCallback::to_loop),
        Runnable(&DoneCallback::run_posted),
        id_(id),
        loop_(*rota::detail::running_loop->core),
        callback_(callback),
        future_(future) {}

  /// Null: `waiter` is something else, or another one.
  static DoneCallback* with_id(SharedWaiter& waiter, CallbackId id) noexcept {
    if (!waiter.handed_over_by(&DoneCallback::to_loop)) return nullptr;
    auto& self = static_cast<DoneCallback&>(waiter);
    return self.id_ == id ? &self : nullptr;
  }
  static void run_posted(Runnable& node, bool dropped) noexcept;

 private:
  static void to_loop(SharedWaiter& waiter, rota::detail::Wakes& wakes) noexcept;

  const CallbackId id_;
  const LoopHandle loop_;
  rota::detail::Callback& callback_;  ///< Its queue's reference.
  FutureBase& future_;
  std::shared_ptr<FutureBase> kept_;
};

}  // namespace rota::threadsafe::detail
