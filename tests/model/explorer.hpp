/// explorer.hpp: runs a piece of concurrent code in all the ways that its memory orders allow.
///
/// The body of a model is plain code: it makes the objects, lets threads loose on them, and checks
/// what came out. It is run once for each way in which the threads can take turns and each store
/// that a load may read. What goes wrong in one of them is a *finding*: a failed check() or
/// assert(), a data race, a use after destruction, a deadlock. How to read one, and what the model
/// leaves out: README.md.
#pragma once

#include "model/atomic.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <source_location>
#include <string>
#include <utility>

namespace rota::model {

struct Options {
  /// How often an execution may take the turn from a thread that could go on.
  unsigned preemptions = 2;
  /// How many of its loads may read another store than the newest.
  unsigned late_loads = 2;
  /// Not all executions, but this many random ones, with as many of both as they like.
  std::size_t random = 0;
  std::uint64_t seed = 1;
  /// An execution of more operations than this does not end: a finding.
  std::size_t operations_max = 10'000;
};

struct Result {
  std::size_t executions = 0;
  std::string finding;  ///< Empty: none. Else what, how it came to it, and how to have it again.
};

/// Until the first finding. ROTA_MODEL_REPLAY=NAME, as a finding says it, runs that execution only.
Result explore(const std::function<void()>& body, Options options = {});

// --- for bodies ---

/// Runs each of them as a thread of its own, and waits until all have ended.
void in_parallel(std::initializer_list<std::function<void()>> threads);

/// A finding unless `holds`.
void check(bool holds, const char* what = "a check failed",
           std::source_location where = std::source_location::current());

/// While it lives, its thread does what is not under test: memory may go from thread to thread in
/// any way.
class NotUnderTest {
 public:
  NotUnderTest() noexcept : outer_(std::exchange(active_, true)) {}
  NotUnderTest(const NotUnderTest&) = delete;
  NotUnderTest& operator=(const NotUnderTest&) = delete;
  ~NotUnderTest() { active_ = outer_; }

  static bool active() noexcept { return active_; }
  /// A thread begins, or ends.
  static void set_active(bool active) noexcept { active_ = active; }

 private:
  inline static bool active_ = true;  ///< Of the thread that has the turn.
  const bool outer_;
};

namespace op {
void begin_wait();
void wait_for_news(std::source_location where);
void end_wait();
}  // namespace op

/// Instead of a loop that spins, or a call that blocks, until `holds()`: the thread rests until
/// something that `holds` has read was changed. If that can never be, it is a deadlock. `holds`
/// reads atomics only. (It sees an older store once at most, as if it had looked a little earlier.)
template <typename Predicate>
void wait_until(Predicate holds, std::source_location where = std::source_location::current()) {
  op::begin_wait();
  while (!holds()) op::wait_for_news(where);
  op::end_wait();
}

/// A thread_local pointer of the code under test: every thread of the model gets its own, null at
/// first. Made once, before the first exploration.
class ThreadLocal {
 public:
  template <typename T>
  explicit ThreadLocal(T*& variable) {
    add(reinterpret_cast<void**>(&variable));
  }

 private:
  static void add(void** variable);
};

}  // namespace rota::model
