/// bytes.hpp: Bytes, what a read gives: bytes with one owner, moved and never copied by accident.
///
/// Either a heap block, or a slice of its loop's receive buffers, into which the kernel wrote. A
/// slice goes home when it is destroyed, on any thread, also after the loop has ended; who keeps it
/// for long keeps a receive buffer from the loop's other connections: keep str() or copy() instead.
#pragma once

#include <cstddef>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace rota {

namespace detail {
class BufferSlab;
class ChunkBuffer;
void give_back_slice(BufferSlab& slab, const void* data) noexcept;
}  // namespace detail

/// Bytes that were read. Moved, not copied. As: bytes (which is immutable too, but shared).
class Bytes {
 public:
  Bytes() noexcept = default;  ///< Of size 0.
  /// A copy of `content`. Errors: std::bad_alloc.
  explicit Bytes(std::span<const std::byte> content) : Bytes(content.data(), content.size()) {}
  explicit Bytes(std::string_view content) : Bytes(content.data(), content.size()) {}
  Bytes(Bytes&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        block_(std::exchange(other.block_, nullptr)),
        slab_(std::exchange(other.slab_, nullptr)) {}
  Bytes& operator=(Bytes&& other) noexcept {
    Bytes(std::move(other)).swap(*this);
    return *this;
  }
  ~Bytes() {
    if (slab_ != nullptr) {
      detail::give_back_slice(*slab_, data_);
    } else if (block_ != nullptr) {
      ::operator delete(block_);
    }
  }

  const std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  const std::byte* begin() const noexcept { return data_; }
  const std::byte* end() const noexcept { return data_ + size_; }
  std::byte operator[](std::size_t index) const noexcept { return data_[index]; }

  std::span<const std::byte> span() const noexcept { return {data_, size_}; }
  std::string_view view() const noexcept { return {reinterpret_cast<const char*>(data_), size_}; }
  std::string str() const { return std::string(view()); }
  Bytes copy() const { return Bytes(span()); }  ///< A heap block of its own.

  operator std::span<const std::byte>() const noexcept { return span(); }
  /// Explicit, so that what takes either is given the span.
  explicit operator std::string_view() const noexcept { return view(); }

  /// Forgets the first `count` bytes, at most size(). What is left does not move.
  void remove_prefix(std::size_t count) noexcept {
    data_ += count;
    size_ -= count;
  }
  void swap(Bytes& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(block_, other.block_);
    std::swap(slab_, other.slab_);
  }

  friend bool operator==(const Bytes& left, const Bytes& right) noexcept {
    return left.view() == right.view();
  }
  friend bool operator==(const Bytes& left, std::string_view right) noexcept {
    return left.view() == right;
  }

 private:
  friend class detail::BufferSlab;
  friend class detail::ChunkBuffer;

  Bytes(const void* content, std::size_t size);
  /// A slice of `slab`.
  Bytes(detail::BufferSlab& slab, std::byte* data, std::size_t size) noexcept
      : data_(data), size_(size), slab_(&slab) {}

  std::byte* data_ =
      nullptr;  ///< In the block or in the slab's buffer, where remove_prefix() left it.
  std::size_t size_ = 0;
  void* block_ = nullptr;               ///< Of operator new; null for a slice.
  detail::BufferSlab* slab_ = nullptr;  ///< Of a slice; alive while the slice is.
};

}  // namespace rota
