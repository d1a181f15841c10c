/// report.hpp: a finding as text.
#pragma once

#include "model/memory.hpp"

#include <cstdint>
#include <source_location>
#include <string>
#include <vector>

namespace rota::model {

struct Finding {
  struct Waiting {
    ThreadId thread;
    std::source_location where;
  };

  std::string what;
  const std::vector<Event>& events;  ///< What was done, in order.
  std::string choices;
  std::uint64_t seed;            ///< 0: the execution was not a random one.
  std::vector<Waiting> waiting;  ///< Threads in wait_until().
};

std::string describe(const Finding& finding);

}  // namespace rota::model
