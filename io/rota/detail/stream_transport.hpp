/// stream_transport.hpp: one connection: its descriptor, what was received, what is to be sent.
///
/// One heap object, loop-affine; reader, writer and the loop hold references. Idle it owns no
/// buffer and has one request with the kernel, a multishot recv.
///   receive  multishot recv into the loop's buffers. When those run dry, a poll, and then recv
///            calls into heap memory, until a quarter of the buffers is free again. Cancelled while
///            reading is paused.
///   send     collected until the running resume ends (loop.deferred), then one send call, or when
///            other tasks are ready too one SEND request, submitted with theirs. What the socket
///            does not take goes into one SEND request, the next part after it.
///   close    open → closing (nothing more is read; what is unsent is still sent) → closed: the
///            descriptor is closed once nothing on it is in flight. After an error or abort():
///            open → dropping (what is unsent is dropped) → closed.
/// Hooks of operations only store and make ready. What may end the connection does so last, in
/// close_if_idle(), because the transport may be gone after that.
#pragma once

#include <rota/address.hpp>
#include <rota/detail/buffer_ring.hpp>
#include <rota/detail/operation.hpp>
#include <rota/detail/reader_state.hpp>
#include <rota/loop.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace rota::detail {

class StreamTransport;

/// The open connections of one loop: closed with it.
class StreamRegistry final : public LoopService {
 public:
  static StreamRegistry& of(EventLoop& loop);
  explicit StreamRegistry(EventLoop& loop) : slab_(BufferRing::of(loop).slab()) {}
  ~StreamRegistry() override;

  void add(StreamTransport& transport) noexcept;
  void remove(StreamTransport& transport) noexcept;
  std::size_t count() const noexcept { return count_; }
  BufferSlab* slab() const noexcept { return slab_; }  ///< Null: receive without provided buffers.

  std::uint64_t batch_step = 0;  ///< The loop's last step in which sends were collected.

 private:
  StreamTransport* first_ = nullptr;
  std::size_t count_ = 0;
  BufferSlab* slab_;
};

/// A task that waits for a transport: to have sent, or to be closed. Movable until it is awaited.
class StreamWait : public Waiting {
 public:
  explicit StreamWait(StreamTransport& transport) noexcept
      : Waiting(&StreamWait::cancel), transport_(transport) {}
  StreamWait(StreamWait&& other) noexcept
      : Waiting(&StreamWait::cancel), transport_(other.transport_) {}
  ~StreamWait();

 protected:
  /// First thing when it suspends: the writer may go meanwhile.
  void hold() noexcept;

  StreamTransport& transport_;
  TaskBase* task_ = nullptr;  ///< Set once it waits.

 private:
  friend class StreamWaitList;
  friend class StreamTransport;
  void unlink() noexcept;
  static void cancel(Waiting& waiting, TaskBase& task) noexcept;

  StreamWait* next_ = nullptr;  ///< In a circle; null when in none.
  StreamWait* previous_ = nullptr;
  class StreamWaitList* list_ = nullptr;
  bool held_ = false;
};

class StreamWaitList {
 public:
  void push(StreamWait& wait) noexcept;
  void wake_all() noexcept;

 private:
  friend class StreamWait;
  StreamWait* first_ = nullptr;
};

/// StreamWriter::drain().
class [[nodiscard]] DrainAwaiter final : public StreamWait {
 public:
  using StreamWait::StreamWait;
  bool await_ready();
  template <typename Promise>
  void await_suspend(std::coroutine_handle<Promise> handle) noexcept {
    suspend(*handle.promise().task, handle);
  }
  void await_resume();

 private:
  void suspend(TaskBase& task, std::coroutine_handle<> leaf) noexcept;

  bool waited_ = false;  ///< For the low-water mark.
};

/// StreamWriter::wait_closed().
class [[nodiscard]] ClosedAwaiter final : public StreamWait {
 public:
  using StreamWait::StreamWait;
  bool await_ready();
  template <typename Promise>
  void await_suspend(std::coroutine_handle<Promise> handle) noexcept {
    suspend(*handle.promise().task, handle);
  }
  void await_resume();

 private:
  void suspend(TaskBase& task, std::coroutine_handle<> leaf) noexcept;
};

/// The two operations and the flush node are bases: their hooks know the transport without a
/// pointer.
struct ReceiveOperation : Operation {
  ReceiveOperation() noexcept : Operation("stream recv") {}
  void on_result(int result, std::uint32_t flags) noexcept final;
  void on_settled() noexcept final;
};
struct SendOperation : Operation {
  SendOperation() noexcept : Operation("stream send") {}
  void on_settled() noexcept final;
};
struct FlushNode : Runnable {
  using Runnable::Runnable;
};

class StreamTransport : public ReaderState,
                        public ReceiveOperation,
                        public SendOperation,
                        public FlushNode {
 public:
  /// Takes over `fd`. Its references: the caller's, and the loop's until it is closed. Owner.
  StreamTransport(EventLoop& loop, int fd, std::size_t limit);
  /// Begins to read. Owner, once.
  void start() noexcept { arm_receive(); }

  // --- sending; owner ---
  /// False: the connection is closing or lost, and nothing is kept. Errors: RuntimeError after
  /// write_eof().
  bool write(std::span<const std::byte> data);
  bool write(Bytes data);
  void flush() noexcept;
  void write_eof() noexcept;
  std::size_t unsent() const noexcept { return pending_.size() + sending_.size(); }
  void set_limits(std::size_t high, std::size_t low) noexcept;
  bool above_high_water() const noexcept { return unsent() > high_water_; }

  // --- closing; owner ---
  void close() noexcept;
  void abort() noexcept;
  bool is_closing() const noexcept { return phase_ != Phase::open; }
  bool is_closed() const noexcept { return phase_ == Phase::closed; }
  /// From StreamRegistry: the loop has closed.
  void loop_closed() noexcept;
  /// The writer is gone. Thread: any; takes over its reference.
  void drop_writer() noexcept;

  int fd() const noexcept { return fd_; }
  Address peername();
  Address sockname() const;

  static void* operator new(std::size_t bytes) { return allocate_frame(bytes); }
  static void operator delete(void* memory, std::size_t bytes) noexcept {
    release_frame(memory, bytes);
  }

 protected:
  ~StreamTransport() override = default;
  /// The descriptor is closed and everybody told.
  virtual void on_closed() noexcept {}

 private:
  friend struct ReceiveOperation;
  friend struct SendOperation;
  friend class StreamRegistry;
  friend class StreamWait;
  friend class DrainAwaiter;
  friend class ClosedAwaiter;
  enum class Phase : std::uint8_t { open, closing, dropping, closed };
  enum class Receiving : std::uint8_t { multishot, poll };
  enum class WriteEnd : std::uint8_t { open, asked, done };
  enum class SendWhen : std::uint8_t { at_once, writable };  ///< The socket was full a moment ago.

  ReceiveOperation& receive() noexcept { return *this; }
  SendOperation& send_operation() noexcept { return *this; }
  bool receiving() const noexcept { return ReceiveOperation::in_flight(); }
  bool sending() const noexcept { return SendOperation::in_flight(); }

  // receiving
  bool wants_data() const noexcept {
    return phase_ == Phase::open && !ended() && !reading_paused();
  }
  void arm_receive() noexcept;
  void received(int result, std::uint32_t flags) noexcept;
  void receive_settled() noexcept;
  void receive_ended(int result) noexcept;
  void run_dry() noexcept;
  void polled() noexcept;
  void deliver(Bytes chunk) noexcept;
  void pause_reading() noexcept override;
  void resume_reading() noexcept override;

  // sending
  void require_open_end() const;
  void collected() noexcept;
  void send_collected() noexcept;
  std::size_t try_send(std::span<const std::byte> data) noexcept;
  void start_send(SendWhen when) noexcept;
  void send_settled() noexcept;
  void sent() noexcept;
  static void run_flush(Runnable& node, bool dropped) noexcept;

  // closing
  void lose(int error, const char* operation) noexcept;
  void drop() noexcept;
  void close_if_idle() noexcept;
  void finish() noexcept;

  int fd_;
  Phase phase_ = Phase::open;
  Receiving receiving_ = Receiving::multishot;
  WriteEnd write_end_ = WriteEnd::open;
  bool flush_queued_ = false;  ///< In loop.deferred: not closed before it has run.
  bool drain_waits_ =
      false;  ///< Above the high-water mark when last drained, and not yet below the low one.
  ChunkBuffer pending_;                              ///< Collected, not yet given to the kernel.
  Bytes sending_;                                    ///< Of the SEND request; what is left of it.
  std::size_t high_water_ = std::size_t{64} * 1024;  ///< As asyncio.
  std::size_t low_water_ = std::size_t{16} * 1024;
  StreamWaitList drains_;
  StreamWaitList closes_;
  StreamRegistry& registry_;
  StreamTransport* next_ = nullptr;  ///< In the registry's list.
  StreamTransport* previous_ = nullptr;
  std::unique_ptr<Address>
      peername_;  ///< Kept once asked for, since the end of a connection makes it unknown.
};

}  // namespace rota::detail
