/// held.hpp: any awaitable as a task or future that is held, with the place of its result:
/// asyncio's ensure_future, for gather, shield and wait_for.
#pragma once

#include <rota/future.hpp>
#include <rota/task.hpp>

#include <concepts>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

namespace rota::detail {

/// What the result of an awaitable is, and whether others may ask for it too.
template <typename A>
struct HeldTraits {
  using Value = std::decay_t<AwaitResult<A>>;
  static constexpr bool shared = false;
};
template <typename T>
struct HeldTraits<Coro<T>> {
  using Value = T;
  static constexpr bool shared = false;
};
template <typename T>
struct HeldTraits<Task<T>> {
  using Value = T;
  static constexpr bool shared = true;
};
template <typename T>
Future<T> future_type_of(const Future<T>&);
template <typename A>
concept FutureLike = requires(const A& awaitable) { future_type_of(awaitable); };
template <typename T>
T value_of_future(const Future<T>&);  // never called
template <FutureLike A>
struct HeldTraits<A> {
  using Value = decltype(value_of_future(std::declval<const A&>()));
  static constexpr bool shared = true;
};

template <typename A>
using ValueOf = typename HeldTraits<std::remove_cvref_t<A>>::Value;

/// Can a T be copied? A vector of what cannot says yes, so its elements are asked too.
template <typename T>
inline constexpr bool copyable = std::is_copy_constructible_v<T>;
template <typename T>
  requires requires { typename T::value_type; } && (!std::same_as<typename T::value_type, T>)
inline constexpr bool copyable<T> =
    std::is_copy_constructible_v<T> && copyable<typename T::value_type>;
template <typename First, typename Second>
inline constexpr bool copyable<std::pair<First, Second>> = copyable<First> && copyable<Second>;
template <typename... Ts>
inline constexpr bool copyable<std::tuple<Ts...>> = (copyable<Ts> && ...);

/// The value of a done task or future: moved out if nobody else can ask for it (or if it cannot be
/// copied), else copied.
template <bool Shared, typename T>
T take_value(const Completable& target, Result<T>& result) {
  if constexpr (Shared && !std::is_void_v<T> && !std::is_reference_v<T> &&
                copyable<std::remove_cv_t<T>>) {
    if (!target.only_reference()) return result.get();
  }
  return result.take();
}

/// A reference to a task or future of type A, or to the task that was made of an A.
template <typename A>
class Held {
 public:
  using Value = ValueOf<A>;

  /// Makes a task of what is none yet. Errors: RuntimeError outside a running loop.
  template <typename Given>
    requires(!std::same_as<std::remove_cvref_t<Given>, Held>)
  explicit Held(Given&& given) {
    if constexpr (is_task<A>) {
      given.base()->retain();
      adopt(static_cast<TaskState<Value>*>(given.base()));
    } else if constexpr (FutureLike<A>) {
      given.state()->bind_if_unbound();
      given.state()->retain();
      adopt(given.state());
    } else {
      Task<Value> task = create_task(A(std::forward<Given>(given)));
      task.base()->retain();
      adopt(static_cast<TaskState<Value>*>(task.base()));
    }
  }
  Held(Held&& other) noexcept
      : target_(std::exchange(other.target_, nullptr)), result_(other.result_) {}
  Held& operator=(Held&&) = delete;
  ~Held() {
    if (target_ != nullptr) target_->release();
  }

  Completable& target() const noexcept { return *target_; }
  Result<Value>& result() const noexcept { return *result_; }
  /// Gives its reference away.
  Completable& release() noexcept { return *std::exchange(target_, nullptr); }
  /// Of a done one. Errors: what it threw; CancelledError.
  Value take() const {
    target_->mark_retrieved();
    return take_value<HeldTraits<A>::shared>(*target_, *result_);
  }

 private:
  template <typename State>
  void adopt(State* state) noexcept {
    target_ = state;
    result_ = state;
  }

  Completable* target_;
  Result<Value>* result_;
};

/// A future of the runtime's own making: whoever awaits an rvalue of it gets the value, not a
/// reference.
template <typename T>
class GivenFuture : public Future<T> {
 public:
  using Future<T>::Future;

  FutureAwaiter<T> operator co_await() const& { return Future<T>::operator co_await(); }
  auto operator co_await() && {
    class Awaiter final : public CompletionWait {
     public:
      explicit Awaiter(FutureState<T>* state) noexcept : CompletionWait(state) {}
      T await_resume() {
        finish_wait();
        return static_cast<FutureState<T>*>(target_)->take();
      }
    };
    this->state()->retain();
    return Awaiter(this->state());
  }
};

}  // namespace rota::detail
