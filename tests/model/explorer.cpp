#include "model/explorer.hpp"

#include "model/exploration.hpp"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

namespace rota::model {
namespace {

/// Of preemptions, of late loads.
constexpr unsigned no_limit = ~0u;

/// Explorations that ended with a finding.
std::vector<std::unique_ptr<Exploration>> stopped;

void run(const std::function<void()>& body, const Options& options, Choices choices,
         Result& result) {
  auto exploration = std::make_unique<Exploration>(body, options, std::move(choices));
  exploration->run(result);
  // Its threads stopped in the middle: what their stacks hold is never destroyed.
  if (!result.finding.empty()) stopped.push_back(std::move(exploration));
}

}  // namespace

Result explore(const std::function<void()>& body, Options options) {
  Result result;
  if (options.random > 0) options.preemptions = options.late_loads = no_limit;
  if (const char* const name = std::getenv("ROTA_MODEL_REPLAY")) {
    char* at = nullptr;
    options.preemptions = static_cast<unsigned>(std::strtoul(name, &at, 10));
    options.late_loads = static_cast<unsigned>(std::strtoul(at + 1, &at, 10));
    run(body, options, Choices::named(at + 1), result);
    return result;
  }
  // What the first execution makes for the whole process (statics) is then there for all the
  // others.
  run(body, options, Choices::named(""), result);
  if (!result.finding.empty()) return result;
  run(body, options,
      options.random > 0 ? Choices::random(options.seed, options.random) : Choices::all(), result);
  return result;
}

void fail(std::string what) {
  if (active != nullptr) active->fail(std::move(what));
  std::fprintf(stderr, "model: outside of an exploration: %s\n", what.c_str());
  std::abort();
}

void in_parallel(std::initializer_list<std::function<void()>> threads) {
  const NotUnderTest ours;
  active->run_all(threads);
}

void check(bool holds, const char* what, std::source_location where) {
  if (holds) return;
  const NotUnderTest ours;
  if (active != nullptr) active->memory().note(active->actor(), "check fails", where);
  fail(what);
}

const void* this_thread() noexcept { return active == nullptr ? nullptr : &active->actor(); }

void ThreadLocal::add(void** variable) { thread_locals().push_back(variable); }

Allocation note_allocation() noexcept {
  if (active == nullptr || NotUnderTest::active()) return {};
  return active->memory().allocate(active->actor());
}
void check_free(const Allocation& allocation) noexcept {
  if (active == nullptr || NotUnderTest::active()) return;
  const NotUnderTest ours;
  active->memory().free(active->actor(), allocation);
}

namespace op {

void begin_wait() {
  active->actor().waits = true;
  active->actor().newest_only = false;
  active->actor().looks.clear();
}
void wait_for_news(std::source_location where) {
  const NotUnderTest ours;
  active->rest(where);
}
void end_wait() {
  active->actor().waits = false;
  active->actor().newest_only = false;
  active->actor().looks.clear();
}

void construct(Cell& cell) {
  const NotUnderTest ours;
  if (active != nullptr) active->memory().construct(active->actor(), cell);
}
void destroy(Cell& cell) {
  const NotUnderTest ours;
  if (active != nullptr) active->memory().destroy(active->actor(), cell);
}

std::uint64_t load(Cell& cell, const Order& order) {
  if (active == nullptr || cell.constant) return cell.value;
  const NotUnderTest ours;
  active->decide_who_goes_on();
  return active->memory().load(active->actor(), cell, order);
}

void store(Cell& cell, std::uint64_t value, const Order& order) {
  if (active == nullptr) {
    cell.value = value;
    return;
  }
  const NotUnderTest ours;
  if (cell.constant) fail("a store to what never changes");
  active->decide_who_goes_on();
  active->memory().store(active->actor(), cell, value, order);
}

std::uint64_t change(Cell& cell, const char* what, Memory::Change change, std::uint64_t operand,
                     const Order& order) {
  if (active == nullptr) return std::exchange(cell.value, change(cell.value, operand));
  const NotUnderTest ours;
  active->decide_who_goes_on();
  return active->memory().change(active->actor(), cell, what, change, operand, order);
}

bool compare_exchange(Cell& cell, Memory::Exchange& exchange, const Order& success,
                      const Order& failure) {
  if (active == nullptr) {
    const bool same = cell.value == exchange.expected;
    exchange.expected = std::exchange(cell.value, same ? exchange.desired : cell.value);
    return same;
  }
  const NotUnderTest ours;
  active->decide_who_goes_on();
  return active->memory().compare_exchange(active->actor(), cell, exchange, success, failure);
}

void read_plain(Cell& cell, const std::source_location& where) {
  const NotUnderTest ours;
  if (active != nullptr) active->memory().read_plain(active->actor(), cell, where);
}
void write_plain(Cell& cell, const std::source_location& where) {
  const NotUnderTest ours;
  if (active != nullptr) active->memory().write_plain(active->actor(), cell, where);
}

}  // namespace op
}  // namespace rota::model

// LeakSanitizer asks when the program ends: after a finding there is nothing to learn from leaks.
extern "C" int __lsan_is_turned_off() { return rota::model::stopped.empty() ? 0 : 1; }

// What assert() calls in glibc: a broken invariant is a finding like any other.
extern "C" void __assert_fail(const char* expression, const char* file, unsigned line,
                              const char* function) noexcept {
  rota::model::fail(std::string("assertion `") + expression + "' failed in " + function + " (" +
                    file + ":" + std::to_string(line) + ")");
}
