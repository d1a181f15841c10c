/// result.hpp: where a coroutine writes what it returned or threw: into whoever waits for it.
#pragma once

#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

namespace rota::detail {

struct ResultBase {
  std::exception_ptr exception;  ///< Set: it threw.
};

template <typename T>
class Result : public ResultBase {
  using Stored = std::conditional_t<std::is_reference_v<T>, std::remove_reference_t<T>*, T>;

 public:
  Result() noexcept {}
  Result(const Result&) = delete;
  Result& operator=(const Result&) = delete;
  ~Result() { clear(); }

  bool has_value() const noexcept { return has_value_; }

  template <typename U>
  void emplace(U&& value) {
    if constexpr (std::is_reference_v<T>) {
      std::construct_at(&stored_, std::addressof(value));
    } else {
      std::construct_at(&stored_, std::forward<U>(value));
    }
    has_value_ = true;
  }

  void clear() noexcept {
    if (!has_value_) return;
    std::destroy_at(&stored_);
    has_value_ = false;
  }

  /// Throws what was thrown.
  const std::remove_reference_t<T>& get() const {
    if (exception) [[unlikely]]
      std::rethrow_exception(exception);
    if constexpr (std::is_reference_v<T>) {
      return *stored_;
    } else {
      return stored_;
    }
  }

  /// Moves the value out. Throws what was thrown.
  T take() {
    if (exception) [[unlikely]]
      std::rethrow_exception(exception);
    if constexpr (std::is_reference_v<T>) {
      return static_cast<T>(*stored_);
    } else {
      // The analyzer does not follow a result from the coroutine that writes it to its awaiter.
      // NOLINTNEXTLINE(clang-analyzer-core.uninitialized.UndefReturn)
      return std::move(stored_);
    }
  }

 private:
  union {
    Stored stored_;
  };
  bool has_value_ = false;
};

template <>
class Result<void> : public ResultBase {
 public:
  bool has_value() const noexcept { return has_value_; }
  void emplace() noexcept { has_value_ = true; }
  void clear() noexcept { has_value_ = false; }
  void get() const {
    if (exception) [[unlikely]]
      std::rethrow_exception(exception);
  }
  void take() const { get(); }

 private:
  bool has_value_ = false;
};

}  // namespace rota::detail
