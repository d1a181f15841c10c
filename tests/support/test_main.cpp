/// test_main.cpp: main() of every test executable, with the watchdog.

#include <rota/detail/debug.hpp>

#include "support/watchdog.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace {

using rota::testing_support::Watchdog;

class WatchdogListener final : public testing::EmptyTestEventListener {
 public:
  explicit WatchdogListener(Watchdog& watchdog) : watchdog_(watchdog) {}

 private:
  void OnTestStart(const testing::TestInfo& test) override {
    watchdog_.test_started(std::string(test.test_suite_name()) + "." + test.name());
  }
  void OnTestEnd(const testing::TestInfo& /*test*/) override { watchdog_.test_ended(); }

  Watchdog& watchdog_;
};

}  // namespace

// The sanitizers ask for these by name; they are never called in other builds.
extern "C" const char* __asan_default_options() {
  return "detect_stack_use_after_return=1:strict_string_checks=1:check_initialization_order=1";
}
extern "C" const char* __ubsan_default_options() { return "print_stacktrace=1"; }
extern "C" const char* __tsan_default_options() {
  return "halt_on_error=1:second_deadlock_stack=1:history_size=4";
}

int main(int argc, char** argv) {
  testing::InitGoogleMock(&argc, argv);
  // The watchdog is a second thread, so a death test must start its child anew instead of forking
  // in the middle.
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  rota::testing_support::add_dump(&rota::detail::dump_all_loops);
  Watchdog watchdog(rota::testing_support::watchdog_limit());
  auto& listeners = testing::UnitTest::GetInstance()->listeners();
  auto* listener = new WatchdogListener(watchdog);
  listeners.Append(listener);
  const int result = RUN_ALL_TESTS();
  delete listeners.Release(listener);  // it refers to the watchdog, which ends first
  return result;
}
