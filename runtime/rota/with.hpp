/// with.hpp: with, asyncio's `async with`: enters a scope, runs a body in it, and leaves it
/// whatever happened.
#pragma once

#include <rota/coro.hpp>
#include <rota/detail/held.hpp>
#include <rota/detail/safe_temporary.hpp>
#include <rota/error.hpp>

#include <exception>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>

namespace rota {

/// What with() takes: `aenter()` and `aexit(std::exception_ptr)`, each plain or awaitable. aexit
/// gets what the body threw or null; what it gives, if anything, says whether the exception is
/// swallowed; it may throw another one.
template <typename S>
concept Scope = requires(S& scope, std::exception_ptr exception) {
  scope.aenter();
  scope.aexit(exception);
};

namespace detail {

/// The body's call: with the scope, or without if it does not want it.
template <typename S, typename Function, typename... Args>
decltype(auto) call_body(S& scope, Function& function, Args&... args) {
  if constexpr (std::invocable<Function&, S&, Args...>) {
    return std::invoke(function, scope, std::move(args)...);
  } else {
    return std::invoke(function, std::move(args)...);
  }
}
template <typename S, typename Function, typename... Args>
using BodyOf =
    decltype(call_body(std::declval<S&>(), std::declval<Function&>(), std::declval<Args&>()...));

template <typename T>
inline constexpr bool is_optional = false;
template <typename T>
inline constexpr bool is_optional<std::optional<T>> = true;

[[noreturn]] inline void throw_no_result() {
  throw RuntimeError(
      "with: the scope ended its body early and swallowed the exception, so there is no result: "
      "let the body give void "
      "or a std::optional");
}

/// `S`: the scope, or a reference to it.
template <typename S, typename Function, typename... Args>
auto run_in_scope(S scope, Function function, Args... args)
    -> Coro<ValueOf<BodyOf<std::remove_reference_t<S>, Function, Args...>>> {
  using T = ValueOf<BodyOf<std::remove_reference_t<S>, Function, Args...>>;
  using Exit = decltype(scope.aexit(std::exception_ptr()));
  Result<T> result;
  std::exception_ptr exception;
  if constexpr (Awaitable<decltype(scope.aenter())>) {
    co_await scope.aenter();
  } else {
    scope.aenter();
  }
  try {
    if constexpr (std::is_void_v<T>) {
      co_await call_body(scope, function, args...);
      result.emplace();
    } else {
      result.emplace(co_await call_body(scope, function, args...));
    }
  } catch (...) {
    exception = std::current_exception();
  }
  bool swallowed = false;
  if constexpr (std::is_void_v<Exit>) {
    scope.aexit(exception);
  } else if constexpr (!Awaitable<Exit>) {
    swallowed = scope.aexit(exception);
  } else if constexpr (std::is_void_v<AwaitResult<Exit>>) {
    co_await scope.aexit(exception);
  } else {
    swallowed = co_await scope.aexit(exception);
  }
  if (exception && !swallowed) std::rethrow_exception(exception);
  if constexpr (is_optional<T>) {
    if (exception) co_return std::nullopt;
  } else if constexpr (!std::is_void_v<T>) {
    if (exception) throw_no_result();
  }
  co_return result.take();
}

}  // namespace detail

/// Enters `scope`, awaits `body(scope, args...)`, or `body(args...)` if it does not take the scope,
/// leaves the scope, and gives what the body gave. The scope is moved into the frame of with() and
/// entered there; an lvalue is entered where it is and must outlive the await. Body and arguments
/// are kept in that frame too, so the body may be a lambda, but a captureless one with its
/// arguments apart is right under every compiler:
///
///     co_await with(TaskGroup(), [](TaskGroup& group, Urls urls) -> Coro<> { ... },
///     std::move(urls));
///
/// Errors:   of entering; what the body throws, unless the scope swallows it; what leaving throws
/// in its place;
///           RuntimeError when it was swallowed and the body was to give a value (but a
///           std::optional is then empty).
/// Suspends: when entering, the body or leaving does.
/// As:       `async with scope: body`.
template <typename S, typename Body, typename... Args>
[[nodiscard("with() does nothing until it is awaited")]] auto with(S&& scope, Body&& body,
                                                                   Args&&... args) {
  static_assert(
      Scope<std::remove_cvref_t<S>>,
      "the first argument of with() is a scope: it has aenter() and aexit(std::exception_ptr)");
  static_assert(detail::is_safe_temporary<Body>(),
                "g++ 12 would destroy the captures of this lambda twice: let it capture nothing, "
                "and give what it needs "
                "as arguments of with() after it; or name the lambda and give it by its name");
  using Kept = std::conditional_t<std::is_lvalue_reference_v<S>, S, std::remove_cvref_t<S>>;
  return detail::run_in_scope<Kept, std::decay_t<Body>, std::decay_t<Args>...>(
      std::forward<S>(scope), std::forward<Body>(body), std::forward<Args>(args)...);
}

}  // namespace rota
