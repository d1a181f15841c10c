#include <rota/error.hpp>
#include <rota/http/router.hpp>

#include <algorithm>
#include <utility>

namespace rota::http {
namespace {

std::size_t names_in(std::string_view pattern) {
  std::size_t names = 0;
  for (std::size_t at = 0; (at = pattern.find_first_of("{}", at)) != std::string_view::npos;) {
    const std::size_t end = pattern.find_first_of("{}/", at + 1);
    const bool paired = pattern[at] == '{' && end != std::string_view::npos && pattern[end] == '}';
    if (!paired || end == at + 1) {
      throw ValueError("'" + std::string(pattern) + "': write {name} for a part of a segment");
    }
    if (end + 1 < pattern.size() && pattern[end + 1] == '{') {
      throw ValueError("'" + std::string(pattern) + "': nothing between two names parts them");
    }
    ++names;
    at = end + 1;
  }
  return names;
}

/// Calls `found(name, value)` for each name; false when `path` does not fit.
template <typename Found>
bool fits(std::string_view pattern, std::string_view path, Found found) {
  while (!pattern.empty()) {
    const std::size_t plain = std::min(pattern.find('{'), pattern.size());
    if (!path.starts_with(pattern.substr(0, plain))) return false;
    path.remove_prefix(plain);
    pattern.remove_prefix(plain);
    if (pattern.empty()) break;
    const std::size_t close = pattern.find('}');
    const std::string_view name = pattern.substr(1, close - 1);
    pattern.remove_prefix(close + 1);
    // Up to what follows in the pattern: its next plain text, within this segment.
    const std::string_view next = pattern.substr(0, pattern.find('{'));
    const std::string_view segment = path.substr(0, path.find('/'));
    const std::string_view mark = next.substr(0, next.find('/'));
    const std::size_t length = mark.empty() ? segment.size() : segment.find(mark);
    if (length == 0 || length == std::string_view::npos) return false;
    found(name, path.substr(0, length));
    path.remove_prefix(length);
  }
  return path.empty();
}

}  // namespace

const Handler* Router::Methods::find(std::string_view method) const noexcept {
  const auto of = [this](std::string_view wanted) -> const Handler* {
    const auto found = std::ranges::find(handlers, wanted, &std::pair<std::string, Handler>::first);
    return found == handlers.end() ? nullptr : &found->second;
  };
  const Handler* const handler = of(method);
  return handler == nullptr && method == "HEAD" ? of("GET") : handler;
}

namespace {

/// By size first: most paths that are not the one differ in it.
bool comes_before(std::string_view left, std::string_view right) noexcept {
  return left.size() != right.size() ? left.size() < right.size() : left < right;
}

}  // namespace

Router::Methods& Router::methods_of(const std::string& pattern) {
  if (names_in(pattern) == 0) {
    const auto at = std::ranges::lower_bound(paths_, pattern, comes_before, &Pattern::text);
    if (at != paths_.end() && at->text == pattern) return at->methods;
    return paths_.insert(at, Pattern{pattern, {}})->methods;
  }
  const auto found = std::ranges::find(patterns_, pattern, &Pattern::text);
  if (found != patterns_.end()) return found->methods;
  return patterns_.emplace_back(Pattern{pattern, {}}).methods;
}

Router& Router::add(std::string method, const std::string& pattern, Handler handler) {
  if (!pattern.starts_with('/')) throw ValueError("'" + pattern + "' does not start with '/'");
  if (names_in(pattern) > Request::parameters_max) {
    throw ValueError("'" + pattern + "' has more than " + std::to_string(Request::parameters_max) +
                     " names");
  }
  auto& handlers = methods_of(pattern).handlers;
  for (const auto& [taken, ignored] : handlers) {
    if (taken != method) continue;
    throw ValueError(method.append(" ").append(pattern).append(" has a handler already"));
  }
  handlers.emplace_back(std::move(method), std::move(handler));
  return *this;
}

const Router::Methods* Router::find_methods(Request& request) const {
  const std::string_view path = request.path();
  const auto at = std::ranges::lower_bound(paths_, path, comes_before, &Pattern::text);
  if (at != paths_.end() && at->text == path) return &at->methods;
  for (const Pattern& pattern : patterns_) {
    request.parameter_count_ = 0;
    const auto keep = [&request](std::string_view name, std::string_view value) {
      request.parameters_[request.parameter_count_++] = {name, value};
    };
    if (fits(pattern.text, path, keep)) return &pattern.methods;
  }
  return nullptr;
}

const Handler* Router::find(Request& request) const {
  const Methods* const methods = find_methods(request);
  return methods == nullptr ? nullptr : methods->find(request.method());
}

Response Router::refuse(Request& request) const {
  const Methods* const methods = find_methods(request);
  if (methods == nullptr) return Response::error(404, "not found");
  std::string allowed;
  for (const auto& [method, ignored] : methods->handlers) {
    allowed += (allowed.empty() ? "" : ", ") + method + (method == "GET" ? ", HEAD" : "");
  }
  Response response = Response::error(405, "allowed here: " + allowed);
  response.add_header("Allow", std::move(allowed));
  return response;
}

}  // namespace rota::http
