/// exploration.hpp: the executions of one body, one after the other, and who of its threads has the
/// turn.
#pragma once

#include "model/choices.hpp"
#include "model/explorer.hpp"
#include "model/fiber.hpp"
#include "model/memory.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

namespace rota::model {

/// The variables that every thread has for itself: see ThreadLocal.
std::vector<void**>& thread_locals();

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

class Exploration : rota::detail::Immovable {
 public:
  Exploration(const std::function<void()>& body, const Options& options, Choices choices)
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
  std::string found(std::string what) const;
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

/// The one that runs, and only while one of its threads has the turn.
extern Exploration* active;

}  // namespace rota::model
