/// memory.hpp: what the threads of one execution have stored, and what each of them may still read.
///
/// C++20's memory model without fences, with two restrictions: the modification order of a location
/// is the order in which its stores are executed here, and no load reads a store that is executed
/// after it. What that leaves out is said in README.md.
///
/// Every thread *knows* something: which operations happen before what it does next (a vector
/// clock), and for each location the oldest store that it may still read. A release store keeps a
/// copy of what its thread knows; who reads it by an acquire load learns that.
#pragma once

#include "model/choices.hpp"
#include "model/order.hpp"
#include "model/single_order.hpp"

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <string>
#include <vector>

namespace rota::model {

/// The part of an atomic or a plain<T> that the memory knows it by.
struct Cell {
  std::uint64_t value = 0;      ///< Of an atomic: the newest one.
  std::uint32_t location = 0;   ///< Valid in
  std::uint32_t execution = 0;  ///< this one.
  bool constant = false;        ///< Never stored to.
};

struct Knowledge {
  Clock happened;
  std::vector<std::uint32_t> oldest;  ///< By location; none: 0.

  void learn(const Knowledge& other);
  void has_seen(std::uint32_t location, std::uint32_t store);
  std::uint32_t oldest_of(std::uint32_t location) const noexcept {
    return location < oldest.size() ? oldest[location] : 0;
  }
};

/// What the memory knows of a thread.
struct Actor {
  ThreadId id = 0;
  Knowledge knows;

  /// In wait_until(): what its predicate has read, so that it is asked again when that is out of
  /// date, and then sees the newest only: else it could be asked for ever.
  struct Look {
    std::uint32_t location;
    std::uint32_t store;
  };
  bool waits = false;
  bool newest_only = false;
  std::vector<Look> looks;

  /// An operation on no location: to begin a thread, to end. What comes after it is not known by
  /// those who are told now.
  const Knowledge& take_step() noexcept {
    ++knows.happened.operations[id];
    return knows;
  }
};

/// By whom, and with which of its operations; no execution: not by the code under test.
struct Allocation {
  std::uint32_t execution = 0;
  std::uint32_t operation = 0;
  ThreadId thread = 0;
};

struct Event {
  ThreadId thread;
  const char* what;
  std::uint32_t location;
  const char* order;
  std::uint64_t value;
  std::uint32_t behind;  ///< A load: by how many stores what it read is not the newest.
  std::source_location where;
};

class Memory {
 public:
  explicit Memory(Choices& choices) noexcept : choices_(choices) {}
  /// In which so many loads may read another store than the newest.
  void begin_execution(unsigned late_loads);

  std::uint64_t load(Actor& actor, Cell& cell, const Order& order);
  void store(Actor& actor, Cell& cell, std::uint64_t value, const Order& order);
  using Change = std::uint64_t (*)(std::uint64_t old, std::uint64_t operand) noexcept;
  std::uint64_t change(Actor& actor, Cell& cell, const char* what, Change change,
                       std::uint64_t operand, const Order& order);
  struct Exchange {
    std::uint64_t expected;
    std::uint64_t desired;
    bool may_fail_spuriously;
  };
  /// Leaves in `expected` what was read.
  bool compare_exchange(Actor& actor, Cell& cell, Exchange& exchange, const Order& success,
                        const Order& failure);
  void construct(Actor& actor, Cell& cell);
  void destroy(Actor& actor, Cell& cell);

  void read_plain(Actor& actor, Cell& cell, const std::source_location& where);
  void write_plain(Actor& actor, Cell& cell, const std::source_location& where);

  Allocation allocate(Actor& actor) noexcept {
    return {execution_, ++actor.knows.happened.operations[actor.id], actor.id};
  }
  void free(const Actor& actor, const Allocation& allocation);

  /// Whether something that a waiting thread looked at has changed since.
  bool has_news(const Actor& actor) const noexcept;
  void note(const Actor& actor, const char* what, const std::source_location& where);
  const std::vector<Event>& events() const noexcept { return events_; }

 private:
  struct Store {
    std::uint64_t value;
    Knowledge released;
  };
  struct Location {
    std::vector<Store> stores;  ///< In modification order. Of an atomic.
    Clock used;                 ///< By thread, its latest operation here.
    ThreadId writer = 0;        ///< Of the construction, or of a plain one's latest write:
    std::uint32_t written = 0;  ///< which of its operations.
    bool gone = false;          ///< Destroyed.
  };

  std::uint32_t newest(const Location& location) const noexcept {
    return static_cast<std::uint32_t>(location.stores.size() - 1);
  }
  Location& use(Actor& actor, Cell& cell, const Order& order);
  std::uint32_t add_location(Cell& cell);
  /// The stores that a load may read, the newest first.
  std::vector<std::uint32_t> readable(const Actor& actor, const Cell& cell,
                                      std::memory_order order) const;
  void read(Actor& actor, const Cell& cell, std::uint32_t store, std::memory_order order);
  /// Into the single order, if it is seq_cst; before it learns anything.
  void place(const Actor& actor, const Cell& cell, std::uint32_t rank, std::memory_order order);
  void replace(Actor& actor, Cell& cell, std::uint64_t value, std::memory_order order);
  void append(Actor& actor, Cell& cell, std::uint64_t value, std::memory_order order,
              const Knowledge* continued);
  void require_all_ordered(const Actor& actor, std::uint32_t location);
  void require_ordered(const Actor& actor, std::uint32_t location, ThreadId thread,
                       std::uint32_t operation);
  void note(const Actor& actor, const char* what, const Cell& cell, std::memory_order order,
            std::uint32_t behind, std::uint64_t value, const Order& where);

  Choices& choices_;
  std::uint32_t execution_ = 0;
  std::vector<Location> locations_;
  SingleOrder single_order_;
  std::vector<Event> events_;
  unsigned late_loads_left_ = 0;
  int spurious_left_ = 0;
};

// For operator new and delete; in explorer.cpp.
Allocation note_allocation() noexcept;
void check_free(const Allocation& allocation) noexcept;

/// Ends the execution, and the exploration: something is wrong with the code.
[[noreturn]] void fail(std::string what);

}  // namespace rota::model
