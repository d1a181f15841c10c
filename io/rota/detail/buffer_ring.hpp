/// buffer_ring.hpp: the receive buffers of one loop, which the kernel fills for multishot recv.
///
/// A slab of equal buffers lies in one mapping; those that are free are in a ring that the kernel
/// takes them from, first in, first out. What is received is handed on as a slice (Bytes) and goes
/// home when that is destroyed:
///   1. on its loop directly: into the ring, at once. That is one store: the kernel looks at the
///      ring only inside the loop's own enter, so there is nothing to gather for;
///   2. on another thread by the loop's inbox; the node is built inside the buffer that is free
///   now;
///   3. after the loop has closed, from anywhere: it only counts down, and the last one ends the
///   slab.
/// Only as many buffers circulate as were needed so far: a ring is first in, first out, so each of
/// them is touched in turn and has to share the cache with the others.
#pragma once

#include <rota/bytes.hpp>
#include <rota/detail/atomic.hpp>
#include <rota/detail/immovable.hpp>
#include <rota/loop.hpp>

#include <cstddef>
#include <cstdint>

struct io_uring_buf_ring;

namespace rota::detail {

struct BufferRingOptions {
  /// Circulating from the start, a power of two: 128 of 16 KiB were level with the best of a raw
  /// server's settings for 64 and 1000 connections and messages of 64 B and 16 KiB; 64 ran dry, and
  /// 2 KiB buffers made nine completions of a 16 KiB message.
  unsigned first_buffers = 128;
  /// At most; a power of two. Memory is used only by those that circulate. 16 MiB.
  unsigned max_buffers = 1024;
  unsigned buffer_bytes = 16384;
};

/// Since the loop's first stream. Written by the owner.
struct BufferRingCounters {
  std::uint64_t taken = 0;     ///< Buffers that the kernel filled.
  std::uint64_t foreign = 0;   ///< Those that came home from another thread.
  std::uint64_t grown = 0;     ///< Times that more buffers were put into circulation.
  std::uint64_t starved = 0;   ///< Receives that found the ring empty.
  std::uint64_t fallback = 0;  ///< Receives into a heap buffer meanwhile.
};

class BufferSlab : Immovable {
 public:
  /// The group id of multishot receives. One slab to a loop, so one group.
  static constexpr unsigned short group = 0;

  /// Null when the kernel has no memory for it, or no such thing. Owner. The caller holds it until
  /// detach().
  static BufferSlab* create(EventLoop& loop, const BufferRingOptions& options) noexcept;

  /// Owner. The buffer `id`, which the kernel has filled with `size` bytes.
  Bytes take(unsigned id, std::size_t size) noexcept;
  /// Owner. A buffer that the kernel took and did not fill.
  void put_back(unsigned id) noexcept;
  /// Any thread. The end of a slice that contains `data`.
  void give_back(const void* data) noexcept;

  /// Owner. The ring ran dry in this step of the loop: more buffers, once in a step. False: all are
  /// in circulation.
  bool grow(std::uint64_t step) noexcept;
  /// Owner. A quarter is free: worth to arm what ran dry.
  bool has_recovered() const noexcept { return 4 * in_ring_ >= circulating_; }
  /// Owner. Whether a slice may be kept: while half of the ring is free, or a quarter if somebody
  /// waits for it; else who keeps data unread would take the buffers from the others.
  bool may_keep(bool awaited) const noexcept {
    return (awaited ? 4 : 2) * in_ring_ >= circulating_;
  }
  unsigned circulating() const noexcept { return circulating_; }

  /// Owner, once: the loop closes. Slices stay valid.
  void detach() noexcept;
  /// Owner, before detach(): an operation did not end, and may still write into a buffer.
  void leak() noexcept { ++out_; }

  BufferRingCounters counters;

 private:
  struct HomeNode;

  BufferSlab(LoopCore& core, const BufferRingOptions& options) noexcept;
  ~BufferSlab();
  bool map() noexcept;
  std::byte* buffer(unsigned id) const noexcept { return memory_ + std::size_t{id} * stride_; }
  unsigned id_of(const void* data) const noexcept;
  void publish(unsigned id) noexcept;
  void arrive(unsigned id) noexcept;
  void drop_reference(std::int64_t count) noexcept;

  LoopCore& core_;
  const unsigned max_buffers_;
  const unsigned buffer_bytes_;
  const std::size_t stride_;
  std::byte* memory_ = nullptr;
  io_uring_buf_ring* ring_ = nullptr;
  unsigned circulating_ = 0;  ///< Buffers that were put into the ring at least once.
  unsigned in_ring_ = 0;      ///< Free, as far as the completions that we saw tell.
  std::int64_t out_ = 0;  ///< Slices that have not come home. Owner's plain data, until detach().
  std::uint64_t grown_at_step_ = 0;
  bool detached_ = false;  ///< Owner's.
  /// 1 for the owner until detach(), which adds out_; from then on each slice that ends takes one
  /// away, on any thread, and the last one destroys the slab.
  atomic<std::int64_t> references_{1};
};

/// The slab as a part of its loop.
class BufferRing final : public LoopService {
 public:
  /// Of `loop`; made by the first stream. Owner.
  static BufferRing& of(EventLoop& loop, const BufferRingOptions& options = {});
  BufferRing(EventLoop& loop, const BufferRingOptions& options);
  ~BufferRing() override;

  /// Null: receive without provided buffers.
  BufferSlab* slab() const noexcept { return slab_; }

 private:
  EventLoop& loop_;
  BufferSlab* slab_;
};

}  // namespace rota::detail
