/// hanging.cpp: a test executable that never ends, for watchdog_test.cpp.

#include "support/watchdog.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

// Not static and not inlined, so that its name appears in the stack.
[[gnu::noinline]] void wait_for_a_signal_that_never_comes() {
  for (;;) pause();
}

TEST(Hanging, NeverEnds) {
  rota::testing_support::add_dump([](int fd) { dprintf(fd, "dump: three tasks wait\n"); });
  wait_for_a_signal_that_never_comes();
}
