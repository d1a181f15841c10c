/// wait.hpp: wait_for, a time limit on one awaitable; shield, which keeps a cancellation from it.
#pragma once

#include <rota/detail/completion_watch.hpp>
#include <rota/detail/held.hpp>
#include <rota/error.hpp>
#include <rota/timeout.hpp>

#include <chrono>
#include <exception>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace rota {

namespace detail {

/// A future that follows a task or future (the inner one) without being its awaiter: cancelling it
/// leaves the inner alone.
template <typename R>
class FollowingFuture : public FutureState<R> {
 protected:
  /// Takes over one reference to `inner`. start() comes last in the constructor of the derived
  /// class.
  explicit FollowingFuture(Completable& inner) noexcept : watch_(*this, inner) {
    this->use("shield");
  }
  ~FollowingFuture() override = default;

  void start() noexcept {
    if (inner().done()) {
      settle();
    } else {
      this->retain();  // the watch's
      watch_.start();
    }
  }
  Completable& inner() const noexcept { return *watch_.target(); }
  bool abandoned() const noexcept { return watch_.abandoned(); }
  void fail(const std::exception_ptr& error, Outcome outcome) noexcept {
    ResultBase::exception = error;
    this->finish(outcome, 0);
  }

 private:
  struct Watch final : CompletionWatch {
    Watch(FollowingFuture& follower, Completable& inner) noexcept
        : CompletionWatch(&Watch::reported), future(follower) {
      hold(inner);
    }
    static void reported(Runnable& node, bool dropped) noexcept {
      FollowingFuture& future = static_cast<Watch&>(static_cast<LinkNode&>(node)).future;
      if (!dropped && !future.done()) future.settle();
      future.release();
    }
    FollowingFuture& future;
  };

  virtual void settle() noexcept = 0;  ///< The inner is done, or abandoned.

  bool cancel_requested(std::string* message) noexcept override {
    const EnteredLoop entered(this->core());
    if (!FutureBase::cancel_requested(message)) return false;
    if (watch_.started() && watch_.stop(*this))
      this->release();  // the watch's: the caller has one of its own
    return true;
  }

  Watch watch_;
};

template <typename A>
class ShieldState final : public FollowingFuture<ValueOf<A>> {
 public:
  explicit ShieldState(Held<A> held)
      : FollowingFuture<ValueOf<A>>(held.target()), result_(held.result()) {
    held.release();  // the watch's now
    this->start();
  }

 private:
  void settle() noexcept override {
    try {
      if (this->abandoned()) throw_abandoned(this->inner());
      this->inner().mark_retrieved();
      if (this->inner().outcome() != Outcome::value) {
        this->fail(this->inner().operations().exception(this->inner()), this->inner().outcome());
        return;
      }
      if constexpr (std::is_void_v<ValueOf<A>>) {
        this->emplace();
      } else {
        this->emplace(take_value<HeldTraits<A>::shared>(this->inner(), result_));
      }
    } catch (...) {
      this->fail(std::current_exception(), Outcome::exception);
      return;
    }
    this->finish(Outcome::value, 0);
  }

  Result<ValueOf<A>>& result_;
};

/// Done when the inner is, however it ended.
class EndNotice final : public FollowingFuture<void> {
 public:
  explicit EndNotice(Completable& inner);

 private:
  void settle() noexcept override;
};

/// wait_for with a limit of zero or less: what has not begun does not begin.
template <typename A>
Coro<ValueOf<A>> await_expired(A awaitable) {
  const Held<A> held(std::move(awaitable));
  if (held.target().done()) co_return held.take();
  held.target().operations().cancel(held.target(), nullptr);
  // Not the awaitable itself: a cancel of the waiting task ends the wait, and is not passed on
  // again.
  co_await GivenFuture<void>(new EndNotice(held.target()));
  if (!held.target().done()) throw_abandoned(held.target());
  try {
    co_return held.take();
  } catch (const CancelledError&) {
    std::throw_with_nested(TimeoutError());
  }
}

}  // namespace detail

/// Awaits `awaitable` for at most `delay` (nullopt: without limit). The time begins with the await.
/// When it is over, the awaitable is cancelled, and this waits until it has ended, however long
/// that takes; a value or error that it gives in spite of that is passed on. With a limit of zero
/// or less a Coro does not begin at all, and a Task or Future that is done gives its result. A
/// cancel of the waiting task is passed on to the awaitable. Errors:   TimeoutError (the
/// CancelledError is nested in it); those of the awaitable; CancelledError. Suspends: when the
/// awaitable does; with a limit of zero or less unless it is done. As:       asyncio.wait_for
/// (3.12).
template <Awaitable A>
[[nodiscard]] auto wait_for(A&& awaitable, std::optional<Duration> delay = std::nullopt) {
  using Plain = std::remove_cvref_t<A>;
  if (delay && *delay <= Duration::zero()) {
    return detail::await_expired<Plain>(std::forward<A>(awaitable));
  }
  return detail::await_within<detail::is_kept<A>, Plain>(delay, std::forward<A>(awaitable));
}
template <Awaitable A, typename Rep, typename Period>
[[nodiscard]] auto wait_for(A&& awaitable, std::chrono::duration<Rep, Period> delay) {
  return wait_for(std::forward<A>(awaitable),
                  std::optional<Duration>(detail::to_nanoseconds(delay)));
}

/// The result of shield(): a future. Copies mean the same one. Awaiting an rvalue moves the result
/// out.
template <typename T>
class Shield : public detail::GivenFuture<T> {
 public:
  using detail::GivenFuture<T>::GivenFuture;
};

/// A future with the outcome of `awaitable`, whose cancellation does not reach it: a cancelled task
/// that awaits the shield gets CancelledError at once, and the awaitable goes on to its end (the
/// runtime keeps it). A Coro starts as a task at the call. If the awaitable itself is cancelled, so
/// is the shield. Errors:   of the awaitable; CancelledError; RuntimeError "no running event loop".
/// Suspends: the call never; the await while it is not done.
/// As:       asyncio.shield. (The awaitable needs no other reference.)
template <Awaitable A>
[[nodiscard]] auto shield(A&& awaitable) {
  using Plain = std::remove_cvref_t<A>;
  detail::require_running_loop();
  return Shield<detail::ValueOf<Plain>>(
      new detail::ShieldState<Plain>(detail::Held<Plain>(std::forward<A>(awaitable))));
}

}  // namespace rota
