/// single_order.hpp: the order S of all seq_cst operations of an execution: whether there still is
/// one.
///
/// It need not be the order in which we execute them. C++20 wants S to agree with what each thread
/// does one after the other, with what strongly happens before what, and with the order of the
/// stores to each location (a load comes after the store that it reads and before the next one). So
/// a load may read an old store as long as that closes no circle.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace rota::model {

inline constexpr std::size_t threads_max = 8;
using ThreadId = std::uint8_t;

/// By thread, how many of its operations.
struct Clock {
  std::array<std::uint32_t, threads_max> operations{};
  void join(const Clock& other) noexcept;
};

class SingleOrder {
 public:
  struct Operation {
    ThreadId thread;
    std::uint32_t location;
    /// Among the operations on its location: twice the number of the store that it makes; one more
    /// than that of the store that it merely reads.
    std::uint32_t rank;
    /// What happened before it; of its own thread all, and itself. Without what it learns itself.
    Clock happened;

    static std::uint32_t rank_of_store(std::uint32_t store) noexcept { return 2 * store; }
    static std::uint32_t rank_of_load(std::uint32_t store) noexcept { return 2 * store + 1; }
  };

  void clear() noexcept { operations_.clear(); }
  /// Whether there is an order with `load`, too. (A store is the newest: there always is.)
  bool has_room_for(const Operation& load) const;
  void add(const Operation& operation) { operations_.push_back(operation); }

 private:
  static bool is_before(const Operation& one, const Operation& other) noexcept;

  std::vector<Operation> operations_;
};

}  // namespace rota::model
