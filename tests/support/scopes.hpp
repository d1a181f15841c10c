/// scopes.hpp: what a body in with() ends with, in a word.
#pragma once

#include <rota/with.hpp>

#include "support/observe.hpp"

#include <exception>
#include <string>
#include <utility>

namespace rota::testing_support {

/// `with(scope, body, args...)`: what it throws. The scope stays where the caller can look at it.
template <Scope S, typename Body, typename... Args>
Coro<std::string> result_in(S& scope, Body body, Args... args) {
  std::exception_ptr exception;
  try {
    co_await with(scope, body, args...);
  } catch (...) {
    exception = std::current_exception();
  }
  co_return word_for(exception);
}
/// The same; the scope is moved to where it is entered.
template <Scope S, typename Body, typename... Args>
Coro<std::string> result_of(S scope, Body body, Args... args) {
  std::exception_ptr exception;
  try {
    co_await with(std::move(scope), body, args...);
  } catch (...) {
    exception = std::current_exception();
  }
  co_return word_for(exception);
}

}  // namespace rota::testing_support
