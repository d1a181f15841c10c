/// context.hpp: values that follow a task and what it starts: ContextVar and Context.
///
/// A task or callback starts with a copy of its creator's context; what it sets does not leak back.
/// Copying shares the values until one side changes them; an empty context is a null pointer and
/// costs nothing.
#pragma once

#include <rota/detail/atomic.hpp>
#include <rota/error.hpp>

#include <any>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

namespace rota {

namespace detail {

using ContextMap = std::unordered_map<const void*, std::any>;

/// One context: counted, because tasks, callbacks and Context handles hold it. Its values are
/// touched only by the code that runs in it, one at a time; the map itself is shared and never
/// changed.
struct ContextCell {
  explicit ContextCell(std::shared_ptr<const ContextMap> shared) noexcept
      : values(std::move(shared)) {}

  atomic<std::uint32_t> references{1};  ///< Written by every holder, on any thread.
  std::shared_ptr<const ContextMap> values;
};

inline ContextCell* retain(ContextCell* cell) noexcept {
  // relaxed: the caller's own reference keeps the cell.
  if (cell != nullptr) cell->references.fetch_add(1, std::memory_order_relaxed);
  return cell;
}
void release_cell(ContextCell* cell) noexcept;
inline void release(ContextCell* cell) noexcept {
  if (cell != nullptr) [[unlikely]]
    release_cell(cell);
}
/// A copy of `cell` for a new task: null stays null. Errors: std::bad_alloc.
ContextCell* copy_cell(const ContextCell* cell);

/// Where the code that runs now has its context: the running task's, the running callback's, or
/// this thread's.
ContextCell*& current_context_slot() noexcept;

const std::any* find_value(const void* variable) noexcept;
/// Returns what was there before.
std::any set_value(const void* variable, std::any value);
void erase_value(const void* variable);

}  // namespace detail

/// A set of values of ContextVars. As: contextvars.Context. A handle: copies of it mean the same
/// context.
class Context {
 public:
  Context();  ///< A new, empty one. Errors: std::bad_alloc.
  Context(const Context& other) noexcept : cell_(detail::retain(other.cell_)) {}
  Context(Context&& other) noexcept : cell_(std::exchange(other.cell_, nullptr)) {}
  Context& operator=(Context other) noexcept {
    std::swap(cell_, other.cell_);
    return *this;
  }
  ~Context() { detail::release(cell_); }

  /// Calls `function(args...)` in this context: what it sets stays here. As: Context.run.
  template <typename Function, typename... Args>
  decltype(auto) run(Function&& function, Args&&... args) {
    Entered entered(*this);
    return std::forward<Function>(function)(std::forward<Args>(args)...);
  }

  detail::ContextCell* cell() const noexcept { return cell_; }

 private:
  class Entered {
   public:
    explicit Entered(Context& context) noexcept
        : slot_(detail::current_context_slot()), outer_(std::exchange(slot_, context.cell_)) {}
    Entered(const Entered&) = delete;
    Entered& operator=(const Entered&) = delete;
    ~Entered() { slot_ = outer_; }

   private:
    detail::ContextCell*& slot_;
    detail::ContextCell* outer_;
  };

  friend Context copy_context();
  explicit Context(detail::ContextCell* cell) noexcept : cell_(cell) {}

  detail::ContextCell* cell_;
};

/// A copy of the current context. As: contextvars.copy_context.
Context copy_context();

/// A variable with one value for each context. Declare it at namespace scope; its address is its
/// identity. As: contextvars.ContextVar.
template <typename T>
class ContextVar {
 public:
  /// What set() replaced, for reset().
  class Token {
   public:
    explicit Token(std::any old) : old_(std::move(old)) {}

   private:
    friend class ContextVar;
    std::any old_;
  };

  explicit ContextVar(std::string name) : name_(std::move(name)) {}
  ContextVar(std::string name, T default_value)
      : name_(std::move(name)), default_(std::move(default_value)) {}
  ContextVar(const ContextVar&) = delete;
  ContextVar& operator=(const ContextVar&) = delete;

  const std::string& name() const noexcept { return name_; }

  /// The value in the current context, or the default. Errors: RuntimeError when there is neither
  /// (Python: LookupError).
  T get() const {
    if (const std::any* value = detail::find_value(this)) return *std::any_cast<T>(value);
    if (default_) return *default_;
    throw RuntimeError("ContextVar '" + name_ + "' has no value in this context");
  }
  /// The value in the current context, or `fallback`.
  T get(T fallback) const {
    const std::any* value = detail::find_value(this);
    return value != nullptr ? *std::any_cast<T>(value) : std::move(fallback);
  }
  /// Sets the value in the current context; other contexts keep theirs.
  Token set(T value) { return Token(detail::set_value(this, std::any(std::move(value)))); }
  /// Back to what was there before the set() that gave `token`.
  void reset(Token token) {
    if (token.old_.has_value()) {
      detail::set_value(this, std::move(token.old_));
    } else {
      detail::erase_value(this);
    }
  }

 private:
  std::string name_;
  std::optional<T> default_;
};

}  // namespace rota
