/// load_run.hpp: run_load(), which spreads the connections over the loops, waits, and adds up.
#pragma once

#include <rota/clock.hpp>
#include <rota/coro.hpp>

#include "load_options.hpp"
#include "load_plan.hpp"

#include <functional>

namespace load {

struct Report {
  Stats stats;
  rota::Duration measured{};  ///< How long; less than planned if it was interrupted.
};

/// Called with what was measured so far, once a second.
using OnSecond = std::function<void(const Report&)>;

/// Measures on all loops of the runtime. A cancel of the task ends it early, with what was measured
/// until then: so it swallows CancelledError, and should be what main awaits.
rota::Coro<Report> run_load(const Options& options, OnSecond on_second);

}  // namespace load
