/// load_plan.cpp: builds the requests, adds up what was measured.
#include "load_plan.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace load {
namespace {

rota::Duration in_nanoseconds(Seconds seconds) {
  return std::chrono::duration_cast<rota::Duration>(seconds);
}

}  // namespace

Requests::Requests(const Options& options)
    : different_(std::max<std::size_t>(options.paths.size(), 1)) {
  // A batch may begin with any of them.
  for (std::size_t number = 0; number < different_ - 1 + options.pipeline; ++number) {
    begins_.push_back(text_.size());
    if (options.mode == Mode::tcp) {
      text_.append(options.size, 'x');
    } else {
      text_ += "GET " + options.paths[number % different_] +
               " HTTP/1.1\r\nHost: " + options.authority + "\r\n\r\n";
    }
  }
  begins_.push_back(text_.size());
}

Plan::Plan(const Options& options_, rota::TimePoint begin_)
    : options(options_),
      requests(options_),
      begin(begin_),
      from(begin_ + in_nanoseconds(options_.warmup)),
      until(from + in_nanoseconds(options_.duration)),
      nanoseconds_apart(options_.rate > 0 ? 1e9 / options_.rate : 0) {}

std::uint64_t Plan::due_before(unsigned connection, rota::TimePoint time) const noexcept {
  const double all = static_cast<double>((time - begin).count()) / nanoseconds_apart;
  const double its = std::ceil((all - connection) / options.connections);
  return static_cast<std::uint64_t>(std::max(its, 0.0));
}

void Stats::merge(const Stats& other) noexcept {
  latency.merge(other.latency);
  for (std::size_t kind = 0; kind < errors.size(); ++kind) errors[kind] += other.errors[kind];
  bytes_read += other.bytes_read;
  silent_connections += other.silent_connections;
  unanswered_total += other.unanswered_total;
}

std::uint64_t Stats::errors_total() const noexcept {
  return std::accumulate(errors.begin(), errors.end(), std::uint64_t{0});
}

}  // namespace load
