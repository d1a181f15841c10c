/// parallel_tiles.cpp: a strip of pictures computed on all CPUs. gather() waits for all calls that
/// the CPU pool was given, while the loop would be free for other tasks.
///
///     $ ./parallel_tiles
///     16 tiles, one after the other: ... ms
///     16 tiles, gathered: ... ms
///     ... times as fast with ... CPUs, and the same pictures
#include <rota/rota.hpp>

#include "mandelbrot.hpp"

#include <chrono>
#include <iomanip>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

using Milliseconds = std::chrono::duration<double, std::milli>;
using Pictures = std::vector<std::string>;

/// From the tip of the set to the right, along its axis.
std::vector<mandelbrot::Tile> strip() {
  std::vector<mandelbrot::Tile> tiles;
  for (std::uint64_t x = 20; x < 36; ++x) tiles.push_back({6, x, 29});
  return tiles;
}

rota::Coro<Pictures> one_after_the_other() {
  Pictures pictures;
  for (const mandelbrot::Tile& tile : strip()) {
    pictures.push_back(co_await rota::run_in_executor(mandelbrot::tile_png, tile));
  }
  co_return pictures;
}

rota::Coro<Pictures> all_at_once() {
  std::vector<rota::Future<std::string>> calls;
  for (const mandelbrot::Tile& tile : strip()) {
    calls.push_back(rota::run_in_executor(mandelbrot::tile_png, tile));
  }
  co_return co_await rota::gather(std::move(calls));
}

rota::Coro<> compare() {
  rota::EventLoop& loop = rota::get_running_loop();
  const auto begin = loop.time();
  const Pictures slowly = co_await one_after_the_other();
  const auto middle = loop.time();
  const Pictures quickly = co_await all_at_once();
  const auto end = loop.time();

  const Milliseconds slow = middle - begin;
  const Milliseconds quick = end - middle;
  std::cout << std::fixed << std::setprecision(1) << slowly.size()
            << " tiles, one after the other: " << slow.count() << " ms\n"
            << quickly.size() << " tiles, gathered: " << quick.count() << " ms\n"
            << slow / quick << " times as fast with " << std::thread::hardware_concurrency()
            << " CPUs, and " << (slowly == quickly ? "the same" : "other") << " pictures"
            << std::endl;
}

int main() { rota::run(compare(), {.loops = 1}); }
