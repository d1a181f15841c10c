#include <rota/detail/frame_allocator.hpp>

#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <thread>
#include <vector>

namespace rota::detail {
namespace {

TEST(FrameAllocator, BlocksOfEverySizeAreDistinctAlignedAndWritable) {
  std::vector<std::pair<void*, std::size_t>> blocks;
  for (std::size_t bytes = 1; bytes < 5000; bytes += 37) {
    void* const block = allocate_frame(bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % 16, 0u);
    std::memset(block, static_cast<int>(bytes & 0xff), bytes);
    blocks.emplace_back(block, bytes);
  }
  for (const auto& [block, bytes] : blocks) {
    for (std::size_t offset = 0; offset < bytes; ++offset) {
      ASSERT_EQ(static_cast<unsigned char*>(block)[offset], bytes & 0xff);
    }
    release_frame(block, bytes);
  }
}

TEST(FrameAllocator, AFreedBlockIsTheNextOneOfItsSize) {
  if (plain_frames) return;  // sanitizers see every frame instead
  void* const first = allocate_frame(200);
  release_frame(first, 200);
  void* const second = allocate_frame(250);  // the same 64-byte class
  EXPECT_EQ(first, second);
  release_frame(second, 250);
}

/// One thread allocates, the other frees: more than a list holds, so that whole lists travel
/// through the pool.
TEST(FrameAllocator, BlocksFreedByAnotherThreadComeBack) {
  constexpr std::size_t count = 3 * FrameCache::batch_blocks;
  std::set<void*> seen;
  std::size_t fresh_in_later_rounds = 0;
  for (int round = 0; round < 4; ++round) {
    std::vector<void*> blocks(count);
    for (void*& block : blocks) {
      block = allocate_frame(1000);
      *static_cast<int*>(block) = round;
      if (seen.insert(block).second && round > 0) ++fresh_in_later_rounds;
    }
    std::jthread([&blocks] {
      for (void* block : blocks) release_frame(block, 1000);
    }).join();
  }
  // The ending thread hands over everything it had: nothing is stranded.
  if (!plain_frames) {
    EXPECT_EQ(fresh_in_later_rounds, 0u);
  }
}

}  // namespace
}  // namespace rota::detail
