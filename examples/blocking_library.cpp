/// blocking_library.cpp: a C library that blocks, called from a coroutine. to_thread() makes the
/// call on a thread that may wait; meanwhile the loop does its other work, here a clock that ticks.
///
///     $ ./blocking_library
///     localhost is 127.0.0.1
///     tick
///     ...
///     the slow program says: 42
#include <rota/rota.hpp>

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cerrno>
#include <cstdio>
#include <iostream>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <stdexcept>
#include <string>

using namespace std::chrono_literals;

// --- blocking code, as it has always been written ---

/// getaddrinfo(3) may read files, ask a server, and wait for its answer.
std::string look_up(const std::string& name) {
  addrinfo wanted{};
  wanted.ai_family = AF_INET;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(name.c_str(), nullptr, &wanted, &found); error != 0) {
    throw std::runtime_error(name + ": " + ::gai_strerror(error));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  sockaddr_in address{};
  std::copy_n(reinterpret_cast<const char*>(found->ai_addr), sizeof address,
              reinterpret_cast<char*>(&address));
  std::array<char, INET_ADDRSTRLEN> text{};
  return ::inet_ntop(AF_INET, &address.sin_addr, text.data(), text.size());
}

/// popen(3) and fgets(3) wait for as long as the program takes.
std::string first_line_of(const std::string& command) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(::popen(command.c_str(), "r"),
                                                             &::pclose);
  std::array<char, 256> line{};
  if (pipe == nullptr || std::fgets(line.data(), line.size(), pipe.get()) == nullptr) {
    throw std::runtime_error(command + " says nothing");
  }
  return line.data();
}

// --- the coroutines that call it ---

rota::Coro<> tick() {
  for (;;) {
    co_await rota::sleep(100ms);
    std::cout << "tick" << std::endl;
  }
}

rota::Coro<> ask() {
  std::cout << "localhost is " << co_await rota::to_thread(look_up, "localhost") << std::endl;
  const auto clock = rota::create_task(tick());
  const std::string answer = co_await rota::to_thread(first_line_of, "sleep 0.35; echo 42");
  std::cout << "the slow program says: " << answer << std::flush;
  clock.cancel();
}

int main() {
  try {
    rota::run(ask(), {.loops = 1});
  } catch (const std::runtime_error& error) {
    std::cerr << "blocking_library: " << error.what() << '\n';
    return 1;
  }
}
