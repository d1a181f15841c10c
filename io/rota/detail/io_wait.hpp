/// io_wait.hpp: the wait of one task for one thing that a socket does; base of the awaiters of
/// socket.hpp.
///
/// attempt() makes a non-blocking call. If that has no outcome, a request goes to the kernel, the
/// task waits, and when the request is settled the *attempt* is queued in the task's place
/// (runtime/README.md, section 6): after_wait() looks at the request's result and either has an
/// outcome, with which the coroutine goes on at once, or begins to wait anew. So what is consumed
/// is delivered in the same breath, and no cancel can come between the two.
#pragma once

#include <rota/detail/operation.hpp>
#include <rota/task.hpp>

#include <coroutine>
#include <cstdint>
#include <utility>

namespace rota::detail {

class IoWait;

/// What the owners of a descriptor share with the operations on it: it is closed when the owner has
/// closed it and nothing on it is in flight any more. For one thread at a time.
class SocketState : Immovable {
 public:
  explicit SocketState(int descriptor) noexcept : fd(descriptor) {}

  void retain() noexcept { ++references_; }
  void release() noexcept {
    if (--references_ == 0) delete this;
  }
  /// Ends what is in flight with ECANCELED; the descriptor is closed then, or now.
  void close() noexcept;

  int fd;
  bool closed = false;

 private:
  friend class IoWait;
  ~SocketState() { close(); }
  void close_if_idle() noexcept;

  std::uint32_t references_ = 1;
  IoWait* in_flight_ = nullptr;  ///< Operations of the loop that uses the socket.
};

/// Movable until it is awaited. Its socket must not be closed by others before that.
class IoWait : public Waiting, public Operation {
 public:
  bool await_ready() noexcept { return spend_budget(*running_loop) && attempt(); }

  template <typename Promise>
  void await_suspend(std::coroutine_handle<Promise> handle) noexcept {
    suspend(*handle.promise().task, handle);
  }

 protected:
  IoWait(const char* name, SocketState& socket) noexcept
      : Waiting(&IoWait::cancel), Operation(name), socket_(socket) {
    socket_.retain();
  }
  IoWait(IoWait&& other) noexcept
      : Waiting(&IoWait::cancel), Operation(other.name()), socket_(other.socket_) {
    socket_.retain();
  }
  ~IoWait() override { socket_.release(); }

  /// First thing in await_resume: the outcome, >= 0. Errors: OSError; CancelledError.
  /// A cancel that is due stays due: what was consumed has overtaken it.
  std::int64_t finish();

  /// Sets outcome_ and returns true, or returns false: the task has to wait.
  virtual bool attempt() noexcept = 0;
  /// Fills the request that is waited for.
  virtual void prepare(io_uring_sqe& sqe) noexcept = 0;
  /// The request is settled; `cancelled`: a cancel is due. As attempt(), but true without an
  /// outcome means that the cancel is thrown.
  virtual bool after_wait(bool cancelled) noexcept = 0;

  bool succeed(std::int64_t outcome) noexcept {
    outcome_ = outcome;
    has_outcome_ = true;
    return true;
  }
  /// The errors that mean "not yet" of a non-blocking call are no outcome.
  bool succeed_unless_blocked(std::int64_t outcome) noexcept;

  Kernel& kernel() const noexcept { return *running_loop->kernel; }
  SocketState& socket_;

 private:
  friend class SocketState;
  void suspend(TaskBase& task, std::coroutine_handle<> leaf) noexcept;
  void wait(TaskBase& task, std::coroutine_handle<> leaf) noexcept;
  void link() noexcept;
  void unlink() noexcept;
  void on_settled() noexcept override;
  static void run_attempt(Runnable& node, bool dropped) noexcept;
  static void cancel(Waiting& waiting, TaskBase& task) noexcept;

  TaskBase* task_ = nullptr;  ///< Set once it waits.
  std::int64_t outcome_ = 0;
  bool has_outcome_ = false;
  IoWait* next_ = nullptr;  ///< In the socket's list.
  IoWait* previous_ = nullptr;
};

}  // namespace rota::detail
