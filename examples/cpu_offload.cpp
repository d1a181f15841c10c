/// cpu_offload.cpp: what a heavy handler does to its neighbours on the loop, and what they notice
/// of it when it computes elsewhere. The neighbour wants to run each millisecond; its delay is how
/// much later it does.
///
///     $ ./cpu_offload
///     heavy work...           neighbour's delay: p50, p99
///     on the loop             ... ms ... ms
///     on the CPU pool         ... ms ... ms
#include <rota/rota.hpp>

#include "mandelbrot.hpp"

#include <algorithm>
#include <chrono>
#include <iomanip>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using Milliseconds = std::chrono::duration<double, std::milli>;

constexpr mandelbrot::Tile heavy_tile{7, 60, 61};  // some 20 ms
constexpr int requests = 50;

// --- the handler, once for each place where its work can be done ---

rota::Coro<std::string> on_the_loop() { co_return mandelbrot::tile_png({}, heavy_tile); }

rota::Coro<std::string> on_the_pool() {
  co_return co_await rota::run_in_executor(mandelbrot::tile_png, heavy_tile);
}

// --- the measurement ---

class Neighbour {
 public:
  rota::Coro<> run() {
    rota::EventLoop& loop = rota::get_running_loop();
    while (!stopped_) {
      const auto due = loop.time() + 1ms;
      co_await rota::sleep(1ms);
      delays_.push_back(loop.time() - due);
    }
  }
  void stop() { stopped_ = true; }

  /// Of the delays, so that the part `fraction` of them is shorter.
  Milliseconds quantile(double fraction) {
    std::ranges::sort(delays_);
    return delays_[static_cast<std::size_t>(fraction * static_cast<double>(delays_.size() - 1))];
  }

 private:
  std::vector<Milliseconds> delays_;
  bool stopped_ = false;
};

using Handler = rota::Coro<std::string> (*)();

rota::Coro<> serve_requests(Handler handler, Neighbour& neighbour) {
  for (int i = 0; i < requests; ++i) {
    const std::string picture = co_await handler();
    if (picture.empty()) throw std::runtime_error("there is no picture");
    co_await rota::sleep(0ms);  // a server would send it now
  }
  neighbour.stop();
}

rota::Coro<> measure(std::string name, Handler handler) {
  Neighbour neighbour;
  co_await rota::gather(neighbour.run(), serve_requests(handler, neighbour));
  name.resize(24, ' ');
  std::cout << name << std::setw(6) << neighbour.quantile(0.5).count() << " ms" << std::setw(8)
            << neighbour.quantile(0.99).count() << " ms" << std::endl;
}

rota::Coro<> compare() {
  std::cout << "heavy work...           neighbour's delay: p50, p99\n"
            << std::fixed << std::setprecision(2);
  co_await measure("on the loop", on_the_loop);
  co_await measure("on the CPU pool", on_the_pool);
}

int main() { rota::run(compare(), {.loops = 1}); }
