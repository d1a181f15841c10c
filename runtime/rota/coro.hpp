/// coro.hpp: Coro<T>, what a coroutine function returns: lazy, moved, awaited once.
#pragma once

#include <rota/detail/promise.hpp>

#include <coroutine>
#include <functional>
#include <type_traits>
#include <utility>

namespace rota {

namespace detail {

/// Awaits a child coroutine: symmetric transfer there and back, no task, no queue. Owns the child's
/// frame.
template <typename T>
class CoroAwaiter {
 public:
  explicit CoroAwaiter(std::coroutine_handle<Promise<T>> child) noexcept : child_(child) {}
  CoroAwaiter(const CoroAwaiter&) = delete;
  CoroAwaiter& operator=(const CoroAwaiter&) = delete;
  ~CoroAwaiter() { child_.destroy(); }

  bool await_ready() const noexcept { return false; }
  template <typename Parent>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Parent> parent) noexcept {
    Promise<T>& promise = child_.promise();
    promise.continuation = parent;
    promise.task = parent.promise().task;
    promise.result = &result_;
    return transfer(child_);
  }
  T await_resume() { return result_.take(); }

 private:
  std::coroutine_handle<Promise<T>> child_;
  Result<T> result_;
};

}  // namespace detail

/// What a coroutine function returns. Does nothing until it is awaited or given to create_task().
/// Movable; awaited once. Destroying one that never started destroys its arguments and runs
/// nothing. As: a coroutine object.
template <typename T>
class [[nodiscard("a Coro does nothing until it is awaited or given to create_task()")]] Coro {
 public:
  using promise_type = detail::Promise<T>;
  using value_type = T;

  Coro(Coro&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Coro& operator=(Coro&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Coro() {
    if (handle_) handle_.destroy();
  }

  /// Runs it to its end inside the awaiting task. Suspends: only when it does. Errors: what it
  /// throws.
  detail::CoroAwaiter<T> operator co_await() && noexcept {
    return detail::CoroAwaiter<T>(std::exchange(handle_, nullptr));
  }

  /// False after it was awaited, moved from or given to create_task().
  explicit operator bool() const noexcept { return static_cast<bool>(handle_); }

 private:
  friend promise_type;
  template <typename>
  friend class detail::TaskState;
  explicit Coro(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}

  std::coroutine_handle<promise_type> handle_;
};

namespace detail {

template <typename T>
Coro<T> Promise<T>::get_return_object() noexcept {
  return Coro<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}
inline Coro<void> Promise<void>::get_return_object() noexcept {
  return Coro<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}

/// Any awaitable as a coroutine.
template <typename A>
Coro<std::decay_t<AwaitResult<A>>> as_coro(A awaitable) {
  co_return co_await std::move(awaitable);
}

/// A coroutine that keeps a callable and its arguments in its frame for as long as what they give
/// runs.
template <typename Function, typename... Args>
auto invoke_coro(Function function, Args... args)
    -> Coro<std::decay_t<AwaitResult<std::invoke_result_t<Function, Args...>>>> {
  co_return co_await std::invoke(function, std::move(args)...);
}

}  // namespace detail
}  // namespace rota
