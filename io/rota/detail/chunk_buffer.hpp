/// chunk_buffer.hpp: bytes on their way, in one piece: what a stream holds to be read, or to be
/// sent.
///
/// A single chunk is kept as it came, a slice of the receive buffers for example; the second one
/// makes it a heap block that grows. So what is inside is always contiguous, an empty one owns no
/// memory, and bytes are copied only when chunks pile up.
#pragma once

#include <rota/bytes.hpp>

#include <cstddef>
#include <span>
#include <utility>

namespace rota::detail {

class ChunkBuffer {
 public:
  std::size_t size() const noexcept { return content_.size(); }
  bool empty() const noexcept { return content_.empty(); }
  std::span<const std::byte> span() const noexcept { return content_.span(); }
  std::string_view view() const noexcept { return content_.view(); }

  /// Errors: std::bad_alloc.
  void append(const void* data, std::size_t size);
  /// Keeps `chunk` as it is when there is nothing else. Errors: std::bad_alloc.
  void append(Bytes chunk) {
    if (empty()) {
      content_ = std::move(chunk);
      capacity_ = 0;
    } else {
      append(chunk.data(), chunk.size());
    }
  }

  /// Drops the first `count` bytes, at most size(). Once empty, the memory is freed.
  void consume(std::size_t count) noexcept {
    content_.remove_prefix(count);
    if (content_.empty()) clear();
  }
  void clear() noexcept {
    content_ = Bytes();
    capacity_ = 0;
  }
  /// The first `count` bytes at most; all of them without copying. Errors: std::bad_alloc.
  Bytes take(std::size_t count) {
    if (count >= content_.size()) return take_all();
    Bytes first(content_.span().first(count));
    content_.remove_prefix(count);
    return first;
  }
  Bytes take_all() noexcept {
    capacity_ = 0;
    return std::move(content_);
  }
  /// A block of `capacity` bytes that a read may fill: see fill().
  static Bytes make_block(std::size_t capacity);
  static std::byte* memory(Bytes& block) noexcept { return block.data_; }
  static void set_size(Bytes& block, std::size_t size) noexcept { block.size_ = size; }

 private:
  void make_room(std::size_t more);

  Bytes content_;
  std::size_t capacity_ = 0;  ///< Of content_'s heap block, if it is ours to append to; else 0.
};

}  // namespace rota::detail
