/// expect.hpp: the explorer's results as GoogleTest wants them.
#pragma once

#include "model/explorer.hpp"
#include "support/stress.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <string_view>

namespace rota::model {

/// No execution of `body` finds anything: none of those within the limits, and none of so many
/// random ones. With ROTA_STRESS=1 there is one preemption more, and a million random ones.
inline testing::AssertionResult holds(const std::function<void()>& body, Options options = {}) {
  const char* const stress = std::getenv("ROTA_STRESS");
  const bool is_long = stress != nullptr && std::string_view(stress) == "1";
  Options random = options;
  random.random = is_long ? 1'000'000 : testing_support::sanitized ? 1'000 : 10'000;
  if (is_long) ++options.preemptions;
  std::size_t executions = 0;
  for (const Options& each : {options, random}) {
    const Result result = explore(body, each);
    if (!result.finding.empty()) return testing::AssertionFailure() << result.finding;
    executions += result.executions;
  }
  testing::Test::RecordProperty("executions", std::to_string(executions));
  return testing::AssertionSuccess();
}

}  // namespace rota::model
