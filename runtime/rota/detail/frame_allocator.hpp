/// frame_allocator.hpp: memory for coroutine frames, tasks and callbacks: per-thread free lists in
/// 64-byte classes.
///
/// A block goes to the list of the thread that frees it. A list that has grown to batch_blocks is
/// handed to a shared pool as a whole, in O(1), where a thread that has run out finds it; so
/// producers and consumers on different threads recycle each other's blocks. Blocks are never given
/// back to the system. Under sanitizers this is plain operator new, so that they see every frame.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rota::detail {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool plain_frames = true;
#elif defined(__has_feature)
inline constexpr bool plain_frames =
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
inline constexpr bool plain_frames = false;
#endif

struct FreeBlock {
  FreeBlock* next;
  FreeBlock* next_batch;
};

/// The free lists of one thread.
struct FrameCache {
  static constexpr std::size_t class_bytes = 64;
  static constexpr std::size_t classes =
      33;  ///< Up to 2 KiB; larger frames are allocated one by one.
  static constexpr std::uint32_t batch_blocks = 512;

  FreeBlock* head[classes];
  std::uint32_t count[classes];
};

extern constinit thread_local FrameCache frame_cache;

void* allocate_frame_slow(std::size_t size_class, std::size_t bytes);
void release_frame_slow(void* block, std::size_t size_class) noexcept;

/// Errors: std::bad_alloc. Aligned to 16 bytes.
[[gnu::always_inline]] inline void* allocate_frame(std::size_t bytes) {
  const std::size_t size_class = (bytes + FrameCache::class_bytes - 1) / FrameCache::class_bytes;
  if (!plain_frames && size_class < FrameCache::classes) [[likely]] {
    FrameCache& cache = frame_cache;
    if (FreeBlock* block = cache.head[size_class]) [[likely]] {
      cache.head[size_class] = block->next;
      --cache.count[size_class];
      return block;
    }
  }
  return allocate_frame_slow(size_class, bytes);
}

/// `bytes` as it was allocated. Any thread.
[[gnu::always_inline]] inline void release_frame(void* memory, std::size_t bytes) noexcept {
  const std::size_t size_class = (bytes + FrameCache::class_bytes - 1) / FrameCache::class_bytes;
  if (!plain_frames && size_class < FrameCache::classes) [[likely]] {
    FrameCache& cache = frame_cache;
    if (cache.count[size_class] < FrameCache::batch_blocks) [[likely]] {
      auto* block = static_cast<FreeBlock*>(memory);
      block->next = cache.head[size_class];
      cache.head[size_class] = block;
      ++cache.count[size_class];
      return;
    }
  }
  release_frame_slow(memory, size_class);
}

}  // namespace rota::detail
