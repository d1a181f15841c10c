/// load_report.cpp: figures into words.
#include "load_report.hpp"

#include <chrono>
#include <cstdint>
#include <iomanip>
#include <sstream>
#include <utility>

namespace load {
namespace {

double seconds_of(const Report& report) { return Seconds(report.measured).count(); }

double per_second(const Report& report) {
  const double seconds = seconds_of(report);
  return seconds > 0 ? static_cast<double>(report.stats.requests_total()) / seconds : 0;
}

double microseconds(double nanoseconds) { return nanoseconds / 1000; }

std::string rounded(double value, int digits) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(digits) << value;
  return std::move(text).str();
}

/// "850 us", "12.3 ms", "2.50 s".
std::string duration(double nanoseconds) {
  if (nanoseconds < 1e4) return rounded(nanoseconds / 1e3, 2) + " us";
  if (nanoseconds < 1e6) return rounded(nanoseconds / 1e3, 0) + " us";
  if (nanoseconds < 1e9) return rounded(nanoseconds / 1e6, 2) + " ms";
  return rounded(nanoseconds / 1e9, 2) + " s";
}
std::string quantile(const Report& report, double fraction) {
  return duration(static_cast<double>(report.stats.latency.quantile(fraction)));
}

std::string latencies(const Report& report) {
  return "  latency   p50 " + quantile(report, 0.5) + "  p90 " + quantile(report, 0.9) + "  p99 " +
         quantile(report, 0.99) + "  p99.9 " + quantile(report, 0.999) + "  max " +
         quantile(report, 1) + "  mean " + duration(report.stats.latency.mean()) + '\n';
}

std::string errors(const Stats& stats) {
  std::ostringstream text;
  text << stats.errors_total();
  const char* separator = ": ";
  for (std::size_t kind = 0; kind < stats.errors.size(); ++kind) {
    if (stats.errors[kind] == 0) continue;
    text << separator << stats.errors[kind] << ' ' << failure_names[kind];
    separator = ", ";
  }
  return std::move(text).str();
}

/// Members of a JSON object, one to a line.
class JsonObject {
 public:
  JsonObject& add(const char* name, std::uint64_t value) {
    return add_text(name, std::to_string(value));
  }
  JsonObject& add(const char* name, double value) { return add_text(name, rounded(value, 3)); }
  JsonObject& add_text(const char* name, const std::string& value) {
    text_ << (empty_ ? "{" : ",") << "\n  \"" << name << "\": " << value;
    empty_ = false;
    return *this;
  }
  std::string take() && { return std::move(text_).str() + "\n}\n"; }

 private:
  std::ostringstream text_;
  bool empty_ = true;
};

}  // namespace

std::string progress_line(const Report& report) {
  return rounded(seconds_of(report), 0) + " s: " + std::to_string(report.stats.requests_total()) +
         " requests, " + rounded(per_second(report), 0) + "/s, p50 " + quantile(report, 0.5) +
         ", p99 " + quantile(report, 0.99) + ", errors " + errors(report.stats);
}

std::string summary(const Options& options, const Report& report) {
  const Stats& stats = report.stats;
  std::ostringstream text;
  text << (options.mode == Mode::tcp ? "tcp " : "http ") << options.host << ':' << options.port
       << ", " << options.connections << " connections on " << options.loops << " loop"
       << (options.loops == 1 ? "" : "s") << ", pipeline " << options.pipeline << ", ";
  if (options.rate > 0) {
    text << "open loop: " << options.rate << " requests/s planned\n";
  } else {
    text << "closed loop\n";
  }
  text << "  requests  " << stats.requests_total() << " in " << rounded(seconds_of(report), 2)
       << " s: " << rounded(per_second(report), 0) << "/s, "
       << rounded(static_cast<double>(stats.bytes_read) / 1e6, 1) << " MB read\n";
  if (stats.requests_total() > 0) text << latencies(report);
  text << "  errors    " << errors(stats) << '\n';
  if (stats.silent_connections > 0) {
    text << "  " << stats.silent_connections << " of " << options.connections
         << " connections were not answered once\n";
  }
  if (stats.unanswered_total > 0) {
    text << "  " << stats.unanswered_total
         << " requests whose start had come were not answered at the end\n";
  }
  return std::move(text).str();
}

std::string json(const Options& options, const Report& report) {
  const Stats& stats = report.stats;
  const auto at = [&](double fraction) {
    return microseconds(static_cast<double>(stats.latency.quantile(fraction)));
  };
  JsonObject object;
  object.add_text("mode", options.mode == Mode::tcp ? "\"tcp\"" : "\"http\"")
      .add("connections", std::uint64_t{options.connections})
      .add("pipeline", std::uint64_t{options.pipeline})
      .add("loops", std::uint64_t{options.loops})
      .add("rate_planned", options.rate)
      .add("seconds", seconds_of(report))
      .add("requests_total", stats.requests_total())
      .add("requests_per_second", per_second(report))
      .add("p50_us", at(0.5))
      .add("p90_us", at(0.9))
      .add("p99_us", at(0.99))
      .add("p999_us", at(0.999))
      .add("max_us", at(1))
      .add("mean_us", microseconds(stats.latency.mean()))
      .add("bytes_read", stats.bytes_read)
      .add("silent_connections", stats.silent_connections)
      .add("unanswered_total", stats.unanswered_total)
      .add("errors_total", stats.errors_total());
  for (std::size_t kind = 0; kind < stats.errors.size(); ++kind) {
    const std::string name = std::string("errors_") + failure_names[kind];
    object.add(name.c_str(), stats.errors[kind]);
  }
  return std::move(object).take();
}

bool succeeded(const Report& report) noexcept {
  return report.stats.requests_total() > 0 && report.stats.errors_total() == 0;
}

}  // namespace load
