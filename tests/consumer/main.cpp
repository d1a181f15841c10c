/// main.cpp: the smallest program of a user.

#ifdef ONLY_RUNTIME
#include <rota/runtime.hpp>
#else
#include <rota/rota.hpp>
#endif

#include <cstdio>

rota::Coro<> main_task() {
  std::puts("hello from a consumer");
  co_return;
}

int main() { rota::run(main_task()); }
