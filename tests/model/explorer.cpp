#include "model/explorer.hpp"

#include "model/fiber.hpp"
#include "model/report.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <utility>
#include <vector>

namespace rota::model {
namespace {

std::vector<void**>& thread_locals() {
  static std::vector<void**> variables;
  return variables;
}

struct Thread {
  enum class State : std::uint8_t { ready, waiting, joining, ended };

  Fiber fiber;
  Actor actor;
  State state = State::ended;
  bool just_begun =
      false;  ///< That it goes on has been decided: its next operation decides nothing.
  std::source_location stopped_at;
  Thread* parent = nullptr;
  std::size_t children = 0;
  const std::function<void()>* body = nullptr;
  std::vector<void*> locals;  ///< While it does not run.
};

class Explorer : rota::detail::Immovable {
 public:
  Explorer(const std::function<void()>& body, const Options& options, Choices choices)
      : body_(body), options_(options), choices_(std::move(choices)) {}

  void run(Result& result);
  [[noreturn]] void fail(std::string what);

  // --- for the thread that runs ---
  Actor& actor() noexcept { return current_->actor; }
  void decide_who_goes_on();
  void run_all(std::initializer_list<std::function<void()>> bodies);
  void rest(std::source_location where);
  Memory& memory() noexcept { return memory_; }

 private:
  void execute();
  Thread& begin(const std::function<void()>& body, Thread* parent);
  Fiber& end(Thread& thread);
  bool can_go_on(const Thread& thread) const noexcept {
    return thread.state == Thread::State::ready ||
           (thread.state == Thread::State::waiting && memory_.has_news(thread.actor));
  }
  Fiber& next_turn();
  Fiber& give_turn(Thread& next);
  void stop(Thread::State state, std::source_location where);

  const std::function<void()>& body_;
  const Options options_;
  Choices choices_;
  Memory memory_{choices_};
  Fiber here_{Fiber::Here{}};
  std::vector<std::unique_ptr<Thread>> threads_;  ///< Also of earlier executions: reused.
  std::size_t begun_ = 0;
  Thread* current_ = nullptr;
  unsigned preemptions_left_ = 0;
  std::size_t operations_ = 0;
  std::string finding_;
};

/// The exploration that runs, and only while one of its threads has the turn.
Explorer* active = nullptr;

// --- executions -------------------------------------------------------------------------------

void Explorer::run(Result& result) {
  do {
    execute();
    ++result.executions;
    if (choices_.inconsistent() && finding_.empty())
      finding_ = "the model is not deterministic: the same choices led to other questions\n";
  } while (finding_.empty() && choices_.next());
  result.finding = finding_;
}

void Explorer::execute() {
  memory_.begin_execution();
  begun_ = 0;
  operations_ = 0;
  preemptions_left_ = options_.preemptions;
  current_ = nullptr;
  Fiber& first = give_turn(begin(body_, nullptr));
  active = this;
  here_.switch_to(first);
  active = nullptr;
  for (void** variable : thread_locals()) *variable = nullptr;
}

void Explorer::fail(std::string what) {
  Finding finding{std::move(what),
                  memory_.events(),
                  std::to_string(options_.preemptions) + '/' + choices_.name(),
                  choices_.seed(),
                  {}};
  for (std::size_t i = 0; i < begun_; ++i) {
    const Thread& thread = *threads_[i];
    if (thread.state == Thread::State::waiting)
      finding.waiting.push_back({thread.actor.id, thread.stopped_at});
  }
  finding_ = describe(finding);
  current_->fiber.switch_to(here_);
  std::abort();  // nobody comes back here
}

// --- threads ----------------------------------------------------------------------------------

Thread& Explorer::begin(const std::function<void()>& body, Thread* parent) {
  if (begun_ == threads_max) fail("a model has at most 8 threads");
  if (begun_ == threads_.size()) threads_.push_back(std::make_unique<Thread>());
  Thread& thread = *threads_[begun_];
  thread.actor = {};
  thread.actor.id = static_cast<ThreadId>(begun_++);
  if (parent != nullptr) thread.actor.knows = parent->actor.take_step();
  thread.state = Thread::State::ready;
  thread.just_begun = true;
  thread.parent = parent;
  thread.children = 0;
  thread.body = &body;
  thread.locals.assign(thread_locals().size(), nullptr);
  thread.fiber.job = [this, &thread]() -> Fiber& {
    try {
      (*thread.body)();
    } catch (const std::exception& error) {
      fail(std::string("an exception left a thread: ") + error.what());
    } catch (...) {
      fail("an exception left a thread");
    }
    return end(thread);
  };
  return thread;
}

Fiber& Explorer::end(Thread& thread) {
  thread.state = Thread::State::ended;
  if (Thread* const parent = thread.parent) {
    parent->actor.knows.learn(thread.actor.take_step());
    if (--parent->children == 0) parent->state = Thread::State::ready;
  }
  return next_turn();
}

Fiber& Explorer::give_turn(Thread& next) {
  for (std::size_t i = 0; i < next.locals.size(); ++i) {
    void*& variable = *thread_locals()[i];
    if (current_ != nullptr) current_->locals[i] = variable;
    variable = next.locals[i];
  }
  current_ = &next;
  return next.fiber;
}

Fiber& Explorer::next_turn() {
  std::array<Thread*, threads_max> ready{};
  std::size_t count = 0;
  bool all_ended = true;
  for (std::size_t i = 0; i < begun_; ++i) {
    if (can_go_on(*threads_[i])) ready.at(count++) = threads_[i].get();
    all_ended = all_ended && threads_[i]->state == Thread::State::ended;
  }
  if (all_ended) return here_;
  if (count == 0) fail("deadlock: no thread can go on");
  Thread& next = *ready.at(choices_.choose(count));
  next.state = Thread::State::ready;
  next.just_begun = true;
  return give_turn(next);
}

void Explorer::stop(Thread::State state, std::source_location where) {
  Thread& self = *current_;
  self.state = state;
  self.stopped_at = where;
  Fiber& next = next_turn();
  if (&next != &self.fiber) self.fiber.switch_to(next);
}

void Explorer::decide_who_goes_on() {
  if (++operations_ > options_.operations_max) fail("this execution does not end");
  Thread& self = *current_;
  if (std::exchange(self.just_begun, false) || preemptions_left_ == 0) return;
  std::array<Thread*, threads_max> others{};
  std::size_t count = 0;
  for (std::size_t i = 0; i < begun_; ++i) {
    if (threads_[i].get() != &self && can_go_on(*threads_[i]))
      others.at(count++) = threads_[i].get();
  }
  const std::size_t choice = choices_.choose(count + 1);
  if (choice == 0) return;
  --preemptions_left_;
  Thread& next = *others.at(choice - 1);
  next.state = Thread::State::ready;
  next.just_begun = true;
  self.fiber.switch_to(give_turn(next));
  self.just_begun = false;
}

void Explorer::run_all(std::initializer_list<std::function<void()>> bodies) {
  Thread& self = *current_;
  for (const auto& body : bodies) begin(body, &self);
  self.children = bodies.size();
  if (self.children > 0) stop(Thread::State::joining, {});
  self.just_begun = false;
}

void Explorer::rest(std::source_location where) {
  Actor& self = actor();
  self.newest_only = true;
  if (memory_.has_news(self)) {
    self.looks.clear();
    return;  // it has seen an older store
  }
  memory_.note(self, "waits", where);
  stop(Thread::State::waiting, where);
  self.looks.clear();
}

}  // namespace

// --- for tests and bodies ---------------------------------------------------------------------

namespace {

void run(const std::function<void()>& body, const Options& options, Choices choices,
         Result& result) {
  auto explorer = std::make_unique<Explorer>(body, options, std::move(choices));
  explorer->run(result);
  // Its threads stopped in the middle: what their stacks hold is never destroyed, nor leaked.
  static std::vector<std::unique_ptr<Explorer>> stopped;
  if (!result.finding.empty()) stopped.push_back(std::move(explorer));
}

}  // namespace

Result explore(const std::function<void()>& body, Options options) {
  Result result;
  if (options.random > 0) options.preemptions = ~0u;
  if (const char* const name = std::getenv("ROTA_MODEL_REPLAY")) {
    char* choices = nullptr;
    options.preemptions = static_cast<unsigned>(std::strtoul(name, &choices, 10));
    run(body, options, Choices::named(choices + 1), result);
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

void in_parallel(std::initializer_list<std::function<void()>> threads) { active->run_all(threads); }

void check(bool holds, const char* what, std::source_location where) {
  if (holds) return;
  if (active != nullptr) active->memory().note(active->actor(), "check fails", where);
  fail(what);
}

const void* this_thread() noexcept { return active == nullptr ? nullptr : &active->actor(); }

void ThreadLocal::add(void** variable) { thread_locals().push_back(variable); }

namespace op {

void begin_wait() {
  active->actor().waits = true;
  active->actor().newest_only = false;
  active->actor().looks.clear();
}
void wait_for_news(std::source_location where) { active->rest(where); }
void end_wait() {
  active->actor().waits = false;
  active->actor().newest_only = false;
  active->actor().looks.clear();
}

void construct(Cell& cell) {
  if (active != nullptr) active->memory().construct(active->actor(), cell);
}
void destroy(Cell& cell) {
  if (active != nullptr) active->memory().destroy(active->actor(), cell);
}

std::uint64_t load(Cell& cell, const Order& order) {
  if (active == nullptr || cell.constant) return cell.value;
  active->decide_who_goes_on();
  return active->memory().load(active->actor(), cell, order);
}

void store(Cell& cell, std::uint64_t value, const Order& order) {
  if (active == nullptr) {
    cell.value = value;
    return;
  }
  if (cell.constant) fail("a store to what never changes");
  active->decide_who_goes_on();
  active->memory().store(active->actor(), cell, value, order);
}

std::uint64_t change(Cell& cell, const char* what, Memory::Change change, std::uint64_t operand,
                     const Order& order) {
  if (active == nullptr) return std::exchange(cell.value, change(cell.value, operand));
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
  active->decide_who_goes_on();
  return active->memory().compare_exchange(active->actor(), cell, exchange, success, failure);
}

void read_plain(Cell& cell, const std::source_location& where) {
  if (active != nullptr) active->memory().read_plain(active->actor(), cell, where);
}
void write_plain(Cell& cell, const std::source_location& where) {
  if (active != nullptr) active->memory().write_plain(active->actor(), cell, where);
}

}  // namespace op
}  // namespace rota::model

// What assert() calls in glibc: a broken invariant is a finding like any other.
extern "C" void __assert_fail(const char* expression, const char* file, unsigned line,
                              const char* function) noexcept {
  rota::model::fail(std::string("assertion `") + expression + "' failed in " + function + " (" +
                    file + ":" + std::to_string(line) + ")");
}
