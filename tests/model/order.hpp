/// order.hpp: the memory order of one operation, and where in the source it stands.
///
/// So a finding can say which line did it, and one order at a time can be made weaker without a new
/// build: that is how tests/model/mutants.sh asks whether some test would notice.
#pragma once

#include <atomic>
#include <cstdint>
#include <source_location>

namespace rota::model {

enum class Kind : std::uint8_t { load, store, rmw };

class Order {
 public:
  // Implicit: the call says std::memory_order_acquire, as it would to a std::atomic.
  Order(std::memory_order order,
        std::source_location where = std::source_location::current()) noexcept
      : order_(order), where_(where) {}

  /// As written, or as ROTA_MODEL_WEAKEN=FILE:LINE:COLUMN=ORDER has it. Notes that it was used, for
  /// ROTA_MODEL_SITES=FILE: there all orders that were used are listed when the program ends.
  std::memory_order in_effect(Kind kind) const;
  const std::source_location& where() const noexcept { return where_; }

 private:
  std::memory_order order_;
  std::source_location where_;
};

constexpr bool acquires(std::memory_order order) noexcept {
  return order == std::memory_order_acquire || order == std::memory_order_acq_rel ||
         order == std::memory_order_seq_cst;
}
constexpr bool releases(std::memory_order order) noexcept {
  return order == std::memory_order_release || order == std::memory_order_acq_rel ||
         order == std::memory_order_seq_cst;
}
const char* name_of(std::memory_order order) noexcept;

}  // namespace rota::model
