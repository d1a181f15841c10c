/// signals.hpp: SIGINT and SIGTERM while a main task runs.
///
/// The handler only counts, posts one preallocated node to the main loop's inbox and wakes the
/// loop: a compare-exchange, a fetch_or and perhaps a write(2), all async-signal-safe. The node
/// then cancels main on the loop's thread. A second SIGINT interrupts the loop itself; from then on
/// the signals have their default action, so a third one ends a process that hangs.
#pragma once

#include <rota/detail/atomic.hpp>
#include <rota/detail/immovable.hpp>
#include <rota/detail/runnable.hpp>
#include <rota/loop.hpp>

#include <csignal>

namespace rota::detail {

class TaskBase;

/// Installed for the time of one run(). Only from the process's main thread, and only over a
/// default disposition.
class Interrupts : Immovable {
 public:
  Interrupts(EventLoop& loop, TaskBase& main, bool wanted);
  ~Interrupts();

  /// The signal that cancelled main; 0: none.
  int signal() const noexcept { return signal_; }

 private:
  struct Node : Runnable {
    explicit Node(Interrupts& interrupts) noexcept : Runnable(&Node::arrived), owner(interrupts) {}
    static void arrived(Runnable& node, bool dropped) noexcept;
    Interrupts& owner;
  };

  static void handle(int signal) noexcept;
  void install(int signal) noexcept;

  EventLoop& loop_;
  LoopHandle handle_;
  TaskBase& main_;
  Node node_;
  /// Written by the handler and by the owner: the node is in the inbox. Decides who pushes it.
  atomic<bool> queued_{false};
  atomic<int> interrupts_{0};    ///< SIGINTs so far. Written by the handler.
  atomic<int> terminations_{0};  ///< SIGTERMs so far. Written by the handler.
  int signal_ = 0;               ///< Owner.
  struct sigaction previous_int_{};
  struct sigaction previous_term_{};
  bool installed_int_ = false;
  bool installed_term_ = false;
};

/// A KeyboardInterrupt that nobody catches ends the process with 128 + signal and no core dump.
/// Idempotent.
void exit_quietly_on_keyboard_interrupt() noexcept;

}  // namespace rota::detail
