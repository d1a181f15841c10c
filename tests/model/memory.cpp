#include "model/memory.hpp"

#include <algorithm>

namespace rota::model {

void Knowledge::learn(const Knowledge& other) {
  happened.join(other.happened);
  if (oldest.size() < other.oldest.size()) oldest.resize(other.oldest.size());
  for (std::size_t i = 0; i < other.oldest.size(); ++i)
    oldest[i] = std::max(oldest[i], other.oldest[i]);
}

void Knowledge::has_seen(std::uint32_t location, std::uint32_t store) {
  if (oldest.size() <= location) oldest.resize(location + 1);
  oldest[location] = std::max(oldest[location], store);
}

void Memory::begin_execution(unsigned late_loads) {
  static std::uint32_t begun = 0;  // in the whole process: statics live through many explorations
  execution_ = ++begun;
  locations_.clear();
  events_.clear();
  single_order_.clear();
  late_loads_left_ = late_loads;
  spurious_left_ = 1;
}

// --- locations --------------------------------------------------------------------------------

std::uint32_t Memory::add_location(Cell& cell) {
  cell.location = static_cast<std::uint32_t>(locations_.size());
  cell.execution = execution_;
  locations_.emplace_back().stores.push_back({cell.value, {}});
  return cell.location;
}

void Memory::construct(Actor& actor, Cell& cell) {
  Location& location = locations_[add_location(cell)];
  location.writer = actor.id;
  location.written = ++actor.knows.happened.operations[actor.id];
  location.used.operations[actor.id] = location.written;
}

Memory::Location& Memory::use(Actor& actor, Cell& cell, const Order& order) {
  if (cell.execution != execution_) add_location(cell);  // it was there before
  Location& location = locations_[cell.location];
  if (location.gone || location.written > actor.knows.happened.operations[location.writer])
    events_.push_back({actor.id, "use", cell.location, "plain", 0, 0, order.where()});
  if (location.gone) fail("use of #" + std::to_string(cell.location) + " after its destruction");
  require_ordered(actor, cell.location, location.writer, location.written);
  location.used.operations[actor.id] = ++actor.knows.happened.operations[actor.id];
  return location;
}

void Memory::destroy(Actor& actor, Cell& cell) {
  if (cell.execution != execution_) return;
  require_all_ordered(actor, cell.location);
  locations_[cell.location].gone = true;
}

void Memory::require_all_ordered(const Actor& actor, std::uint32_t location) {
  const Clock& used = locations_[location].used;
  for (ThreadId thread = 0; thread < threads_max; ++thread)
    require_ordered(actor, location, thread, used.operations[thread]);
}

void Memory::require_ordered(const Actor& actor, std::uint32_t location, ThreadId thread,
                             std::uint32_t operation) {
  if (operation <= actor.knows.happened.operations[thread]) return;
  fail("data race on #" + std::to_string(location) + ": what thread " + std::to_string(thread) +
       " did to it does not happen before what thread " + std::to_string(actor.id) + " does now");
}

// --- atomics ----------------------------------------------------------------------------------

std::vector<std::uint32_t> Memory::readable(const Actor& actor, const Cell& cell,
                                            std::memory_order order) const {
  const std::uint32_t last = newest(locations_[cell.location]);
  std::vector<std::uint32_t> stores = {last};
  if (actor.newest_only || late_loads_left_ == 0) return stores;
  for (std::uint32_t store = last; store-- > actor.knows.oldest_of(cell.location);) {
    if (order == std::memory_order_seq_cst &&
        !single_order_.has_room_for({actor.id, cell.location,
                                     SingleOrder::Operation::rank_of_load(store),
                                     actor.knows.happened}))
      break;  // and then there is none for an older one
    stores.push_back(store);
  }
  return stores;
}

void Memory::read(Actor& actor, const Cell& cell, std::uint32_t store, std::memory_order order) {
  actor.knows.has_seen(cell.location, store);
  if (store != newest(locations_[cell.location])) --late_loads_left_;
  if (acquires(order)) actor.knows.learn(locations_[cell.location].stores[store].released);
  if (actor.waits) actor.looks.push_back({cell.location, store});
}

void Memory::append(Actor& actor, Cell& cell, std::uint64_t value, std::memory_order order,
                    const Knowledge* continued) {
  Location& location = locations_[cell.location];
  Knowledge released;
  if (continued != nullptr) released = *continued;
  const auto store = static_cast<std::uint32_t>(location.stores.size());
  actor.knows.has_seen(cell.location, store);
  if (releases(order)) released.learn(actor.knows);
  location.stores.push_back({value, std::move(released)});
  cell.value = value;
}

void Memory::place(const Actor& actor, const Cell& cell, std::uint32_t rank,
                   std::memory_order order) {
  if (order == std::memory_order_seq_cst)
    single_order_.add({actor.id, cell.location, rank, actor.knows.happened});
}

std::uint64_t Memory::load(Actor& actor, Cell& cell, const Order& order) {
  Location& location = use(actor, cell, order);
  const std::memory_order in_effect = order.in_effect(Kind::load);
  const std::vector<std::uint32_t> stores = readable(actor, cell, in_effect);
  const std::uint32_t store = stores[choices_.choose(stores.size())];
  place(actor, cell, SingleOrder::Operation::rank_of_load(store), in_effect);
  read(actor, cell, store, in_effect);
  const std::uint64_t value = location.stores[store].value;
  note(actor, "load", cell, in_effect, newest(location) - store, value, order);
  return value;
}

void Memory::store(Actor& actor, Cell& cell, std::uint64_t value, const Order& order) {
  const std::uint32_t last = newest(use(actor, cell, order));
  const std::memory_order in_effect = order.in_effect(Kind::store);
  place(actor, cell, SingleOrder::Operation::rank_of_store(last + 1), in_effect);
  append(actor, cell, value, in_effect, nullptr);
  note(actor, "store", cell, in_effect, 0, value, order);
}

std::uint64_t Memory::change(Actor& actor, Cell& cell, const char* what, Change change,
                             std::uint64_t operand, const Order& order) {
  const std::uint64_t old = use(actor, cell, order).stores.back().value;
  replace(actor, cell, change(old, operand), order.in_effect(Kind::rmw));
  note(actor, what, cell, order.in_effect(Kind::rmw), 0, cell.value, order);
  return old;
}

void Memory::replace(Actor& actor, Cell& cell, std::uint64_t value, std::memory_order order) {
  const Location& location = locations_[cell.location];
  const std::uint32_t last = newest(location);
  place(actor, cell, SingleOrder::Operation::rank_of_store(last + 1), order);
  read(actor, cell, last, order);
  // A release sequence goes on through read-modify-writes of any order and thread.
  const Knowledge continued = location.stores[last].released;
  append(actor, cell, value, order, &continued);
}

bool Memory::compare_exchange(Actor& actor, Cell& cell, Exchange& exchange, const Order& success,
                              const Order& failure) {
  const Location& location = use(actor, cell, success);
  const std::uint32_t last = newest(location);
  const std::memory_order on_failure = failure.in_effect(Kind::load);
  // What may happen, the likeliest first: it succeeds; it fails for no reason; it is a mere load,
  // of a store with another value.
  constexpr std::uint32_t succeeds = ~std::uint32_t{0};
  std::vector<std::uint32_t> ways;
  const bool may_succeed = location.stores[last].value == exchange.expected;
  if (may_succeed) ways.push_back(succeeds);
  if (may_succeed && exchange.may_fail_spuriously && spurious_left_ > 0) ways.push_back(last);
  for (const std::uint32_t store : readable(actor, cell, on_failure)) {
    if (location.stores[store].value != exchange.expected) ways.push_back(store);
  }
  const std::uint32_t store = ways[choices_.choose(ways.size())];
  if (store == succeeds) {
    replace(actor, cell, exchange.desired, success.in_effect(Kind::rmw));
    note(actor, "compare_exchange", cell, success.in_effect(Kind::rmw), 0, cell.value, success);
    return true;
  }
  if (may_succeed && store == last) --spurious_left_;
  place(actor, cell, SingleOrder::Operation::rank_of_load(store), on_failure);
  read(actor, cell, store, on_failure);
  exchange.expected = location.stores[store].value;
  note(actor, "compare_exchange fails", cell, on_failure, last - store, exchange.expected, failure);
  return false;
}

// --- plain data -------------------------------------------------------------------------------

void Memory::read_plain(Actor& actor, Cell& cell, const std::source_location& where) {
  if (cell.execution != execution_) add_location(cell);
  Location& location = locations_[cell.location];
  events_.push_back({actor.id, "read", cell.location, "plain", 0, 0, where});
  require_ordered(actor, cell.location, location.writer, location.written);
  location.used.operations[actor.id] = ++actor.knows.happened.operations[actor.id];
}

void Memory::write_plain(Actor& actor, Cell& cell, const std::source_location& where) {
  if (cell.execution != execution_) add_location(cell);
  events_.push_back({actor.id, "write", cell.location, "plain", 0, 0, where});
  require_all_ordered(actor, cell.location);
  Location& location = locations_[cell.location];
  location.writer = actor.id;
  location.written = ++actor.knows.happened.operations[actor.id];
  location.used.operations[actor.id] = location.written;
}

void Memory::free(const Actor& actor, const Allocation& allocation) {
  if (allocation.execution != execution_ ||
      allocation.operation <= actor.knows.happened.operations[allocation.thread])
    return;
  fail("data race: memory that thread " + std::to_string(allocation.thread) +
       " has allocated is freed by thread " + std::to_string(actor.id) +
       ", and the one does not happen before the other");
}

// --- waiting, telling -------------------------------------------------------------------------

bool Memory::has_news(const Actor& actor) const noexcept {
  return std::ranges::any_of(actor.looks, [this](const Actor::Look& look) {
    return newest(locations_[look.location]) > look.store;
  });
}

void Memory::note(const Actor& actor, const char* what, const std::source_location& where) {
  events_.push_back({actor.id, what, 0, nullptr, 0, 0, where});
}

void Memory::note(const Actor& actor, const char* what, const Cell& cell, std::memory_order order,
                  std::uint32_t behind, std::uint64_t value, const Order& where) {
  events_.push_back({actor.id, what, cell.location, name_of(order), value, behind, where.where()});
}

}  // namespace rota::model
