/// concepts.hpp: what may be awaited, and what the await gives.
#pragma once

#include <concepts>
#include <coroutine>
#include <type_traits>
#include <utility>

namespace rota {

namespace detail {

template <typename T>
concept HasMemberCoAwait =
    requires(T&& awaitable) { std::forward<T>(awaitable).operator co_await(); };
template <typename T>
concept HasFreeCoAwait = requires(T&& awaitable) { operator co_await(std::forward<T>(awaitable)); };

/// The awaiter of an awaitable: what its operator co_await gives, or itself.
template <typename T>
decltype(auto) get_awaiter(T&& awaitable) {
  if constexpr (HasMemberCoAwait<T>) {
    return std::forward<T>(awaitable).operator co_await();
  } else if constexpr (HasFreeCoAwait<T>) {
    return operator co_await(std::forward<T>(awaitable));
  } else {
    return std::forward<T>(awaitable);
  }
}

template <typename T>
using AwaiterOf = decltype(get_awaiter(std::declval<T>()));

template <typename T>
concept HasAwaiterFunctions = requires(std::remove_reference_t<T>& awaiter) {
  { awaiter.await_ready() } -> std::convertible_to<bool>;
  awaiter.await_resume();
};

}  // namespace detail

/// Anything that `co_await` takes inside a rota coroutine.
template <typename T>
concept Awaitable = requires(T&& awaitable) {
  { detail::get_awaiter(std::forward<T>(awaitable)) } -> detail::HasAwaiterFunctions;
};

/// What `co_await` of a T gives.
template <typename T>
  requires Awaitable<T>
using AwaitResult =
    decltype(std::declval<std::remove_reference_t<detail::AwaiterOf<T>>&>().await_resume());

}  // namespace rota
