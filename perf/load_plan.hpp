/// load_plan.hpp: what all connections of a run share and none changes: the options, the requests
/// as bytes, the times of the measurement.
#pragma once

#include <rota/clock.hpp>

#include "load_histogram.hpp"
#include "load_options.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace load {

/// The requests one behind the other, so that any batch of them is one piece of text.
class Requests {
 public:
  explicit Requests(const Options& options);

  /// `count` requests, at most options.pipeline, from the one numbered `first` on.
  std::string_view batch(std::uint64_t first, std::size_t count) const noexcept {
    const std::size_t begin = static_cast<std::size_t>(first % different_);
    return std::string_view(text_).substr(begins_[begin], begins_[begin + count] - begins_[begin]);
  }

 private:
  std::string text_;
  std::size_t different_;            ///< After so many they repeat.
  std::vector<std::size_t> begins_;  ///< Of each, and the end of the last.
};

struct Plan {
  /// `begin`: now.
  Plan(const Options& options_, rota::TimePoint begin_);

  bool measures(rota::TimePoint time) const noexcept { return time >= from && time < until; }
  /// Open loop. The requests of all connections are evenly spread over time, and dealt out to them
  /// in turn. `connection`: from 0; `number`: of its request, from 0.
  rota::TimePoint start_of(unsigned connection, std::uint64_t number) const noexcept {
    const double nth = static_cast<double>(number) * options.connections + connection;
    return begin + rota::Duration(static_cast<std::int64_t>(nth * nanoseconds_apart));
  }

  /// How many requests of the connection start before `time`.
  std::uint64_t due_before(unsigned connection, rota::TimePoint time) const noexcept;

  const Options& options;
  Requests requests;
  rota::TimePoint begin;  ///< Of the warm-up.
  rota::TimePoint from;   ///< Of the measurement.
  rota::TimePoint until;
  double nanoseconds_apart;
};

/// What can go wrong with a request, or with a connection.
enum class Failure : std::uint8_t { connect, lost, timeout, malformed, status };
inline constexpr std::array<const char*, 5> failure_names = {"connect", "lost", "timeout",
                                                             "malformed", "status"};

/// What was measured. Of one loop, or merged.
struct Stats {
  void merge(const Stats& other) noexcept;
  std::uint64_t requests_total() const noexcept { return latency.count(); }
  std::uint64_t errors_total() const noexcept;

  Histogram latency;  ///< Of all answers, in nanoseconds.
  std::array<std::uint64_t, failure_names.size()> errors{};
  std::uint64_t bytes_read = 0;
  std::uint64_t silent_connections = 0;  ///< Not answered once, from the warm-up to the end.
  std::uint64_t unanswered_total = 0;    ///< Open loop: due before the end, and not answered then.
};

}  // namespace load
