/// channel_state.hpp: what the two sides of a memory channel share, and how an item passes from one
/// to the other.
///
/// An item goes the shortest way: to the longest waiting receiver, else into the buffer, else it
/// waits in its sender's awaiter. Whoever takes one out of the buffer lets the longest waiting
/// sender's in. Both are final: the item, or the place in the buffer, is theirs before their task
/// has run. So while a receiver waits nothing is there to be taken, and while a sender waits the
/// buffer is full.
#pragma once

#include <rota/detail/bound.hpp>
#include <rota/detail/immovable.hpp>
#include <rota/detail/wait_queue.hpp>
#include <rota/resource.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>

namespace rota::detail {

template <typename T>
class SendAwaiter;
template <typename T>
class ReceiveAwaiter;

/// A counted pointer for what belongs to one loop. `T` has `references`, 0 at first.
template <typename T>
class LocalRef {
 public:
  explicit LocalRef(T* target) noexcept : target_(target) { ++target_->references; }
  LocalRef(const LocalRef& other) noexcept : target_(other.target_) {
    if (target_ != nullptr) ++target_->references;
  }
  LocalRef(LocalRef&& other) noexcept : target_(std::exchange(other.target_, nullptr)) {}
  LocalRef& operator=(LocalRef other) noexcept {
    std::swap(target_, other.target_);
    return *this;
  }
  ~LocalRef() {
    if (target_ != nullptr && --target_->references == 0) delete target_;
  }

  explicit operator bool() const noexcept { return target_ != nullptr; }
  T* operator->() const noexcept { return target_; }
  T& operator*() const noexcept { return *target_; }

 private:
  T* target_;
};

/// How a wait at an end of a channel was ended, if not by a cancel.
enum class ChannelOutcome : std::uint8_t {
  passed,   ///< The item is where it was to go.
  closed,   ///< This end was closed.
  deserted  ///< The last end of the other side was.
};

template <typename T>
class ChannelState;

/// An end, wherever its handle is moved: what those who wait at it are known by.
template <typename T>
struct ChannelEnd final : Immovable {
  explicit ChannelEnd(LocalRef<ChannelState<T>> state) noexcept : channel(std::move(state)) {}

  std::size_t references = 0;
  const LocalRef<ChannelState<T>> channel;
  bool open = true;
};
template <typename T>
using ChannelEndRef = LocalRef<ChannelEnd<T>>;

struct ChannelSide {
  WaitQueue waiters;
  std::size_t open_ends = 0;
};

template <typename T>
class ChannelState final : Immovable {
 public:
  explicit ChannelState(std::size_t size) noexcept : capacity(size) {}

  /// False: it has to wait. True: send() does it, or fails.
  bool can_send(const ChannelEnd<T>& end) const noexcept {
    return !end.open || receivers.open_ends == 0 || receivers.waiters.waiting() != 0 ||
           buffer.size() < capacity;
  }
  void send(const ChannelEnd<T>& end, T&& item);
  bool can_receive(const ChannelEnd<T>& end) const noexcept {
    return !end.open || senders.open_ends == 0 || has_item();
  }
  /// Empty: the channel has ended.
  std::optional<T> receive(const ChannelEnd<T>& end);

  void close_sender(ChannelEnd<T>& end) noexcept;
  void close_receiver(ChannelEnd<T>& end) noexcept;

  std::size_t references = 0;
  LoopBound bound;
  const std::size_t capacity;
  ChannelSide senders;
  ChannelSide receivers;
  std::deque<T> buffer;

 private:
  bool has_item() const noexcept { return !buffer.empty() || senders.waiters.waiting() != 0; }
  T take_item();
  /// Ends the waits in `queue` at `end`; null: at any end.
  template <typename Awaiter>
  static void send_away(WaitQueue& queue, const ChannelEnd<T>* end,
                        ChannelOutcome outcome) noexcept;
};

[[noreturn]] inline void throw_closed() {
  throw ClosedResourceError("this end of the channel is closed");
}
[[noreturn]] inline void throw_deserted() {
  throw BrokenResourceError("every receiving end of the channel is closed");
}

template <typename T>
class [[nodiscard("a send does nothing until it is awaited")]] SendAwaiter final
    : public ParkedAwaiter<SendAwaiter<T>> {
 public:
  SendAwaiter(ChannelEndRef<T> end, T item)
      : ParkedAwaiter<SendAwaiter<T>>(end->channel->senders.waiters),
        end_(std::move(end)),
        item_(std::move(item)) {}
  bool attempt() noexcept { return end_->channel->can_send(*end_); }
  void await_resume() {
    if (!this->waited()) {
      end_->channel->send(*end_, std::move(item_));
      return;
    }
    this->take_hand_over();
    if (outcome_ == ChannelOutcome::closed) throw_closed();
    if (outcome_ == ChannelOutcome::deserted) throw_deserted();
  }

 private:
  friend class ChannelState<T>;
  ChannelEndRef<T> end_;
  T item_;
  ChannelOutcome outcome_ = ChannelOutcome::passed;
};

/// Gives the item; NextAwaiter gives none at the end of the channel.
template <typename T>
class [[nodiscard("what was received is lost if nobody takes it")]] ReceiveAwaiter
    : public ParkedAwaiter<ReceiveAwaiter<T>> {
 public:
  explicit ReceiveAwaiter(ChannelEndRef<T> end)
      : ParkedAwaiter<ReceiveAwaiter<T>>(end->channel->receivers.waiters), end_(std::move(end)) {}
  bool attempt() noexcept { return end_->channel->can_receive(*end_); }
  T await_resume() {
    std::optional<T> item = take();
    if (!item) throw EndOfChannel();
    return std::move(*item);
  }

 protected:
  std::optional<T> take() {
    if (!this->waited()) return end_->channel->receive(*end_);
    this->take_hand_over();
    if (outcome_ == ChannelOutcome::closed) throw_closed();
    return std::move(item_);
  }

 private:
  friend class ChannelState<T>;
  ChannelEndRef<T> end_;
  std::optional<T> item_;
  ChannelOutcome outcome_ = ChannelOutcome::passed;
};

template <typename T>
class [[nodiscard("what was received is lost if nobody takes it")]] NextAwaiter final
    : public ReceiveAwaiter<T> {
 public:
  using ReceiveAwaiter<T>::ReceiveAwaiter;
  std::optional<T> await_resume() { return this->take(); }
};

template <typename T>
void ChannelState<T>::send(const ChannelEnd<T>& end, T&& item) {
  if (!end.open) throw_closed();
  if (receivers.open_ends == 0) throw_deserted();
  if (receivers.waiters.waiting() != 0) {
    auto& receiver = static_cast<ReceiveAwaiter<T>&>(*receivers.waiters.first_waiting());
    receiver.item_.emplace(std::move(item));
    receivers.waiters.hand_over(receiver);
  } else if (buffer.size() < capacity) {
    buffer.push_back(std::move(item));
  } else {
    throw WouldBlock();
  }
}

template <typename T>
std::optional<T> ChannelState<T>::receive(const ChannelEnd<T>& end) {
  if (!end.open) throw_closed();
  if (has_item()) return take_item();
  if (senders.open_ends == 0) return std::nullopt;
  throw WouldBlock();
}

template <typename T>
T ChannelState<T>::take_item() {
  auto* const sender = static_cast<SendAwaiter<T>*>(senders.waiters.first_waiting());
  if (buffer.empty()) {
    T item = std::move(sender->item_);
    senders.waiters.hand_over(*sender);
    return item;
  }
  if (sender != nullptr) {
    buffer.push_back(std::move(sender->item_));  // first, for it may throw
    senders.waiters.hand_over(*sender);
  }
  T item = std::move(buffer.front());
  buffer.pop_front();
  return item;
}

template <typename T>
template <typename Awaiter>
void ChannelState<T>::send_away(WaitQueue& queue, const ChannelEnd<T>* end,
                                ChannelOutcome outcome) noexcept {
  for (Parked* waiter = queue.first_waiting(); waiter != nullptr;) {
    auto& awaiter = static_cast<Awaiter&>(*std::exchange(waiter, waiter->next()));
    if (end != nullptr && end != &*awaiter.end_) continue;
    awaiter.outcome_ = outcome;
    queue.hand_over(awaiter);
  }
}

template <typename T>
void ChannelState<T>::close_sender(ChannelEnd<T>& end) noexcept {
  if (!std::exchange(end.open, false)) return;
  send_away<SendAwaiter<T>>(senders.waiters, &end, ChannelOutcome::closed);
  if (--senders.open_ends == 0)
    send_away<ReceiveAwaiter<T>>(receivers.waiters, nullptr, ChannelOutcome::deserted);
}

template <typename T>
void ChannelState<T>::close_receiver(ChannelEnd<T>& end) noexcept {
  if (!std::exchange(end.open, false)) return;
  send_away<ReceiveAwaiter<T>>(receivers.waiters, &end, ChannelOutcome::closed);
  if (--receivers.open_ends != 0) return;
  send_away<SendAwaiter<T>>(senders.waiters, nullptr, ChannelOutcome::deserted);
  buffer.clear();  // nobody can touch it any more, whatever the items do when they go
}

}  // namespace rota::detail
