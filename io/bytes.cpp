#include <rota/bytes.hpp>
#include <rota/detail/buffer_ring.hpp>
#include <rota/detail/chunk_buffer.hpp>

#include <algorithm>
#include <cstring>
#include <new>

namespace rota {

Bytes::Bytes(const void* content, std::size_t size) {
  if (size == 0) return;
  block_ = ::operator new(size);
  data_ = static_cast<std::byte*>(block_);
  size_ = size;
  std::memcpy(data_, content, size);
}

namespace detail {

void give_back_slice(BufferSlab& slab, const void* data) noexcept { slab.give_back(data); }

Bytes ChunkBuffer::make_block(std::size_t capacity) {
  Bytes block;
  block.block_ = ::operator new(capacity);
  block.data_ = static_cast<std::byte*>(block.block_);
  return block;
}

void ChunkBuffer::make_room(std::size_t more) {
  // The first block is small, since most streams hold a line or two; then it doubles.
  constexpr std::size_t first_capacity = 256;
  const std::size_t needed = content_.size() + more;
  const std::size_t begin =
      capacity_ == 0
          ? 0
          : static_cast<std::size_t>(content_.data_ - static_cast<std::byte*>(content_.block_));
  if (begin + needed <= capacity_) return;
  // Moving to the front pays only if at least half of the block is free: else every append moves.
  if (needed <= capacity_ / 2) {
    auto* const front = static_cast<std::byte*>(content_.block_);
    std::memmove(front, content_.data_, content_.size_);
    content_.data_ = front;
    return;
  }
  const std::size_t capacity = std::max({first_capacity, needed, 2 * capacity_});
  Bytes grown = make_block(capacity);
  if (!content_.empty()) std::memcpy(grown.data_, content_.data_, content_.size_);
  grown.size_ = content_.size_;
  content_ = std::move(grown);
  capacity_ = capacity;
}

void ChunkBuffer::append(const void* data, std::size_t size) {
  if (size == 0) return;
  make_room(size);
  std::memcpy(content_.data_ + content_.size_, data, size);
  content_.size_ += size;
}

}  // namespace detail
}  // namespace rota
