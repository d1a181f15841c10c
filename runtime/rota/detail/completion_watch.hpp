/// completion_watch.hpp: to be told, by a step of the own loop, that a task or future is done:
/// asyncio's done callback for the parts of the runtime that wait for several things (gather,
/// shield, TaskGroup).
///
/// The target may be any loop's. The report comes through the ready queue, one step before a task
/// that the reporter wakes can run: the same order as in asyncio. A watch does not pass on cancels
/// by itself.
#pragma once

#include <rota/detail/completion_link.hpp>

#include <string>

namespace rota::detail {

/// Lives in a counted object, which it keeps until the report: `report` gives that reference back.
class CompletionWatch : public CompletionLink {
 public:
  /// The node is the watch's LinkNode. On the loop that started it; `dropped`: that loop is closed
  /// (then on any thread): let go and do nothing else.
  using Report = Runnable::Run;

  explicit CompletionWatch(Report report) noexcept
      : CompletionLink(nullptr, &CompletionWatch::notified), report_(report) {}
  ~CompletionWatch() {
    if (home_ != nullptr) home_->release();
  }

  /// Takes over one reference to `target`, for as long as the watch lives.
  void hold(Completable& target) noexcept { target_ = &target; }
  /// On a loop, once; a target of this loop is not done. From here on the report will come.
  void start() noexcept;
  bool started() const noexcept { return home_ != nullptr; }
  /// Requests cancellation of the target. False: it is done. For a pending future of another loop
  /// it is a message that may come too late: true.
  bool cancel_target(const std::string* message) noexcept;
  /// The report is not wanted any more. True: it will not come. False: it is on its way, or will be
  /// when the target's loop has let go; `keeper`, in which the watch lives, is kept until then.
  bool stop(Completable& keeper) noexcept;

 private:
  struct StopMessage;
  static void notified(Waiter& waiter, bool abandoned) noexcept;
  static void came_home(Runnable& node, bool dropped) noexcept;
  void answer() noexcept;

  Report report_;
  LoopCore* home_ = nullptr;  ///< The loop to report to; a reference.
  bool abroad_ = false;       ///< Linked, or on the way to be linked, on another loop.
};

}  // namespace rota::detail
