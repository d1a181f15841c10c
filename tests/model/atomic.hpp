/// atomic.hpp: what stands in for std::atomic while the explorer runs, and plain data that knows
/// who touched it.
///
/// Outside of an exploration both are plain variables.
#pragma once

#include "model/memory.hpp"

#include <bit>
#include <cstdint>
#include <cstring>
#include <source_location>
#include <type_traits>

namespace rota::model {

namespace op {

// What an operation is made of; in explorer.cpp.
void construct(Cell& cell);
void destroy(Cell& cell);
std::uint64_t load(Cell& cell, const Order& order);
void store(Cell& cell, std::uint64_t value, const Order& order);
std::uint64_t change(Cell& cell, const char* what, Memory::Change change, std::uint64_t operand,
                     const Order& order);
bool compare_exchange(Cell& cell, Memory::Exchange& exchange, const Order& success,
                      const Order& failure);
void read_plain(Cell& cell, const std::source_location& where);
void write_plain(Cell& cell, const std::source_location& where);

template <typename T>
constexpr std::uint64_t to_bits(T value) noexcept {
  if constexpr (std::is_pointer_v<T>) {
    // A null pointer is all that can be a constant here.
    return std::is_constant_evaluated() ? 0 : std::bit_cast<std::uint64_t>(value);
  } else {
    return static_cast<std::uint64_t>(value);
  }
}
template <typename T>
T from_bits(std::uint64_t bits) noexcept {
  if constexpr (std::is_pointer_v<T>) {
    return std::bit_cast<T>(bits);
  } else {
    return static_cast<T>(bits);
  }
}

}  // namespace op

/// Different for every thread of an exploration; null outside.
const void* this_thread() noexcept;

/// Integers, enumerations, bool and pointers; the operations of std::atomic that rota uses, each
/// with its order.
template <typename T>
class atomic {
  static_assert(std::is_integral_v<T> || std::is_enum_v<T> || std::is_pointer_v<T>);

 public:
  constexpr atomic() noexcept : atomic(T{}) {}
  constexpr atomic(T value) noexcept : cell_(op::to_bits(value)) {
    if (!std::is_constant_evaluated()) op::construct(cell_);
  }
  atomic(const atomic&) = delete;
  atomic& operator=(const atomic&) = delete;
  constexpr ~atomic() {
    if (!std::is_constant_evaluated()) op::destroy(cell_);
  }

  /// For one that is read all the time and in the model never stored: reading it is no step then.
  void never_changes() noexcept { cell_.constant = true; }

  T load(Order order) const noexcept { return value(op::load(cell_, order)); }
  void store(T desired, Order order) noexcept { op::store(cell_, op::to_bits(desired), order); }
  T exchange(T desired, Order order) noexcept {
    return apply("exchange", [](T, T to) noexcept { return to; }, desired, order);
  }
  T fetch_add(T operand, Order order) noexcept {
    return apply(
        "fetch_add", [](T a, T b) noexcept { return static_cast<T>(a + b); }, operand, order);
  }
  T fetch_sub(T operand, Order order) noexcept {
    return apply(
        "fetch_sub", [](T a, T b) noexcept { return static_cast<T>(a - b); }, operand, order);
  }
  T fetch_or(T operand, Order order) noexcept {
    return apply(
        "fetch_or", [](T a, T b) noexcept { return static_cast<T>(a | b); }, operand, order);
  }
  T fetch_and(T operand, Order order) noexcept {
    return apply(
        "fetch_and", [](T a, T b) noexcept { return static_cast<T>(a & b); }, operand, order);
  }
  bool compare_exchange_weak(T& expected, T desired, Order success, Order failure) noexcept {
    return compare_exchange(expected, desired, true, success, failure);
  }
  bool compare_exchange_weak(T& expected, T desired, Order order) noexcept {
    return compare_exchange(expected, desired, true, order, order);
  }
  bool compare_exchange_strong(T& expected, T desired, Order success, Order failure) noexcept {
    return compare_exchange(expected, desired, false, success, failure);
  }

 private:
  static T value(std::uint64_t bits) noexcept { return op::from_bits<T>(bits); }

  template <typename Change>
  T apply(const char* what, Change /*change*/, T operand, const Order& order) noexcept {
    const auto in_bits = [](std::uint64_t old, std::uint64_t given) noexcept {
      return op::to_bits(Change{}(value(old), value(given)));
    };
    return value(op::change(cell_, what, in_bits, op::to_bits(operand), order));
  }
  bool compare_exchange(T& expected, T desired, bool weak, const Order& success,
                        const Order& failure) noexcept {
    Memory::Exchange exchange{op::to_bits(expected), op::to_bits(desired), weak};
    const bool done = op::compare_exchange(cell_, exchange, success, failure);
    if (!done) expected = value(exchange.expected);
    return done;
  }

  mutable Cell cell_;
};

/// A variable without protection: two uses of it, one of them a write, that are not ordered are a
/// data race, in whatever order they came.
template <typename T>
class plain {
 public:
  plain(T value = T{}, std::source_location where = std::source_location::current())
      : value_(value) {
    op::write_plain(cell_, where);
  }
  plain(const plain&) = delete;
  plain& operator=(const plain&) = delete;
  ~plain() { op::destroy(cell_); }

  T read(std::source_location where = std::source_location::current()) const {
    op::read_plain(cell_, where);
    return value_;
  }
  void write(T value, std::source_location where = std::source_location::current()) {
    op::write_plain(cell_, where);
    value_ = value;
  }

 private:
  T value_;
  mutable Cell cell_;
};

}  // namespace rota::model
