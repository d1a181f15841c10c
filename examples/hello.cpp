/// hello.cpp: the smallest program.
///
///     $ ./hello
///     hello
///     world
#include <rota/rota.hpp>

#include <iostream>

// [readme
rota::Coro<> hello() {
  std::cout << "hello" << std::endl;
  co_await rota::sleep(std::chrono::seconds(1));
  std::cout << "world" << std::endl;
}

int main() { rota::run(hello()); }
// readme]
