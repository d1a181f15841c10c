/// load.cpp: rota_load, a load generator for echo and HTTP servers.
///
/// Measures how many requests a server answers, and how long it takes for each; with --rate from
/// when the request should have been sent, so that a server that stands still cannot hide it by
/// keeping the next request from being made. Not measured: connecting. On one machine with the
/// server it competes for the CPUs: pin both.
///
///     rota_load tcp 127.0.0.1:8888 --connections 64
///     rota_load http http://127.0.0.1:8080/ --rate 10000
#include <rota/coro.hpp>
#include <rota/runtime.hpp>

#include "load_options.hpp"
#include "load_report.hpp"
#include "load_run.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <fstream>
#include <iostream>
#include <string>
#include <sys/resource.h>
#include <unistd.h>

namespace {

constexpr int wrong_usage = 2;

/// Each connection is a descriptor, and the soft limit is small for reasons of select(2), which
/// nobody uses here. False: even the hard limit is too small.
bool allow_descriptors(const load::Options& options) {
  const rlim_t needed = rlim_t{options.connections} + 16 + 4 * rlim_t{options.loops};
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= needed) return true;
  if (limit.rlim_max >= needed) {
    limit.rlim_cur = needed;
    if (::setrlimit(RLIMIT_NOFILE, &limit) == 0) return true;
  }
  std::cerr << "rota_load: " << options.connections << " connections cannot be open at once\n"
            << "  why: they need " << needed << " descriptors, and " << limit.rlim_max
            << " are allowed\n"
            << "  do:  as root: ulimit -n " << needed << "; or --connections with less\n";
  return false;
}

/// The file, before anything is measured that could not be written then.
bool open_json(const load::Options& options, std::ofstream& file) {
  if (options.json.empty() || options.json == "-") return true;
  file.open(options.json);
  if (file) return true;
  std::cerr << "rota_load: the file '" << options.json << "' cannot be written\n"
            << "  why: " << std::strerror(errno) << '\n'
            << "  do:  --json with another name, or --json - for stdout\n";
  return false;
}

void show_progress(const load::Report& report) {
  static const bool on_terminal = ::isatty(STDERR_FILENO) == 1;
  const std::string line = load::progress_line(report);
  // On a terminal the line takes the place of the one before.
  std::cerr << (on_terminal ? "\r\033[K" + line : line + '\n') << std::flush;
}

void end_progress() {
  if (::isatty(STDERR_FILENO) == 1) std::cerr << "\r\033[K" << std::flush;
}

rota::Coro<load::Report> measure(const load::Options& options) {
  const auto on_second = [quiet = options.quiet](const load::Report& report) {
    if (!quiet) show_progress(report);
  };
  return load::run_load(options, on_second);
}

int run(const load::Options& options) {
  std::ofstream file;
  if (!allow_descriptors(options) || !open_json(options, file)) return wrong_usage;
  const load::Report report =
      rota::run(measure(options), {.loops = options.loops, .spin = options.spin});
  if (!options.quiet) end_progress();
  const bool json_to_stdout = options.json == "-";
  (json_to_stdout ? std::cerr : std::cout) << load::summary(options, report) << std::flush;
  if (!options.json.empty()) {
    (json_to_stdout ? std::cout : file) << load::json(options, report) << std::flush;
  }
  return load::succeeded(report) ? 0 : 1;
}

}  // namespace

int main(int count, char** values) {
  const auto options = load::parse_options(count, values);
  if (!options) {
    std::cerr << options.error();
    return wrong_usage;
  }
  if (options->help) {
    std::cout << load::usage();
    return 0;
  }
  try {
    return run(*options);
  } catch (const std::exception& error) {
    std::cerr << "rota_load: " << error.what() << '\n';
    return 1;
  }
}
