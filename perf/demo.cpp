/// demo.cpp: rota_demo, a tour. Starts the example's HTTP server, drives load at it, shows once a
/// second what its loops do, and sums up. `./dev demo` builds and starts it.
///
/// Two loads at once: the cheap /plaintext, and tiles, each of which costs milliseconds of CPU
/// time: their latencies show that the pool's work does not stand in the loops' way. They compete
/// for the CPUs with the server: these are no figures to quote.
///
///     rota_demo --seconds 10 --json figures.json
#include <rota/error.hpp>
#include <rota/loop.hpp>
#include <rota/runtime.hpp>
#include <rota/sleep.hpp>
#include <rota/task.hpp>

#include "demo_server.hpp"
#include "demo_view.hpp"
#include "load_options.hpp"
#include "load_report.hpp"
#include "load_run.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <getopt.h>
#include <iomanip>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace demo {
namespace {

using namespace std::chrono_literals;
using Seconds = std::chrono::duration<double>;

constexpr unsigned plaintext_connections = 64;
constexpr Seconds end_of_days = 24h;

struct Options {
  std::optional<Seconds> seconds;  ///< Nothing: until Ctrl-C on a terminal, else ten.
  std::string json;                ///< A file's name, or nothing.
  ServerOptions server;
};

struct Outcome {
  load::Report plaintext;
  load::Report tiles;
  std::vector<LoopFigures> loops;
  std::vector<std::string> failures;
};

unsigned cpus() { return std::max(std::thread::hardware_concurrency(), 1u); }

// --- the load ---------------------------------------------------------------------------------

/// The coast of the seahorse valley, at every scale that is not too dear.
std::vector<std::string> tile_paths() {
  constexpr double x = 0.46954, y = 0.48352;  // of the map's sides
  std::vector<std::string> paths;
  for (unsigned zoom = 3; zoom <= 10; ++zoom) {
    const auto tiles = static_cast<double>(1u << zoom);
    for (int around = 0; around < 9; ++around) {
      const auto column = static_cast<int>(x * tiles) + around % 3 - 1;
      const auto row = static_cast<int>(y * tiles) + around / 3 - 1;
      paths.push_back("/mandelbrot/" + std::to_string(zoom) + '/' + std::to_string(column) + '/' +
                      std::to_string(row) + ".png");
    }
  }
  return paths;
}

/// One of the two. Stays where it is while its task runs.
class Load {
 public:
  Load(const ServerProcess& server, unsigned connections, std::vector<std::string> paths) {
    options_.mode = load::Mode::http;
    options_.host = "127.0.0.1";
    options_.port = server.port();
    options_.authority = options_.host + ':' + std::to_string(server.port());
    options_.paths = std::move(paths);
    options_.loops = static_cast<unsigned>(rota::all_loops().size());
    options_.connections = std::max(connections, options_.loops);
    options_.warmup = 0s;
    options_.duration = end_of_days;  // stop() ends it
    options_.timeout = 30s;
  }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  void start() {
    task_ = rota::create_task(
        load::run_load(options_, [this](const load::Report& report) { latest_ = report; }));
  }
  rota::Coro<load::Report> stop() {
    task_.cancel();
    co_return co_await task_;  // which ends with a report all the same
  }
  const load::Report& latest() const noexcept { return latest_; }  ///< At most a second old.

 private:
  load::Options options_;
  load::Report latest_;
  rota::Task<load::Report> task_;
};

// --- the tour ---------------------------------------------------------------------------------

/// Shows what happens, until the time is over.
rota::Coro<> watch(const ServerProcess& server, const Load& plaintext, const Load& tiles,
                   Seconds duration) {
  View view;
  rota::EventLoop& loop = rota::get_running_loop();
  const rota::TimePoint begin = loop.time();
  const rota::TimePoint end = begin + std::chrono::duration_cast<rota::Duration>(duration);
  Moment moment;
  ServerFigures first = co_await ask_figures(server.port());
  moment.now = std::move(first);
  for (rota::TimePoint last = loop.time(); last < end;) {
    co_await rota::sleep(std::min<rota::Duration>(1s, end - last));
    moment.before = std::move(moment.now);
    ServerFigures figures = co_await ask_figures(server.port());
    moment.now = std::move(figures);
    const rota::TimePoint now = loop.time();
    moment.seconds = Seconds(now - last).count();
    moment.elapsed = Seconds(now - begin).count();
    moment.plaintext = plaintext.latest();
    moment.tiles = tiles.latest();
    view.show(moment);
    last = now;
  }
}

rota::Coro<Outcome> drive(const ServerProcess& server, Seconds duration) {
  Load plaintext(server, plaintext_connections, {"/plaintext"});
  Load tiles(server, 2 * cpus(), tile_paths());
  plaintext.start();
  tiles.start();
  Outcome outcome;
  try {
    co_await watch(server, plaintext, tiles, duration);
  } catch (const rota::CancelledError&) {
    std::cout << '\n';  // Ctrl-C: an orderly end too
  } catch (const std::exception& error) {
    outcome.failures.push_back(std::string("the server does not answer: ") + error.what());
  }
  load::Report cheap = co_await plaintext.stop();
  load::Report dear = co_await tiles.stop();
  outcome.plaintext = std::move(cheap);
  outcome.tiles = std::move(dear);
  if (!outcome.failures.empty()) co_return outcome;
  ServerFigures last = co_await ask_figures(server.port());
  outcome.loops = std::move(last.loops);
  co_return outcome;
}

// --- the end ----------------------------------------------------------------------------------

void judge(Outcome& outcome, int server_status) {
  const std::uint64_t errors =
      outcome.plaintext.stats.errors_total() + outcome.tiles.stats.errors_total();
  if (errors > 0) outcome.failures.push_back(std::to_string(errors) + " requests failed");
  if (outcome.plaintext.stats.requests_total() == 0) {
    outcome.failures.emplace_back("no request of /plaintext was answered");
  }
  if (outcome.tiles.stats.requests_total() == 0) {
    outcome.failures.emplace_back("no tile was answered");
  }
  if (server_status == -1) outcome.failures.emplace_back("the server was killed by a signal");
  if (server_status > 0) {
    outcome.failures.push_back("the server ended with status " + std::to_string(server_status));
  }
}

double count_of(const load::Report& report) {
  return static_cast<double>(report.stats.requests_total());
}
double seconds_of(const Outcome& outcome) { return Seconds(outcome.plaintext.measured).count(); }

void print_summary(const Outcome& outcome) {
  const auto print = [&](const char* name, const load::Report& report) {
    std::cout << "  " << name << with_commas(count_of(report)) << " requests, "
              << with_commas(count_of(report) / std::max(seconds_of(outcome), 1e-3)) << "/s, p50 "
              << latency(report, 0.5) << ", p99 " << latency(report, 0.99) << ", "
              << report.stats.errors_total() << " errors\n";
  };
  std::cout << "in " << std::fixed << std::setprecision(1) << seconds_of(outcome) << " s:\n";
  print("/plaintext  ", outcome.plaintext);
  print("tiles       ", outcome.tiles);
  for (std::size_t i = 0; i < outcome.loops.size(); ++i) {
    std::cout << "  loop " << i << "      "
              << with_commas(static_cast<double>(outcome.loops[i].requests)) << " requests\n";
  }
  std::cout << std::flush;
}

void write_json(std::ostream& file, const Outcome& outcome) {
  const auto microseconds = [&](double fraction) {
    return static_cast<double>(outcome.plaintext.stats.latency.quantile(fraction)) / 1000;
  };
  const load::Stats& plaintext = outcome.plaintext.stats;
  const load::Stats& tiles = outcome.tiles.stats;
  file << "{\n  \"requests_total\": " << plaintext.requests_total() + tiles.requests_total()
       << ",\n  \"errors_total\": " << plaintext.errors_total() + tiles.errors_total()
       << ",\n  \"tiles_total\": " << tiles.requests_total()
       << ",\n  \"seconds\": " << seconds_of(outcome) << ",\n  \"p50_us\": " << microseconds(0.5)
       << ",\n  \"p99_us\": " << microseconds(0.99) << ",\n  \"loops\": [";
  const char* separator = "";
  for (const LoopFigures& loop : outcome.loops) {
    file << separator << "\n    {\"requests\": " << loop.requests << ", \"steps\": " << loop.steps
         << ", \"wakes\": " << loop.wakes << '}';
    separator = ",";
  }
  file << "\n  ]\n}\n" << std::flush;
  if (!file) throw std::runtime_error("the JSON file could not be written");
}

// --- the command line -------------------------------------------------------------------------

[[noreturn]] void end_with_usage(int status) {
  (status == 0 ? std::cout : std::cerr)
      << "usage: rota_demo [--seconds N] [--loops N] [--port N] [--json FILE] [--server PATH]\n"
         "  --seconds N    how long; by default until Ctrl-C, and 10 without a terminal\n"
         "  --loops N      the server's event loops (0: one for each CPU)\n"
         "  --port N       the server's port (0: any that is free)\n"
         "  --json FILE    write the figures of the whole run there\n"
         "  --server PATH  the program http_server (by default that of the same build)\n"
         "Exit status: 0; 1 when something failed; 2 for a wrong command line.\n";
  std::exit(status);
}

template <typename T>
T number(std::string_view text) {
  T value{};
  const auto [stop, error] = std::from_chars(text.begin(), text.end(), value);
  if (error != std::errc() || stop != text.end()) end_with_usage(2);
  return value;
}

Options parse_options(int count, char** values) {
  const option known[] = {{"seconds", required_argument, nullptr, 's'},
                          {"loops", required_argument, nullptr, 'l'},
                          {"port", required_argument, nullptr, 'p'},
                          {"json", required_argument, nullptr, 'j'},
                          {"server", required_argument, nullptr, 'e'},
                          {"help", no_argument, nullptr, 'u'},
                          {}};
  Options options;
  const auto here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  options.server.program = here.parent_path() / "examples" / "http_server";
  for (int letter; (letter = getopt_long(count, values, "", known, nullptr)) != -1;) {
    if (letter == 's') options.seconds = Seconds(number<double>(optarg));
    if (letter == 'l') options.server.loops = number<unsigned>(optarg);
    if (letter == 'p') options.server.port = number<std::uint16_t>(optarg);
    if (letter == 'j') options.json = optarg;
    if (letter == 'e') options.server.program = optarg;
    if (letter == 'u') end_with_usage(0);
    if (letter == '?') end_with_usage(2);
  }
  const bool too_much = options.seconds > end_of_days || options.seconds <= Seconds(0);
  if (optind < count || (options.seconds && too_much)) end_with_usage(2);
  return options;
}

int run(const Options& options) {
  std::ofstream json;
  if (!options.json.empty()) json.open(options.json);
  if (!options.json.empty() && !json) {
    throw std::runtime_error("the file " + options.json + " cannot be written");
  }
  ServerProcess server(options.server);
  const bool endless = View().on_terminal();
  const Seconds duration = options.seconds.value_or(endless ? end_of_days : Seconds(10s));
  std::cout << server.url() << "  (open it in a browser)\n" << std::endl;
  Outcome outcome = rota::run(drive(server, duration), {.loops = std::max(1u, cpus() / 2)});
  judge(outcome, server.end());
  print_summary(outcome);
  if (json.is_open()) write_json(json, outcome);
  for (const std::string& failure : outcome.failures) {
    std::cerr << "rota_demo: " << failure << '\n';
  }
  return outcome.failures.empty() ? 0 : 1;
}

}  // namespace
}  // namespace demo

int main(int count, char** values) {
  try {
    return demo::run(demo::parse_options(count, values));
  } catch (const rota::KeyboardInterrupt& interrupt) {  // a second Ctrl-C: the server is ended
    return 128 + interrupt.signal();
  } catch (const std::exception& error) {
    std::cerr << "rota_demo: " << error.what() << '\n';
    return 1;
  }
}
