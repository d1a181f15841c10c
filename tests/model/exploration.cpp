#include "model/exploration.hpp"

#include "model/report.hpp"

#include <array>
#include <cstdlib>
#include <exception>

namespace rota::model {

Exploration* active = nullptr;

std::vector<void**>& thread_locals() {
  static std::vector<void**> variables;
  return variables;
}

// --- executions -------------------------------------------------------------------------------

void Exploration::run(Result& result) {
  do {
    execute();
    ++result.executions;
    if (choices_.inconsistent() && finding_.empty())
      finding_ = "the model is not deterministic: the same choices led to other questions\n";
  } while (finding_.empty() && choices_.next());
  result.finding = finding_;
}

void Exploration::execute() {
  memory_.begin_execution(options_.late_loads);
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

std::string Exploration::found(std::string what) const {
  Finding finding{std::move(what),
                  memory_.events(),
                  std::to_string(options_.preemptions) + '/' + std::to_string(options_.late_loads) +
                      '/' + choices_.name(),
                  choices_.seed(),
                  {}};
  for (std::size_t i = 0; i < begun_; ++i) {
    const Thread& thread = *threads_[i];
    if (thread.state == Thread::State::waiting)
      finding.waiting.push_back({thread.actor.id, thread.stopped_at});
  }
  return describe(finding);
}

void Exploration::fail(std::string what) {
  finding_ = found(std::move(what));
  current_->fiber.switch_to(here_);
  std::abort();  // nobody comes back here
}

// --- threads ----------------------------------------------------------------------------------

Thread& Exploration::begin(const std::function<void()>& body, Thread* parent) {
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
    NotUnderTest::set_active(false);
    try {
      (*thread.body)();
    } catch (const std::exception& error) {
      fail(std::string("an exception left a thread: ") + error.what());
    } catch (...) {
      fail("an exception left a thread");
    }
    NotUnderTest::set_active(true);
    return end(thread);
  };
  return thread;
}

Fiber& Exploration::end(Thread& thread) {
  thread.state = Thread::State::ended;
  if (Thread* const parent = thread.parent) {
    parent->actor.knows.learn(thread.actor.take_step());
    if (--parent->children == 0) parent->state = Thread::State::ready;
  }
  return next_turn();
}

Fiber& Exploration::give_turn(Thread& next) {
  for (std::size_t i = 0; i < next.locals.size(); ++i) {
    void*& variable = *thread_locals()[i];
    if (current_ != nullptr) current_->locals[i] = variable;
    variable = next.locals[i];
  }
  current_ = &next;
  return next.fiber;
}

Fiber& Exploration::next_turn() {
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

void Exploration::stop(Thread::State state, std::source_location where) {
  Thread& self = *current_;
  self.state = state;
  self.stopped_at = where;
  Fiber& next = next_turn();
  if (&next != &self.fiber) self.fiber.switch_to(next);
}

void Exploration::decide_who_goes_on() {
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

void Exploration::run_all(std::initializer_list<std::function<void()>> bodies) {
  Thread& self = *current_;
  for (const auto& body : bodies) begin(body, &self);
  self.children = bodies.size();
  if (self.children > 0) stop(Thread::State::joining, {});
  self.just_begun = false;
}

void Exploration::rest(std::source_location where) {
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

}  // namespace rota::model
