/// reader_state.hpp: what a StreamReader reads from: the bytes that came, their end, and who waits.
///
/// Whoever feeds it (a transport, or the user) calls feed(), feed_eof(), fail(). One task at a time
/// may wait. It is woken by an *attempt* in its place of the ready queue, which looks again: bytes
/// leave the buffer only when the coroutine goes on at once, so a cancel loses none.
#pragma once

#include <rota/bytes.hpp>
#include <rota/detail/atomic.hpp>
#include <rota/detail/chunk_buffer.hpp>
#include <rota/task.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace rota::detail {

class ReaderWait;

/// Loop-affine, but for its references. Reading is paused above 2 x limit unread bytes and goes on
/// at limit.
class ReaderState : Immovable {
 public:
  /// `core`: null binds it to the loop of its first use. Errors: ValueError (limit 0).
  ReaderState(LoopCore* core, std::size_t limit);

  void retain() noexcept {
    references_.fetch_add(1, std::memory_order_relaxed);  // the caller's own reference keeps it
  }
  void release() noexcept {
    // acq_rel: pairs with itself: the last holder sees what the others did.
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy();
  }

  /// Owner. For who waits, and for the loop while a connection is open: one reference for all of
  /// them, so that a wait costs no atomic operation.
  void hold() noexcept {
    if (holds_++ == 0) retain();
  }
  void unhold() noexcept {
    if (--holds_ == 0) release();
  }

  /// Errors: RuntimeError when bound to another loop than the one that runs.
  void use(const char* operation) {
    if (core_ != running_core() || core_ == nullptr) [[unlikely]]
      bind(operation);
  }
  LoopCore* core() const noexcept { return core_; }

  // --- the feeding side ---
  void feed(Bytes chunk);
  void feed(std::span<const std::byte> data);
  void feed_eof() noexcept;
  /// Later reads throw it, after the bytes that came before.
  void fail(std::exception_ptr exception) noexcept;
  bool awaited() const noexcept { return waiter_ != nullptr; }

  // --- the reading side ---
  std::span<const std::byte> buffered() const noexcept { return buffer_.span(); }
  std::size_t limit() const noexcept { return limit_; }
  bool eof() const noexcept { return eof_; }
  bool ended() const noexcept { return eof_ || exception_; }
  const std::exception_ptr& exception() const noexcept { return exception_; }
  void throw_exception() const {
    if (exception_) std::rethrow_exception(exception_);
  }
  Bytes take(std::size_t count) {
    ++takes_;
    Bytes taken = buffer_.take(count);
    if (paused_ && buffer_.size() <= limit_) resume();
    return taken;
  }

 protected:
  virtual ~ReaderState();
  virtual void destroy() noexcept { delete this; }
  /// Nothing more should be fed for now; and again. Called in strict alternation.
  virtual void pause_reading() noexcept {}
  virtual void resume_reading() noexcept {}
  bool reading_paused() const noexcept { return paused_; }

 private:
  friend class ReaderWait;
  void bind(const char* operation);
  void fed() noexcept;
  void wake() noexcept;
  void resume() noexcept {
    paused_ = false;
    resume_reading();
  }

  atomic<std::uint32_t> references_{1};  ///< By handles, messages and hold(); on any thread.
  std::uint32_t holds_ = 0;
  bool eof_ = false;
  bool paused_ = false;
  std::uint32_t takes_ = 0;  ///< Changes whenever bytes leave: what was searched may be gone.
  LoopCore* core_;
  ReaderWait* waiter_ = nullptr;
  const std::size_t limit_;
  std::exception_ptr exception_;
  ChunkBuffer buffer_;
};

/// What readuntil looks for.
struct Separators {
  Separators() = default;
  explicit Separators(std::string_view separator) : first(separator) {}
  /// Errors: ValueError when empty.
  explicit Separators(std::vector<std::string> separators);

  std::string first;  ///< Without an allocation, for the usual case of one short one.
  std::vector<std::string> others;
};

/// Base of the awaiters of a reader. Movable until it is awaited.
class ReaderWait : public Waiting {
 public:
  bool await_ready() {
    state_->use("StreamReader.read");
    return spend_budget(*running_loop) && is_ready();
  }
  /// Errors: RuntimeError when somebody else waits.
  template <typename Promise>
  void await_suspend(std::coroutine_handle<Promise> handle) {
    suspend(*handle.promise().task, handle);
  }

 protected:
  enum class Want : std::uint8_t { some, exactly, all, line, separator };

  ReaderWait(ReaderState& state, Want want, std::size_t count) noexcept
      : Waiting(&ReaderWait::cancel), state_(&state), count_(count), want_(want) {}
  ReaderWait(ReaderWait&& other) noexcept
      : Waiting(&ReaderWait::cancel),
        state_(other.state_),
        count_(other.count_),
        want_(other.want_) {}
  ~ReaderWait() {
    if (linked_) [[unlikely]]
      state_->waiter_ = nullptr;
    if (held_) state_->unhold();
  }

  /// First thing in await_resume: throws what a wait may throw.
  void finish_wait() {
    if (task_ != nullptr) finish_waiting();
  }
  bool wants_all() const noexcept { return want_ == Want::all; }
  Bytes take_some() {
    finish_wait();
    if (count_ == 0) return {};
    if (state_->buffered().empty()) state_->throw_exception();
    return state_->take(count_);
  }
  Bytes take_exactly();
  Bytes take_all();
  Bytes take_until();

  ReaderState* state_;
  const Separators* separators_ = nullptr;  ///< Of Want::separator; set when it is awaited.

 private:
  friend class ReaderState;
  enum class Found : std::uint8_t { nothing, match, overrun, end };

  bool is_ready() {
    if (want_ == Want::some) return count_ == 0 || !state_->buffered().empty() || state_->ended();
    return look();
  }
  bool look();
  Found search();
  std::size_t wanted() const noexcept;
  void suspend(TaskBase& task, std::coroutine_handle<> leaf);
  void wait(TaskBase& task, std::coroutine_handle<> leaf) noexcept;
  void finish_waiting();
  static void run_attempt(Runnable& node, bool dropped) noexcept;
  static void cancel(Waiting& waiting, TaskBase& task) noexcept;

  TaskBase* task_ = nullptr;  ///< Set once it waits, or has been tried again.
  std::size_t count_;         ///< Wanted; of a match: its end; of an overrun: what was consumed.
  std::size_t searched_ = 0;  ///< No match begins before here,
  std::uint32_t takes_ = 0;   ///< as long as the state's number is still this.
  Want want_;
  Found found_ = Found::nothing;
  bool held_ = false;  ///< The state, from the suspension on: its handles may go meanwhile.
  bool linked_ = false;
  bool refused_ = false;  ///< Somebody else waits.
  bool ready_ = false;    ///< The attempt found what was wanted.
};

}  // namespace rota::detail
