/// worker.hpp: the thread of one loop, and how loops end together.
///
/// The end, for all loops of a runtime (runtime/README.md, section 9):
///   1. each loop cancels its tasks and goes on running until none is left, asks its calls on
///   executors to stop and waits until they are home (drained), or until the deadline;
///   2. it goes on running, for the sake of the others, until all are drained or the deadline has
///   passed;
///   3. it is closed on its own thread, which then ends.
#pragma once

#include <rota/detail/atomic.hpp>
#include <rota/loop.hpp>

#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace rota::detail {

/// Shared by the loops that end together.
class Shutdown : Immovable {
 public:
  explicit Shutdown(std::vector<LoopHandle> loops)
      : undrained_(loops.size()), loops_(std::move(loops)) {}

  /// Steps 1 and 2 for `loop`, on its thread. `deadline`: ns of the real clock. Names on stderr
  /// what did not end.
  void drain(EventLoop& loop, std::size_t index, std::int64_t deadline) noexcept;

 private:
  atomic<std::size_t>
      undrained_;  ///< Loops that still have tasks. Each loop subtracts itself once.
  const std::vector<LoopHandle> loops_;
};

class Worker : Immovable {
 public:
  Worker(std::unique_ptr<EventLoop> loop, std::size_t index) noexcept;
  ~Worker();

  /// Errors: std::system_error.
  void start(bool affinity);
  bool started() const noexcept { return thread_.joinable(); }
  LoopHandle handle() const noexcept { return handle_; }
  /// Any thread, once: the loop begins to end.
  void begin_shutdown(std::shared_ptr<Shutdown> shutdown, std::int64_t deadline);
  /// Waits for the thread until `deadline`. False: it still runs.
  bool join(std::int64_t deadline) noexcept;

 private:
  struct State;  ///< Outlives the Worker when the thread cannot be joined.

  static void run(const std::shared_ptr<State>& state, bool affinity) noexcept;

  std::shared_ptr<State> state_;
  LoopHandle handle_;
  std::thread thread_;
};

/// Binds the calling thread to the index-th CPU that the process may use.
void bind_to_cpu(std::size_t index) noexcept;

}  // namespace rota::detail
