/// runnable.hpp: what the queues of a loop hold: something to run once, on the loop's thread.
///
/// A Runnable is a base or a member of the object that it runs (a task, a callback, a message), so
/// queuing allocates nothing. It is in at most one queue at a time; whoever takes it out may queue
/// it again.
#pragma once

#include <cassert>
#include <cstddef>
#include <utility>

namespace rota::detail {

struct Runnable {
  /// `dropped`: the loop closes and will run nothing more; let go of what is held, run no user
  /// code.
  using Run = void (*)(Runnable&, bool dropped) noexcept;

  explicit constexpr Runnable(Run function) noexcept : run(function) {}

  Runnable* next = nullptr;
  Run run;
};

/// First in, first out; owner's thread only.
class ReadyQueue {
 public:
  ReadyQueue() = default;
  ReadyQueue(const ReadyQueue&) = delete;
  ReadyQueue& operator=(const ReadyQueue&) = delete;

  bool empty() const noexcept { return head_ == nullptr; }
  std::size_t size() const noexcept { return size_; }

  void push(Runnable& node) noexcept {
    node.next = nullptr;
    *tail_ = &node;
    tail_ = &node.next;
    ++size_;
  }

  Runnable& pop() noexcept {
    assert(head_ != nullptr);
    Runnable& node = *head_;
    head_ = node.next;
    if (head_ == nullptr) tail_ = &head_;
    --size_;
    return node;
  }

 private:
  Runnable* head_ = nullptr;
  Runnable** tail_ = &head_;
  std::size_t size_ = 0;
};

}  // namespace rota::detail
