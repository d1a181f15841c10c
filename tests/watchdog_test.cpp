/// watchdog_test.cpp: a hanging test executable ends itself and says where it hung.

#include "support/watchdog.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <sys/wait.h>

namespace {

using rota::testing_support::watchdog_limit;
using testing::HasSubstr;

struct Finished {
  std::string output;
  int exit_code = -1;
};

/// Runs the program `name` that was built beside this one.
Finished run_neighbour(const std::string& name, const std::string& environment) {
  const auto folder = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  const std::string command = environment + " '" + (folder / name).string() + "' 2>&1";
  Finished finished;
  FILE* pipe = popen(command.c_str(), "r");  // NOLINT(bugprone-command-processor): our own words
  if (pipe == nullptr) return finished;
  std::array<char, 512> chunk{};
  while (std::fgets(chunk.data(), chunk.size(), pipe) != nullptr) finished.output += chunk.data();
  const int status = pclose(pipe);
  if (WIFEXITED(status)) finished.exit_code = WEXITSTATUS(status);
  return finished;
}

TEST(Watchdog, NamesTheHangingTestAndLeavesWithCode99) {
  const Finished child = run_neighbour("hanging", "ROTA_WATCHDOG_SECONDS=1");
  EXPECT_EQ(child.exit_code, 99) << child.output;
  EXPECT_THAT(child.output, HasSubstr("rota: watchdog: test Hanging.NeverEnds hangs"));
}

TEST(Watchdog, CallsTheDumpFunctionsAndPrintsTheStacks) {
  const Finished child = run_neighbour("hanging", "ROTA_WATCHDOG_SECONDS=1");
  EXPECT_THAT(child.output, HasSubstr("dump: three tasks wait"));
  EXPECT_THAT(child.output, HasSubstr("wait_for_a_signal_that_never_comes"));
}

TEST(Watchdog, TakesItsLimitFromTheEnvironment) {
  setenv("ROTA_WATCHDOG_SECONDS", "7", 1);
  EXPECT_EQ(watchdog_limit(), std::chrono::seconds(7));
  unsetenv("ROTA_WATCHDOG_SECONDS");
  EXPECT_EQ(watchdog_limit(), std::chrono::seconds(50));
}

}  // namespace
