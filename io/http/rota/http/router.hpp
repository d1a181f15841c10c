/// router.hpp: http::Router, which handler answers which request.
#pragma once

#include <rota/coro.hpp>
#include <rota/http/request.hpp>
#include <rota/http/response.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace rota::http {

/// `Response f(Request&)` or `Coro<Response> f(Request&)`. With a server of several loops it is
/// called on all of them at once.
class Handler {
 public:
  template <typename Function>
    requires std::same_as<std::invoke_result_t<Function&, Request&>, Response>
  Handler(Function function) : function_(Plain(std::move(function))) {}
  template <typename Function>
    requires std::same_as<std::invoke_result_t<Function&, Request&>, Coro<Response>>
  Handler(Function function) : function_(Async(std::move(function))) {}

 private:
  friend class detail::Connection;
  using Plain = std::function<Response(Request&)>;
  using Async = std::function<Coro<Response>(Request&)>;

  bool may_wait() const noexcept { return function_.index() != 0; }

  std::variant<Plain, Async> function_;
};

/// Patterns and their handlers; filled before the server starts, then only read.
///
/// A pattern is a path; {name} stands for a part of one segment, of at least one character:
/// "/tiles/{z}/{x}/{y}.png". A path without names wins over patterns; of patterns the first that
/// fits.
class Router {
 public:
  /// Errors: ValueError (a pattern that does not start with "/"; braces that do not pair; more than
  /// 8 names; a method and pattern that are there already).
  Router& add(std::string method, const std::string& pattern, Handler handler);
  /// Answers HEAD too, with the body left out.
  Router& get(const std::string& pattern, Handler handler) {
    return add("GET", pattern, std::move(handler));
  }
  Router& post(const std::string& pattern, Handler handler) {
    return add("POST", pattern, std::move(handler));
  }

  /// The handler for `request`, whose parameters it sets; or null.
  const Handler* find(Request& request) const;
  /// Why there is none: 404, or 405 with what is allowed.
  Response refuse(Request& request) const;

 private:
  struct Methods {
    std::vector<std::pair<std::string, Handler>> handlers;
    const Handler* find(std::string_view method) const noexcept;
  };
  struct Pattern {
    std::string text;
    Methods methods;
  };

  Methods& methods_of(const std::string& pattern);
  const Methods* find_methods(Request& request) const;

  std::vector<Pattern> paths_;     ///< Without names; by size, then by text.
  std::vector<Pattern> patterns_;  ///< In the order they were added.
};

}  // namespace rota::http
