/// observe.hpp: coroutines that write down what happens to them, to compare with what asyncio does.
#pragma once

#include <rota/coro.hpp>
#include <rota/error.hpp>
#include <rota/future.hpp>
#include <rota/sleep.hpp>

#include "support/test_loop.hpp"

#include <chrono>
#include <exception>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

namespace rota::testing_support {

/// Writes 0 1 2 ..., a number in each step.
inline Coro<> ticker(Order& order, int count) {
  for (int i = 0; i < count; ++i) {
    order.add(std::to_string(i));
    co_await sleep(std::chrono::seconds(0));
  }
}

/// Ends after `count` steps; writes its name then.
inline Coro<int> steps(Order& order, std::string name, int count) {
  for (int i = 0; i < count; ++i) co_await sleep(std::chrono::seconds(0));
  order.add(name);
  co_return count;
}

/// What `exception` is, in a word.
inline std::string word_for(const std::exception_ptr& exception) {
  if (!exception) return "none";
  try {
    std::rethrow_exception(exception);
  } catch (const CancelledError&) {
    return "cancelled";
  } catch (const TimeoutError&) {
    return "timeout";
  } catch (const ExceptionGroup& group) {
    std::string text = "group(";
    for (const std::exception_ptr& member : group.exceptions()) {
      text += (text.back() == '(' ? "" : ",") + word_for(member);
    }
    return text + ")";
  } catch (const std::exception& error) {
    return error.what();
  }
}

/// Awaits `awaitable`; writes "name=value", "name" (void), or "name:error".
template <Awaitable A>
Coro<> observe(Order& order, std::string name, A awaitable) {
  std::exception_ptr exception;
  try {
    if constexpr (std::is_same_v<std::decay_t<AwaitResult<A>>, int>) {
      const int value = co_await std::move(awaitable);
      order.add(name + "=" + std::to_string(value));
    } else {
      co_await std::move(awaitable);
      order.add(name);
    }
  } catch (...) {
    exception = std::current_exception();
  }
  if (exception) order.add(name + ":" + word_for(exception));
}

/// Fails with `text` after `delay`.
inline Coro<int> fail_after(Duration delay, std::string text) {
  co_await sleep(delay);
  throw std::runtime_error(text);
}
/// Gives `value` after `delay`.
inline Coro<int> give_after(Duration delay, int value) {
  co_await sleep(delay);
  co_return value;
}

/// Sleeps; if cancelled, fails with `text`.
inline Coro<> fail_when_cancelled(std::string text) {
  bool was_cancelled = false;
  try {
    co_await sleep(std::chrono::hours(1));
  } catch (const CancelledError&) {
    was_cancelled = true;
  }
  if (was_cancelled) throw std::runtime_error(text);
}
/// Sleeps; writes its name when cancelled.
inline Coro<> say_when_cancelled(Order& order, std::string name) {
  try {
    co_await sleep(std::chrono::hours(1));
  } catch (const CancelledError&) {
    order.add(name);
    throw;
  }
}

/// What `awaitable` gives or throws: "=value", "" (void) or ":error".
template <Awaitable A>
Coro<std::string> word_of(A awaitable) {
  Order order;
  co_await observe(order, "", std::move(awaitable));
  co_return order.text();
}

/// What a done task or future failed with, in a word.
template <typename T>
std::string outcome_of(const T& done) {
  try {
    (void)done.result();
  } catch (...) {
    return word_for(std::current_exception());
  }
  return "value";
}

/// What `function` throws, in a word.
template <typename Function>
std::string thrown_by(Function function) {
  try {
    function();
  } catch (...) {
    return word_for(std::current_exception());
  }
  return "none";
}

}  // namespace rota::testing_support
