/// timer_heap.hpp: the timers of one loop, in order of deadline, and of arming where deadlines are
/// equal.
///
/// A 4-ary heap: the children of an entry share a cache line. The node holds its index, so a timer
/// is disarmed in O(log n) and leaves nothing behind. Owner's thread only.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace rota::detail {

/// One timer. Lives in an awaiter, a handle or a scope; must be disarmed before it dies.
struct TimerNode {
  using Fire = void (*)(TimerNode&) noexcept;  ///< Makes something ready. Runs no user code.

  explicit constexpr TimerNode(Fire function) noexcept : fire(function) {}
  bool armed() const noexcept { return index != not_armed; }

  static constexpr std::uint32_t not_armed = ~std::uint32_t{0};

  std::int64_t when = 0;  ///< Deadline in nanoseconds of the loop's clock.
  std::uint32_t index = not_armed;
  std::uint32_t sequence = 0;  ///< Order of arming; compared by difference, so it may wrap.
  Fire fire;
};

class TimerHeap {
 public:
  TimerHeap() = default;
  TimerHeap(const TimerHeap&) = delete;
  TimerHeap& operator=(const TimerHeap&) = delete;
  ~TimerHeap();

  bool empty() const noexcept { return size_ == 0; }
  std::size_t size() const noexcept { return size_; }
  std::int64_t earliest() const noexcept {
    assert(size_ > 0);
    return entries_[0].when;
  }

  /// Is it armed, and here?
  bool holds(const TimerNode& node) const noexcept {
    return node.index < size_ && entries_[node.index].node == &node;
  }
  /// `node.when` is set; `node` is not armed. Errors: std::bad_alloc, and nothing has changed.
  void arm(TimerNode& node) {
    assert(!node.armed());
    if (size_ == capacity_) [[unlikely]]
      grow();
    node.sequence = next_sequence_++;
    sift_up(size_++, Entry{node.when, &node});
  }

  void disarm(TimerNode& node) noexcept {
    assert(node.armed() && entries_[node.index].node == &node);
    remove(node.index);
    node.index = TimerNode::not_armed;
  }

  /// Disarms and returns the earliest timer.
  TimerNode& pop() noexcept {
    TimerNode& node = *entries_[0].node;
    disarm(node);
    return node;
  }

 private:
  struct Entry {
    std::int64_t when;
    TimerNode* node;
  };

  static bool before(const Entry& left, const Entry& right) noexcept {
    if (left.when != right.when) return left.when < right.when;
    return static_cast<std::int32_t>(left.node->sequence - right.node->sequence) < 0;
  }

  void place(std::uint32_t index, Entry entry) noexcept {
    entries_[index] = entry;
    entry.node->index = index;
  }

  void sift_up(std::uint32_t index, Entry entry) noexcept {
    while (index > 0) {
      const std::uint32_t parent = (index - 1) / 4;
      if (!before(entry, entries_[parent])) break;
      place(index, entries_[parent]);
      index = parent;
    }
    place(index, entry);
  }

  void sift_down(std::uint32_t index, Entry entry) noexcept {
    for (;;) {
      const std::uint32_t first = 4 * index + 1;
      if (first >= size_) break;
      const std::uint32_t end = first + 4 < size_ ? first + 4 : size_;
      std::uint32_t least = first;
      for (std::uint32_t child = first + 1; child < end; ++child) {
        if (before(entries_[child], entries_[least])) least = child;
      }
      if (!before(entries_[least], entry)) break;
      place(index, entries_[least]);
      index = least;
    }
    place(index, entry);
  }

  void remove(std::uint32_t index) noexcept {
    const Entry last = entries_[--size_];
    if (index == size_) return;
    if (index > 0 && before(last, entries_[(index - 1) / 4])) {
      sift_up(index, last);
    } else {
      sift_down(index, last);
    }
  }

  void grow();

  Entry* entries_ = nullptr;  ///< So placed that the four children of an entry fill one cache line.
  std::uint32_t size_ = 0;
  std::uint32_t capacity_ = 0;
  std::uint32_t next_sequence_ = 0;
  void* block_ = nullptr;
};

}  // namespace rota::detail
