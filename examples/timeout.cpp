/// timeout.cpp: three ways to bound the time that something may take.
///
///     $ ./timeout
///     in time: an answer
///     wait_for: too late
///     timeout: too late
///     a scope: too late, by the deadline set inside
#include <rota/rota.hpp>

#include <iostream>
#include <string>

using namespace std::chrono_literals;

rota::Coro<std::string> fetch(std::chrono::milliseconds duration) {
  co_await rota::sleep(duration);
  co_return "an answer";
}

// A scope: everything in it together. The deadline can be moved while it runs.
rota::Coro<> fetch_twice(rota::Timeout& limit) {
  co_await fetch(10ms);
  limit.reschedule(rota::get_running_loop().time() + 20ms);
  co_await fetch(10s);
}

rota::Coro<> try_all() {
  std::cout << "in time: " << co_await rota::wait_for(fetch(10ms), 5s) << '\n';
  try {
    co_await rota::wait_for(fetch(10s), 20ms);
  } catch (const rota::TimeoutError&) {
    std::cout << "wait_for: too late\n";
  }
  try {
    co_await rota::timeout(20ms, rota::sleep(10s));
  } catch (const rota::TimeoutError&) {
    std::cout << "timeout: too late\n";
  }
  try {
    co_await rota::with(rota::Timeout(10s), fetch_twice);
  } catch (const rota::TimeoutError&) {
    std::cout << "a scope: too late, by the deadline set inside" << std::endl;
  }
}

int main() { rota::run(try_all()); }
