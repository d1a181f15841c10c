#include <rota/detail/frame_allocator.hpp>

#include <mutex>
#include <new>
#include <utility>

#ifdef ROTA_USE_MIMALLOC
#include <mimalloc.h>
#endif

namespace rota::detail {
namespace {

constexpr std::size_t block_alignment = 64;
constexpr std::size_t slab_bytes = std::size_t{256} << 10;

void* allocate_raw(std::size_t bytes) {
#ifdef ROTA_USE_MIMALLOC
  void* memory = mi_malloc_aligned(bytes, block_alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
#else
  return ::operator new(bytes, std::align_val_t{block_alignment});
#endif
}

void release_raw(void* memory) noexcept {
#ifdef ROTA_USE_MIMALLOC
  mi_free(memory);
#else
  ::operator delete(memory, std::align_val_t{block_alignment});
#endif
}

/// Lists that one thread had too many of and another may take, each of batch_blocks. The lock is
/// taken once for 512 blocks.
class BatchPool {
 public:
  void give(std::size_t size_class, FreeBlock* batch) noexcept {
    std::lock_guard lock(mutex_);
    batch->next_batch = batches_[size_class];
    batches_[size_class] = batch;
  }
  FreeBlock* take(std::size_t size_class) noexcept {
    std::lock_guard lock(mutex_);
    FreeBlock* batch = batches_[size_class];
    if (batch != nullptr) batches_[size_class] = batch->next_batch;
    return batch;
  }

 private:
  std::mutex mutex_;
  FreeBlock* batches_[FrameCache::classes]{};
};

/// Never destroyed: threads may end, and give their blocks back, after static destruction began.
BatchPool& pool() {
  alignas(BatchPool) static std::byte storage[sizeof(BatchPool)];
  static BatchPool* const instance = ::new (storage) BatchPool;
  return *instance;
}

/// What is left of the slab that this thread carves blocks from.
struct Slab {
  std::byte* next;
  std::byte* end;
};
constinit thread_local Slab slab{};

/// When a thread ends, its lists go to the pool; short ones too, so that nothing is stranded.
struct ThreadExit {
  bool armed = false;
  ~ThreadExit() {
    for (std::size_t size_class = 1; size_class < FrameCache::classes; ++size_class) {
      if (FreeBlock* batch = std::exchange(frame_cache.head[size_class], nullptr))
        pool().give(size_class, batch);
      frame_cache.count[size_class] = 0;
    }
  }
};
thread_local ThreadExit thread_exit;

std::uint32_t length(const FreeBlock* block) noexcept {
  std::uint32_t blocks = 0;
  for (; block != nullptr; block = block->next) ++blocks;
  return blocks;
}

void* carve(std::size_t bytes) {
  if (static_cast<std::size_t>(slab.end - slab.next) < bytes) {
    auto* memory = static_cast<std::byte*>(allocate_raw(slab_bytes));
    slab = {
        memory,
        memory + slab_bytes};  // what was left of the old slab, less than one block, stays unused
  }
  return std::exchange(slab.next, slab.next + bytes);
}

}  // namespace

constinit thread_local FrameCache frame_cache{};

[[gnu::noinline]] void* allocate_frame_slow(std::size_t size_class, std::size_t bytes) {
  if (plain_frames) return ::operator new(bytes);
  if (size_class >= FrameCache::classes) return allocate_raw(bytes);
  thread_exit.armed = true;
  if (FreeBlock* batch = pool().take(size_class)) {
    frame_cache.head[size_class] = batch->next;
    frame_cache.count[size_class] = length(batch->next);
    return batch;
  }
  return carve(size_class * FrameCache::class_bytes);
}

[[gnu::noinline]] void release_frame_slow(void* memory, std::size_t size_class) noexcept {
  if (plain_frames) return ::operator delete(memory);
  if (size_class >= FrameCache::classes) return release_raw(memory);
  thread_exit.armed = true;
  pool().give(size_class, std::exchange(frame_cache.head[size_class], nullptr));
  frame_cache.count[size_class] = 1;
  auto* block = static_cast<FreeBlock*>(memory);
  block->next = nullptr;
  frame_cache.head[size_class] = block;
}

}  // namespace rota::detail
