/// streams.hpp: StreamReader and StreamWriter, the two halves of a connection.
///
/// Made by open_connection() and start_server(). Both belong to one loop; every function throws
/// RuntimeError on another one. Destroying the writer closes the connection.
#pragma once

#include <rota/address.hpp>
#include <rota/bytes.hpp>
#include <rota/detail/reader_state.hpp>
#include <rota/detail/stream_transport.hpp>
#include <rota/error.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <initializer_list>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rota {

/// Unread bytes that a line may have, and half of what a stream reads ahead. As asyncio.
inline constexpr std::size_t default_stream_limit = std::size_t{64} * 1024;

/// The stream ended before all that was asked for had come. As: asyncio.IncompleteReadError.
class IncompleteReadError : public std::runtime_error {
 public:
  IncompleteReadError(Bytes partial, std::optional<std::size_t> expected);
  const std::string& partial() const noexcept { return partial_; }  ///< What had come.
  /// Bytes asked for; nothing when a separator was.
  std::optional<std::size_t> expected() const noexcept { return expected_; }

 private:
  std::string partial_;
  std::optional<std::size_t> expected_;
};

/// The separator did not come within limit() bytes. They stay in the buffer: read(consumed()) takes
/// them out. As: asyncio.LimitOverrunError; from readline too, where asyncio raises ValueError and
/// throws the bytes away.
class LimitOverrunError : public ValueError {
 public:
  LimitOverrunError(const std::string& message, std::size_t consumed)
      : ValueError(message), consumed_(consumed) {}
  std::size_t consumed() const noexcept {
    return consumed_;
  }  ///< Bytes certainly before a separator.

 private:
  std::size_t consumed_;
};

namespace detail {

/// A count as it is kept: every negative one alike, none too large.
template <std::integral Count>
constexpr std::int64_t saturated(Count count) noexcept {
  constexpr auto largest = std::numeric_limits<std::int64_t>::max();
  return std::cmp_greater(count, largest) ? largest : static_cast<std::int64_t>(count);
}

class [[nodiscard]] ReadAwaiter final : public ReaderWait {
 public:
  /// `count` < 0: to end of stream.
  ReadAwaiter(ReaderState& state, std::int64_t count) noexcept
      : ReaderWait(state, count < 0 ? Want::all : Want::some, static_cast<std::size_t>(count)) {}
  Bytes await_resume() { return wants_all() ? take_all() : take_some(); }
};
class [[nodiscard]] ReadExactlyAwaiter final : public ReaderWait {
 public:
  ReadExactlyAwaiter(ReaderState& state, std::size_t count) noexcept
      : ReaderWait(state, Want::exactly, count) {}
  Bytes await_resume() { return take_exactly(); }
};
class [[nodiscard]] ReadLineAwaiter final : public ReaderWait {
 public:
  explicit ReadLineAwaiter(ReaderState& state) noexcept : ReaderWait(state, Want::line, 0) {}
  Bytes await_resume() { return take_until(); }
};
class [[nodiscard]] ReadUntilAwaiter final : public ReaderWait {
 public:
  ReadUntilAwaiter(ReaderState& state, Separators separators)
      : ReaderWait(state, Want::separator, 0), owned_(std::move(separators)) {}
  ReadUntilAwaiter(ReadUntilAwaiter&&) = default;
  bool await_ready() {
    separators_ = &owned_;
    return ReaderWait::await_ready();
  }
  Bytes await_resume() { return take_until(); }

 private:
  Separators owned_;
};

}  // namespace detail

/// The half to read from. Moved, not copied. One task at a time may wait for it; a second one gets
/// RuntimeError. A cancelled read has consumed nothing. As: asyncio.StreamReader.
class StreamReader {
 public:
  /// One that the user feeds. Errors: ValueError (limit 0).
  explicit StreamReader(std::size_t limit = default_stream_limit);
  /// Takes over one reference.
  explicit StreamReader(detail::ReaderState& state) noexcept : state_(&state) {}
  StreamReader(StreamReader&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  StreamReader& operator=(StreamReader&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~StreamReader() {
    if (state_ != nullptr) state_->release();
  }

  /// Reads what is there, 1 to `count` bytes; nothing at end of stream, or for count 0. A negative
  /// count, or none, means everything up to end of stream, without regard to limit().
  ///
  /// Errors:   OSError, once everything that came before it was read (but read() to the end throws
  ///           it and keeps the bytes); CancelledError.
  /// Suspends: only while nothing has come; read(): while the end has not come.
  /// As:       StreamReader.read.
  template <std::integral Count>
  detail::ReadAwaiter read(Count count) const {
    return detail::ReadAwaiter(*state_, detail::saturated(count));
  }
  detail::ReadAwaiter read() const { return detail::ReadAwaiter(*state_, -1); }

  /// Reads a line with its "\n"; at end of stream what is left, or nothing.
  ///
  /// Errors:   LimitOverrunError, with the bytes kept; OSError; CancelledError.
  /// Suspends: only while there is no whole line.
  detail::ReadLineAwaiter readline() const { return detail::ReadLineAwaiter(*state_); }
  /// Reads up to and including `separator`.
  ///
  /// Errors:   ValueError (empty separator), at the call; LimitOverrunError, with the bytes kept;
  ///           IncompleteReadError at end of stream; OSError; CancelledError.
  /// Suspends: only while it has not come.
  detail::ReadUntilAwaiter readuntil(std::string_view separator = "\n") const;
  /// The same up to the separator, of several, whose end comes first: readuntil("\r\n", "\n").
  template <std::convertible_to<std::string_view>... More>
  detail::ReadUntilAwaiter readuntil(std::string_view first, std::string_view second,
                                     const More&... more) const {
    return readuntil(std::vector<std::string>{std::string(first), std::string(second),
                                              std::string(std::string_view(more))...});
  }
  detail::ReadUntilAwaiter readuntil(std::vector<std::string> separators) const;
  /// Reads exactly `count` bytes, without regard to limit().
  ///
  /// Errors:   ValueError (negative count), at the call; IncompleteReadError at end of stream;
  ///           OSError; CancelledError.
  /// Suspends: only while fewer are there.
  template <std::integral Count>
  detail::ReadExactlyAwaiter readexactly(Count count) const {
    if (std::cmp_less(count, 0)) throw ValueError("readexactly size can not be less than zero");
    return detail::ReadExactlyAwaiter(*state_, static_cast<std::size_t>(count));
  }

  /// The end has come, and everything before it was read.
  bool at_eof() const;
  std::size_t limit() const noexcept { return state_->limit(); }

  // --- for who feeds it ---
  void feed_data(std::span<const std::byte> data) const;
  void feed_data(std::string_view data) const { feed_data(std::as_bytes(std::span(data))); }
  void feed_eof() const;
  /// What reads throw once all that was fed before was read (asyncio: at once).
  void set_exception(std::exception_ptr exception) const;
  /// What was set, or null.
  std::exception_ptr exception() const { return state_->exception(); }

 private:
  detail::ReaderState* state_;
};

/// The half to write to. Moved, not copied; its destructor closes the connection, after what was
/// written is sent. Any number of tasks may use it; what one write() call is given stays together.
/// As: asyncio.StreamWriter.
class StreamWriter {
 public:
  /// Takes over one reference.
  explicit StreamWriter(detail::StreamTransport& transport) noexcept : transport_(&transport) {}
  StreamWriter(StreamWriter&& other) noexcept
      : transport_(std::exchange(other.transport_, nullptr)) {}
  StreamWriter& operator=(StreamWriter&& other) noexcept {
    std::swap(transport_, other.transport_);
    return *this;
  }
  ~StreamWriter() {
    if (transport_ != nullptr) transport_->drop_writer();
  }

  /// Collects `data`. It is sent when the running task or callback gives way, so several small
  /// writes are one packet; at once from 16 KiB on. `data` may change after the call.
  ///
  /// Returns:  false when the connection is closing or lost; then drain() throws.
  /// Errors:   RuntimeError after write_eof().
  /// Suspends: never; wait for drain() now and then, else the memory grows.
  bool write(std::span<const std::byte> data) const { return used("write").write(data); }
  bool write(std::string_view data) const { return write(std::as_bytes(std::span(data))); }
  bool write(const Bytes& data) const { return write(data.span()); }
  /// The same, and takes the bytes over instead of copying them.
  bool write(Bytes&& data) const { return used("write").write(std::move(data)); }
  bool writelines(std::span<const std::string_view> lines) const;
  bool writelines(std::initializer_list<std::string_view> lines) const;

  /// Waits until little enough is unsent. Below the high-water mark it neither sends nor waits.
  ///
  /// Errors:   ConnectionResetError when the connection is lost; the reader's error;
  /// CancelledError. Suspends: above the high-water mark, until the low one; once while the
  /// connection is closing.
  detail::DrainAwaiter drain() const { return detail::DrainAwaiter(used("drain")); }
  void flush() const { used("flush").flush(); }  ///< Sends now what can be sent without waiting.

  /// Sends what was written, then closes. Reading ends at once. Idempotent. Suspends: never.
  void close() const { used("close").close(); }
  void abort() const { used("abort").abort(); }  ///< Closes and drops what was not sent.
  bool is_closing() const { return used("is_closing").is_closing(); }
  /// Waits until the connection is closed: by close(), or lost. Errors: what it was lost by.
  detail::ClosedAwaiter wait_closed() const { return detail::ClosedAwaiter(used("wait_closed")); }
  /// Ends the stream to the peer after what was written; reading goes on. Idempotent.
  void write_eof() const { used("write_eof").write_eof(); }
  bool can_write_eof() const noexcept { return true; }

  /// `high`: drain() waits above it; `low`: until it (a quarter of high when not given).
  /// Units: bytes. Errors: ValueError when low > high.
  void set_write_buffer_limits(std::size_t high = std::size_t{64} * 1024,
                               std::optional<std::size_t> low = std::nullopt) const;
  std::size_t get_write_buffer_size() const { return used("get_write_buffer_size").unsent(); }

  /// "peername" or "sockname"; empty for other names, and when it is unknown.
  Address get_extra_info(std::string_view name) const;
  Address peername() const { return used("peername").peername(); }
  Address sockname() const { return used("sockname").sockname(); }
  /// The descriptor, for setsockopt(2) and the like; -1 once closed. As: get_extra_info("socket").
  int fileno() const noexcept { return transport_->fd(); }

 private:
  detail::StreamTransport& used(const char* operation) const {
    transport_->use(operation);
    return *transport_;
  }

  detail::StreamTransport* transport_;
};

}  // namespace rota
