/// threadsafe_handoff.cpp: from a plain thread into a loop, and back. A sensor thread posts
/// readings to the loop with call_soon_threadsafe, so that the sum needs no lock; then it runs a
/// coroutine there and waits for its result.
///
///     $ ./threadsafe_handoff
///     1000 readings, sum 500500
///     the sensor asked for the average: 500
#include <rota/rota.hpp>

#include <iostream>
#include <thread>

struct Readings {
  int count = 0;
  int sum = 0;
  rota::Future<> enough;

  void add(int value) {  // only ever called on the loop
    sum += value;
    if (++count == 1000) enough.set_result();
  }
};

rota::Coro<int> average(const Readings& readings) { co_return readings.sum / readings.count; }

rota::Coro<> collect() {
  Readings readings;
  rota::Future<int> average_asked_for;
  const rota::LoopHandle loop = rota::get_running_loop().handle();
  std::jthread sensor([&readings, average_asked_for, loop] {
    for (int value = 1; value <= 1000; ++value) {
      loop.call_soon_threadsafe([&readings, value] { readings.add(value); });
    }
    auto result = rota::run_coroutine_threadsafe(average(readings), loop);
    loop.call_soon_threadsafe(
        [average_asked_for, mean = result.result()] { average_asked_for.set_result(mean); });
  });
  co_await readings.enough;
  std::cout << "1000 readings, sum " << readings.sum << std::endl;
  std::cout << "the sensor asked for the average: " << co_await average_asked_for << std::endl;
}

int main() { rota::run(collect()); }
