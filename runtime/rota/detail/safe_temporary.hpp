/// safe_temporary.hpp: may this callable be a temporary inside a co_await expression?
#pragma once

#include <string_view>
#include <type_traits>

namespace rota::detail {

/// g++ 12 destroys a temporary lambda twice in a co_await expression if it captures what owns
/// something (safe_co_await.md).
template <typename Function>
consteval bool is_safe_temporary() {
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
  const std::string_view name = __PRETTY_FUNCTION__;
  return std::is_lvalue_reference_v<Function> || std::is_trivially_destructible_v<Function> ||
         name.find("<lambda") == std::string_view::npos;
#else
  return true;
#endif
}

}  // namespace rota::detail
