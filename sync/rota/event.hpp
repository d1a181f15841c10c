/// event.hpp: Event, a flag that tasks of one loop wait for.
#pragma once

#include <rota/detail/bound.hpp>
#include <rota/detail/immovable.hpp>
#include <rota/detail/wait_queue.hpp>

#include <cstddef>

namespace rota {

class Event;

struct EventStatistics {
  std::size_t tasks_waiting = 0;
};

namespace detail {

class [[nodiscard("a wait does nothing until it is awaited")]] EventAwaiter final
    : public ParkedAwaiter<EventAwaiter> {
 public:
  explicit EventAwaiter(Event& event) noexcept;
  bool attempt() noexcept;
  void await_resume() {
    if (leave()) [[unlikely]]
      task().throw_cancelled();
  }

 private:
  Event& event_;
};

}  // namespace detail

/// asyncio.Event. Loop-local: bound to the loop of its first use. Between loops: threadsafe::Event.
class Event : detail::Immovable {
 public:
  bool is_set() const noexcept { return set_; }
  /// Makes every waiter ready, in the order they came; also if clear() follows at once. Errors:
  /// RuntimeError on another loop.
  void set() {
    bound_.use("Event.set");
    set_ = true;
    waiters_.wake_all();
  }
  void clear() {  ///< Errors: as set().
    bound_.use("Event.clear");
    set_ = false;
  }
  /// Completes once the flag is set. Suspends: only while unset. Errors: CancelledError;
  /// RuntimeError on another loop, at the call.
  detail::EventAwaiter wait() {
    bound_.use("Event.wait");
    return detail::EventAwaiter(*this);
  }
  EventStatistics statistics() const noexcept { return {waiters_.waiting()}; }

 private:
  friend class detail::EventAwaiter;

  detail::LoopBound bound_;
  detail::WaitQueue waiters_;
  bool set_ = false;
};

namespace detail {

inline EventAwaiter::EventAwaiter(Event& event) noexcept
    : ParkedAwaiter<EventAwaiter>(event.waiters_), event_(event) {}
inline bool EventAwaiter::attempt() noexcept { return event_.set_; }

}  // namespace detail
}  // namespace rota
