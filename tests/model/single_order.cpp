#include "model/single_order.hpp"

#include <algorithm>

namespace rota::model {

void Clock::join(const Clock& other) noexcept {
  for (std::size_t i = 0; i < operations.size(); ++i)
    operations[i] = std::max(operations[i], other.operations[i]);
}

bool SingleOrder::is_before(const Operation& one, const Operation& other) noexcept {
  if (one.location == other.location && one.rank < other.rank) return true;
  // Strongly: a later operation of the same thread told somebody, who then came to `other`. That
  // `one` itself was read is not enough.
  const std::uint32_t known = other.happened.operations[one.thread];
  return known > one.happened.operations[one.thread];
}

bool SingleOrder::has_room_for(const Operation& load) const {
  std::vector<bool> seen(operations_.size(), false);
  std::vector<std::size_t> after;  // what must come after the load, to be followed
  const auto follow = [&](const Operation& from) {
    for (std::size_t i = 0; i < operations_.size(); ++i) {
      if (seen[i] || !is_before(from, operations_[i])) continue;
      seen[i] = true;
      after.push_back(i);
    }
  };
  follow(load);
  while (!after.empty()) {
    const Operation& next = operations_[after.back()];
    after.pop_back();
    if (is_before(next, load)) return false;
    follow(next);
  }
  return true;
}

}  // namespace rota::model
