/// promise.hpp: the promise of every rota coroutine: who goes on afterwards, in which task, and
/// where the result goes.
///
/// The block of a coroutine: headroom for a task's state, a BlockHeader, the frame. The headroom is
/// used when the coroutine becomes a task, so a task is one allocation; an awaited child leaves it
/// alone.
#pragma once

#include <rota/concepts.hpp>
#include <rota/detail/frame_allocator.hpp>
#include <rota/detail/loop_state.hpp>
#include <rota/detail/result.hpp>
#include <rota/detail/task_base.hpp>

#include <coroutine>
#include <cstddef>
#include <exception>
#include <new>
#include <source_location>
#include <type_traits>
#include <utility>

namespace rota {

template <typename T = void>
class Coro;

namespace detail {

template <typename T>
class TaskState;

/// In front of every frame: how large its block is, and whether a task lives in the headroom.
struct BlockHeader {
  std::uint32_t bytes;
  std::uint16_t headroom;
  bool is_task;
};
inline constexpr std::size_t frame_alignment = 16;

constexpr std::size_t align_up(std::size_t bytes) noexcept {
  return (bytes + frame_alignment - 1) / frame_alignment * frame_alignment;
}

inline BlockHeader& header_of_frame(void* frame) noexcept {
  return *reinterpret_cast<BlockHeader*>(static_cast<std::byte*>(frame) - sizeof(BlockHeader));
}

/// await_transform hands awaiters on by this reference: returned by value, so that g++ 12 does not
/// copy an awaiter.
template <typename Awaiter>
struct AwaiterRef {
  explicit AwaiterRef(Awaiter& referred) noexcept : awaiter(referred) {}
  bool await_ready() { return awaiter.await_ready(); }
  template <typename Promise>
  auto await_suspend(std::coroutine_handle<Promise> handle) {
    return awaiter.await_suspend(handle);
  }
  decltype(auto) await_resume() { return awaiter.await_resume(); }

  Awaiter& awaiter;
};

template <typename T>
inline constexpr bool is_coro = false;
template <typename T>
inline constexpr bool is_coro<Coro<T>> = true;

class PromiseBase {
 public:
  std::coroutine_handle<> continuation;  ///< Resumed when this one returns. Root: a noop.
  TaskBase* task = nullptr;              ///< The task that it runs in: inherited at the await.
  ResultBase* result = nullptr;          ///< Where the result goes: into the awaiter, or the task.
  std::source_location await_site;       ///< Of the await that it is at, or was last at.
  std::source_location defined_at;       ///< Of the coroutine function.

  std::suspend_always initial_suspend() const noexcept { return {}; }

  struct FinalAwaiter {
    bool await_ready() const noexcept { return false; }
    template <typename Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> handle) const noexcept {
      return transfer(handle.promise().continuation);
    }
    void await_resume() const noexcept {}
  };
  FinalAwaiter final_suspend() const noexcept { return {}; }

  void unhandled_exception() noexcept { result->exception = std::current_exception(); }

  template <typename T>
    requires Awaitable<T>
  auto await_transform(T&& awaitable, std::source_location site = std::source_location::current()) {
    static_assert(!(is_coro<std::remove_cvref_t<T>> && std::is_lvalue_reference_v<T>),
                  "a Coro is awaited once: write co_await std::move(coro)");
    await_site = site;
    if constexpr (HasMemberCoAwait<T>) {
      return std::forward<T>(awaitable).operator co_await();
    } else if constexpr (HasFreeCoAwait<T>) {
      return operator co_await(std::forward<T>(awaitable));
    } else {
      return AwaiterRef<std::remove_reference_t<T>>(awaitable);
    }
  }

 protected:
  explicit PromiseBase(std::source_location definition) noexcept : defined_at(definition) {}
  ~PromiseBase() = default;
};

template <typename T>
class PromiseMemory : public PromiseBase {
 public:
  static constexpr std::size_t headroom() noexcept {
    return align_up(sizeof(TaskState<T>) + sizeof(BlockHeader));
  }

  static void* operator new(std::size_t frame_bytes) {
    const std::size_t bytes = frame_bytes + headroom();
    std::byte* frame = static_cast<std::byte*>(allocate_frame(bytes)) + headroom();
    ::new (frame - sizeof(BlockHeader))
        BlockHeader{.bytes = static_cast<std::uint32_t>(bytes),
                    .headroom = static_cast<std::uint16_t>(headroom()),
                    .is_task = false};
    return frame;
  }

  /// A task's block stays until its last reference is dropped.
  static void operator delete(void* frame, std::size_t) noexcept {
    const BlockHeader header = header_of_frame(frame);
    if (!header.is_task)
      release_frame(static_cast<std::byte*>(frame) - header.headroom, header.bytes);
  }

 protected:
  using PromiseBase::PromiseBase;
  ~PromiseMemory() = default;
};

template <typename T>
class Promise final : public PromiseMemory<T> {
 public:
  explicit Promise(std::source_location definition = std::source_location::current()) noexcept
      : PromiseMemory<T>(definition) {}
  Coro<T> get_return_object() noexcept;

  template <typename U = T>
    requires std::convertible_to<U&&, T>
  void return_value(U&& value) {
    static_cast<Result<T>*>(this->result)->emplace(std::forward<U>(value));
  }
};

template <>
class Promise<void> final : public PromiseMemory<void> {
 public:
  explicit Promise(std::source_location definition = std::source_location::current()) noexcept
      : PromiseMemory<void>(definition) {}
  Coro<void> get_return_object() noexcept;

  void return_void() noexcept { static_cast<Result<void>*>(result)->emplace(); }
};

/// The promise of any rota coroutine by its handle: PromiseBase is the first base of every promise.
inline PromiseBase& promise_of(std::coroutine_handle<> handle) noexcept {
  return std::coroutine_handle<PromiseBase>::from_address(handle.address()).promise();
}

}  // namespace detail
}  // namespace rota
