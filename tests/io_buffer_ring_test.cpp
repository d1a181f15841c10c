/// io_buffer_ring_test.cpp: receive buffers that run dry, grow, and come home from anywhere.

#include <rota/connection.hpp>
#include <rota/detail/buffer_ring.hpp>
#include <rota/sleep.hpp>

#include "support/io.hpp"
#include "support/loop_thread.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <utility>
#include <vector>

namespace rota {
namespace {

using namespace std::chrono_literals;
using detail::BufferRing;
using detail::BufferRingOptions;
using detail::BufferSlab;
using testing_support::LoopThread;
using testing_support::pattern;
using testing_support::run_alone;

BufferSlab& slab_of_this_loop() { return *BufferRing::of(get_running_loop()).slab(); }

Coro<std::string> read_all(StreamReader& reader, std::size_t count) {
  std::string text;
  while (text.size() < count) {
    const Bytes bytes = co_await reader.read(100'000);
    if (bytes.empty()) break;
    text += bytes.view();
    co_await sleep(0s);
  }
  co_return text;
}

TEST(BufferRing, WithFourBuffersAndManyGreedyPeersNothingIsLost) {
  run_alone([]() -> Coro<> {
    BufferRing::of(get_running_loop(),
                   {.first_buffers = 4, .max_buffers = 4, .buffer_bytes = 4096});
    constexpr std::size_t connections = 32;
    const std::string data = pattern(200'000);
    std::vector<Connection> near;
    std::vector<Socket> far;
    std::vector<Task<>> sending;
    std::vector<Task<std::string>> reading;
    for (std::size_t i = 0; i < connections; ++i) {
      auto sockets = Socket::pair();
      near.push_back(open_connection(std::move(sockets.first)));
      far.push_back(std::move(sockets.second));
    }
    for (std::size_t i = 0; i < connections; ++i) {
      sending.push_back(create_task(sock_sendall(far[i], data)));
      reading.push_back(create_task(read_all(near[i].reader, data.size())));
    }
    for (auto& task : sending) co_await task;
    for (auto& task : reading) {
      const std::string text = co_await std::move(task);
      EXPECT_TRUE(text == data);
    }
    const auto& counters = slab_of_this_loop().counters;
    EXPECT_GT(counters.starved, 0u);
    EXPECT_GT(counters.fallback, 0u);
    EXPECT_GT(counters.taken, 0u);
    EXPECT_EQ(counters.grown, 0u);
  }());
}

TEST(BufferRing, WhoKeepsSlicesDoesNotStopTheOthers) {
  run_alone([]() -> Coro<> {
    BufferRing::of(get_running_loop(),
                   {.first_buffers = 4, .max_buffers = 4, .buffer_bytes = 4096});
    auto sockets = Socket::pair();
    Connection connection = open_connection(std::move(sockets.first));
    std::vector<Bytes> kept;
    for (int i = 0; i < 100; ++i) {
      const std::string text = std::to_string(i);
      co_await sock_sendall(sockets.second, text);
      kept.push_back(co_await connection.reader.readexactly(text.size()));
    }
    for (std::size_t i = 0; i < kept.size(); ++i) EXPECT_EQ(kept[i], std::to_string(i));
    EXPECT_EQ(slab_of_this_loop().counters.starved, 0u);
  }());
}

TEST(BufferRing, GrowsWhenItRunsDry) {
  run_alone([]() -> Coro<> {
    BufferRing::of(get_running_loop(),
                   {.first_buffers = 2, .max_buffers = 64, .buffer_bytes = 1024});
    auto sockets = Socket::pair();
    Connection connection = open_connection(std::move(sockets.first));
    const std::string data = pattern(100'000);
    auto sending = create_task(sock_sendall(sockets.second, data));
    const Bytes all = co_await connection.reader.readexactly(data.size());
    EXPECT_TRUE(all == data);
    co_await std::move(sending);
    EXPECT_GT(slab_of_this_loop().counters.grown, 0u);
    EXPECT_GT(slab_of_this_loop().circulating(), 2u);
  }());
}

TEST(BufferRing, ASliceIsHandedOutWithoutCopying) {
  run_alone([]() -> Coro<> {
    auto sockets = Socket::pair();
    Connection connection = open_connection(std::move(sockets.first));
    BufferSlab& slab = slab_of_this_loop();
    co_await sock_sendall(sockets.second, pattern(10'000));
    Bytes bytes = co_await connection.reader.read(65536);
    EXPECT_EQ(bytes.size(), 10'000u);
    EXPECT_EQ(slab.counters.taken, 1u);
    const std::byte* const home = bytes.data();
    bytes = Bytes();
    // The ring is first in, first out: after all others the same buffer comes again.
    for (unsigned i = 1; i < slab.circulating(); ++i) {
      co_await sock_sendall(sockets.second, "x");
      const Bytes one = co_await connection.reader.read(65536);
      EXPECT_NE(one.data(), home);
    }
    co_await sock_sendall(sockets.second, "x");
    const Bytes again = co_await connection.reader.read(65536);
    EXPECT_EQ(again.data(), home);
  }());
}

TEST(BufferRing, SlicesComeHomeFromOtherThreads) {
  run_alone([]() -> Coro<> {
    auto sockets = Socket::pair();
    Connection connection = open_connection(std::move(sockets.first));
    BufferSlab& slab = slab_of_this_loop();
    for (int round = 0; round < 500; ++round) {
      co_await sock_sendall(sockets.second, "some bytes");
      Bytes bytes = co_await connection.reader.readexactly(10);
      if (round % 10 == 0) {
        std::thread([&] { const Bytes ended = std::move(bytes); }).join();
      }
    }
    co_await sleep(0s);
    EXPECT_EQ(slab.counters.foreign, 50u);
    EXPECT_EQ(slab.counters.starved, 0u);
  }());
}

TEST(BufferRing, SlicesOutliveTheirLoop) {
  std::vector<Bytes> kept;
  {
    LoopThread thread;
    auto collecting = thread.start(
        [](std::vector<Bytes>* collected) -> Coro<> {
          auto sockets = Socket::pair();
          Connection connection = open_connection(std::move(sockets.first));
          for (int i = 0; i < 20; ++i) {
            co_await sock_sendall(sockets.second, pattern(3000));
            collected->push_back(co_await connection.reader.readexactly(3000));
          }
        },
        &kept);
    thread.join(collecting);
    kept.erase(kept.begin(), kept.begin() + 5);  // by the inbox
  }
  for (const Bytes& bytes : kept) EXPECT_TRUE(bytes == pattern(3000));
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) {
    std::vector<Bytes> some;
    for (int j = 0; j < 5; ++j) {
      some.push_back(std::move(kept.back()));
      kept.pop_back();
    }
    threads.emplace_back([ended = std::move(some)]() mutable { ended.clear(); });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace rota
