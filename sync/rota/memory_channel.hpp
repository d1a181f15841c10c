/// memory_channel.hpp: create_memory_channel: a queue with two kinds of ends, which tasks of one
/// loop send into and receive from, and which ends when one side has closed all of its own.
#pragma once

#include <rota/detail/channel_state.hpp>
#include <rota/error.hpp>
#include <rota/resource.hpp>

#include <concepts>
#include <cstddef>
#include <optional>
#include <utility>

namespace rota {

struct MemoryChannelStatistics {
  std::size_t current_buffer_used = 0;
  std::size_t max_buffer_size = 0;
  std::size_t open_send_channels = 0;
  std::size_t open_receive_channels = 0;
  std::size_t tasks_waiting_send = 0;
  std::size_t tasks_waiting_receive = 0;
};

namespace detail {

/// `side`: that of `channel` which gets one more end.
template <typename T>
ChannelEndRef<T> new_end(const LocalRef<ChannelState<T>>& channel, ChannelSide& side) {
  ChannelEndRef<T> end(new ChannelEnd<T>(channel));
  ++side.open_ends;
  return end;
}

/// What both kinds of ends have.
template <typename T>
class ChannelHandle {
 public:
  /// Also of a closed end, but not of one that was moved from.
  MemoryChannelStatistics statistics() const noexcept {
    const ChannelState<T>& channel = *end_->channel;
    return {channel.buffer.size(),
            channel.capacity,
            channel.senders.open_ends,
            channel.receivers.open_ends,
            channel.senders.waiters.waiting(),
            channel.receivers.waiters.waiting()};
  }

 protected:
  explicit ChannelHandle(ChannelEndRef<T> end) noexcept : end_(std::move(end)) {}
  ChannelHandle(ChannelHandle&&) noexcept = default;
  ChannelHandle& operator=(ChannelHandle&&) = delete;
  ~ChannelHandle() = default;

  ChannelState<T>& use(const char* operation) {
    if (!end_) throw ClosedResourceError("this end of the channel was moved from");
    end_->channel->bound.use(operation);
    return *end_->channel;
  }
  ChannelState<T>& use_open(const char* operation) {
    ChannelState<T>& channel = use(operation);
    if (!end_->open) throw_closed();
    return channel;
  }
  ChannelEndRef<T> end_;  ///< Null: moved from.
};

}  // namespace detail

/// trio.MemorySendChannel: an end to send items of type T into. Loop-local, with all other ends of
/// its channel: bound to the loop of the first use. Can be moved, and closes itself when it goes.
template <typename T>
class MemorySendChannel : public detail::ChannelHandle<T> {
 public:
  MemorySendChannel(MemorySendChannel&&) noexcept = default;
  MemorySendChannel& operator=(MemorySendChannel other) noexcept {
    std::swap(this->end_, other.end_);
    return *this;
  }
  ~MemorySendChannel() {
    if (this->end_) this->end_->channel->close_sender(*this->end_);
  }

  /// Completes once `item` is a receiver's, or in the buffer; it is the longest waiting one's turn
  /// then, and no cancel takes it back.
  ///
  /// Errors:   ClosedResourceError, when this end is or gets closed; BrokenResourceError, when
  /// every
  ///           receiving one is or gets closed; CancelledError: the item is not sent; RuntimeError
  ///           on another loop, at the call.
  /// Suspends: only while the buffer is full and nobody waits to receive.
  detail::SendAwaiter<T> send(T item) {
    this->use("MemorySendChannel.send");
    return detail::SendAwaiter<T>(this->end_, std::move(item));
  }
  /// send(T(args...)): for items that are no temporaries to be trusted under g++ 12
  /// (safe_co_await.md).
  template <typename... Args>
    requires std::constructible_from<T, Args...>
  detail::SendAwaiter<T> emplace(Args&&... args) {
    this->use("MemorySendChannel.emplace");
    return detail::SendAwaiter<T>(this->end_, T(std::forward<Args>(args)...));
  }
  /// Sends it now or not at all. Suspends: never. Errors: WouldBlock; as send().
  void send_nowait(T item) {
    this->use("MemorySendChannel.send_nowait").send(*this->end_, std::move(item));
  }
  /// Another sending end. Errors: ClosedResourceError; RuntimeError on another loop.
  MemorySendChannel clone() {
    auto& channel = this->use_open("MemorySendChannel.clone");
    return MemorySendChannel(detail::new_end(this->end_->channel, channel.senders));
  }
  /// Nothing is sent through this end any more. With the last one the channel ends: receivers get
  /// what was sent before, then EndOfChannel. Closing twice is harmless. Errors: RuntimeError on
  /// another loop.
  void close() { this->use("MemorySendChannel.close").close_sender(*this->end_); }

  explicit MemorySendChannel(detail::ChannelEndRef<T> end) noexcept
      : detail::ChannelHandle<T>(std::move(end)) {}
};

/// trio.MemoryReceiveChannel: an end to receive items from. Otherwise as MemorySendChannel. Each
/// item goes to one receiver.
template <typename T>
class MemoryReceiveChannel : public detail::ChannelHandle<T> {
 public:
  MemoryReceiveChannel(MemoryReceiveChannel&&) noexcept = default;
  MemoryReceiveChannel& operator=(MemoryReceiveChannel other) noexcept {
    std::swap(this->end_, other.end_);
    return *this;
  }
  ~MemoryReceiveChannel() {
    if (this->end_) this->end_->channel->close_receiver(*this->end_);
  }

  /// Completes with the next item. One that was sent while we wait is ours: nobody else takes it,
  /// and a cancel that comes afterwards stays due.
  ///
  /// Errors:   EndOfChannel, once every sending end is closed and nothing is left;
  ///           ClosedResourceError, when this end is or gets closed; CancelledError, with nothing
  ///           taken; RuntimeError on another loop, at the call.
  /// Suspends: only while there is nothing.
  detail::ReceiveAwaiter<T> receive() {
    this->use("MemoryReceiveChannel.receive");
    return detail::ReceiveAwaiter<T>(this->end_);
  }
  /// The same, but empty at the end of the channel:
  /// `while (auto item = co_await channel.next()) ...`. As: `async for item in channel`.
  detail::NextAwaiter<T> next() {
    this->use("MemoryReceiveChannel.next");
    return detail::NextAwaiter<T>(this->end_);
  }
  /// Takes one now or not at all. Suspends: never. Errors: WouldBlock; as receive().
  T receive_nowait() {
    auto item = this->use("MemoryReceiveChannel.receive_nowait").receive(*this->end_);
    if (!item) throw EndOfChannel();
    return std::move(*item);
  }
  /// Another receiving end. Errors: ClosedResourceError; RuntimeError on another loop.
  MemoryReceiveChannel clone() {
    auto& channel = this->use_open("MemoryReceiveChannel.clone");
    return MemoryReceiveChannel(detail::new_end(this->end_->channel, channel.receivers));
  }
  /// Nothing is received through this end any more. With the last one what is in the buffer is
  /// dropped, and sending fails. Closing twice is harmless. Errors: RuntimeError on another loop.
  void close() { this->use("MemoryReceiveChannel.close").close_receiver(*this->end_); }

  explicit MemoryReceiveChannel(detail::ChannelEndRef<T> end) noexcept
      : detail::ChannelHandle<T>(std::move(end)) {}
};

/// A channel, by its two ends. `capacity`: room for so many items, or `unlimited`; with 0 each
/// sender waits for a receiver. Errors: ValueError (negative). As: trio.open_memory_channel.
///
///     auto [sender, receiver] = create_memory_channel<std::string>(8);
template <typename T>
std::pair<MemorySendChannel<T>, MemoryReceiveChannel<T>> create_memory_channel(
    std::integral auto capacity) {
  if (std::cmp_less(capacity, 0)) throw ValueError("the capacity must be >= 0");
  const detail::LocalRef channel(new detail::ChannelState<T>(static_cast<std::size_t>(capacity)));
  return {MemorySendChannel<T>(detail::new_end(channel, channel->senders)),
          MemoryReceiveChannel<T>(detail::new_end(channel, channel->receivers))};
}

}  // namespace rota
