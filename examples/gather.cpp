/// gather.cpp: three counters at once; all of them take as long as one.
///
///     $ ./gather
///     A: One
///     B: One
///     C: One
///     A: Two
///     B: Two
///     C: Two
///     A has counted, B has counted, C has counted
///     together: as long as one
#include <rota/rota.hpp>

#include <iostream>
#include <string>

using namespace std::chrono_literals;

rota::Coro<std::string> count(std::string name) {
  std::cout << name << ": One" << std::endl;
  co_await rota::sleep(100ms);
  std::cout << name << ": Two" << std::endl;
  co_return name + " has counted";
}

rota::Coro<> count_together() {
  const auto begin = rota::get_running_loop().time();
  const auto [first, second, third] = co_await rota::gather(count("A"), count("B"), count("C"));
  const auto took = rota::get_running_loop().time() - begin;
  std::cout << first << ", " << second << ", " << third << '\n';
  std::cout << "together: " << (took < 200ms ? "as long as one" : "longer than one") << std::endl;
}

int main() { rota::run(count_together()); }
