#include <rota/detail/timer_heap.hpp>

#include <cstring>
#include <new>
#include <utility>

namespace rota::detail {
namespace {

constexpr std::size_t cache_line = 64;
constexpr std::uint32_t first_capacity = 1024;

}  // namespace

TimerHeap::~TimerHeap() {
  assert(size_ == 0);
  ::operator delete(block_, std::align_val_t{cache_line});
}

/// The root is placed last in its cache line, so that every group of four children begins one.
void TimerHeap::grow() {
  const std::uint32_t capacity = capacity_ == 0 ? first_capacity : 2 * capacity_;
  constexpr std::size_t offset = cache_line / sizeof(Entry) - 1;
  void* block = ::operator new((capacity + offset) * sizeof(Entry), std::align_val_t{cache_line});
  Entry* entries = static_cast<Entry*>(block) + offset;
  if (size_ > 0) std::memcpy(entries, entries_, size_ * sizeof(Entry));
  ::operator delete(std::exchange(block_, block), std::align_val_t{cache_line});
  entries_ = entries;
  capacity_ = capacity;
}

}  // namespace rota::detail
