/// load_report.hpp: what was measured, as text for people and as JSON for programs.
#pragma once

#include "load_options.hpp"
#include "load_run.hpp"

#include <string>

namespace load {

/// One line, without its end.
std::string progress_line(const Report& report);
std::string summary(const Options& options, const Report& report);
std::string json(const Options& options, const Report& report);

/// Every request that was counted was answered as it should be, and there was one.
bool succeeded(const Report& report) noexcept;

}  // namespace load
