#include <rota/bytes.hpp>
#include <rota/detail/chunk_buffer.hpp>

#include "support/io.hpp"

#include <gtest/gtest.h>

#include <string>
#include <type_traits>
#include <utility>

namespace rota {
namespace {

using detail::ChunkBuffer;
using testing_support::pattern;

static_assert(!std::is_copy_constructible_v<Bytes> && std::is_nothrow_move_constructible_v<Bytes>);
static_assert(sizeof(Bytes) == 32);

TEST(Bytes, DefaultIsEmpty) {
  const Bytes none;
  EXPECT_TRUE(none.empty());
  EXPECT_EQ(none.str(), "");
  EXPECT_EQ(none, Bytes(std::string_view()));
}

TEST(Bytes, IsASpanAndAStringView) {
  const Bytes bytes(std::string_view("hello"));
  const std::span<const std::byte> span = bytes;
  const std::string_view view(bytes);
  EXPECT_EQ(span.size(), 5u);
  EXPECT_EQ(view, "hello");
  EXPECT_EQ(bytes, "hello");
  EXPECT_EQ(bytes[1], std::byte{'e'});
  EXPECT_EQ(std::string(view), bytes.str());
}

TEST(Bytes, MovesItsMemory) {
  Bytes source(std::string_view("hello"));
  const std::byte* const memory = source.data();
  Bytes target = std::move(source);
  EXPECT_EQ(target.data(), memory);
  EXPECT_TRUE(source.empty());  // NOLINT(bugprone-use-after-move): it is specified
  target = Bytes(std::string_view("x"));
  EXPECT_EQ(target, "x");
}

TEST(Bytes, RemovePrefixMovesNothing) {
  Bytes bytes(std::string_view("hello"));
  const std::byte* const memory = bytes.data();
  bytes.remove_prefix(2);
  EXPECT_EQ(bytes, "llo");
  EXPECT_EQ(bytes.data(), memory + 2);
  EXPECT_EQ(bytes.copy(), "llo");
}

TEST(ChunkBuffer, KeepsASingleChunkAsItCame) {
  ChunkBuffer buffer;
  Bytes chunk(std::string_view("hello"));
  const std::byte* const memory = chunk.data();
  buffer.append(std::move(chunk));
  EXPECT_EQ(buffer.span().data(), memory);
  EXPECT_EQ(buffer.take_all().data(), memory);
  EXPECT_TRUE(buffer.empty());
}

TEST(ChunkBuffer, JoinsChunks) {
  ChunkBuffer buffer;
  buffer.append(Bytes(std::string_view("one ")));
  buffer.append(Bytes(std::string_view("two ")));
  buffer.append("three", 5);
  buffer.append("", 0);
  EXPECT_EQ(buffer.view(), "one two three");
  EXPECT_EQ(buffer.take(4), "one ");
  EXPECT_EQ(buffer.take(100), "two three");
  EXPECT_TRUE(buffer.empty());
}

TEST(ChunkBuffer, KeepsTheOrderThroughAnyMixOfAppendAndConsume) {
  const std::string sent = pattern(100'000);
  std::string received;
  ChunkBuffer buffer;
  std::size_t appended = 0;
  for (std::size_t step = 1; received.size() < sent.size(); step = step * 31 % 1009 + 1) {
    const std::size_t count = std::min(step, sent.size() - appended);
    buffer.append(sent.data() + appended, count);
    appended += count;
    const std::size_t out = std::min(buffer.size(), (step * 17) % 1200);
    if (step % 3 == 0) {
      received += buffer.take(out).view();
    } else {
      received += buffer.view().substr(0, out);
      buffer.consume(out);
    }
  }
  EXPECT_EQ(received, sent);
}

}  // namespace
}  // namespace rota
