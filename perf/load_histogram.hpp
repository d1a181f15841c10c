/// load_histogram.hpp: Histogram, latencies counted in buckets that are equally precise everywhere.
///
/// Log-linear, as HdrHistogram: each power of two is divided into 128 buckets, so a bucket is at
/// most 0.8 % wide, and what is read from its middle is off by at most 0.4 %. Fixed memory (37 KB)
/// from 1 ns to 73 minutes; what is larger counts as that. Largest value, count and sum are exact.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace load {

/// Values are non-negative whole numbers; here nanoseconds. Used by one thread; merged afterwards.
class Histogram {
 public:
  static constexpr std::uint64_t largest = (std::uint64_t{1} << 42) - 1;

  Histogram() : buckets_(bucket_of(largest) + 1) {}

  void add(std::uint64_t value) noexcept {
    ++buckets_[bucket_of(std::min(value, largest))];
    ++count_;
    sum_ += value;
    max_ = std::max(max_, value);
  }
  void merge(const Histogram& other) noexcept {
    for (std::size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
    count_ += other.count_;
    sum_ += other.sum_;
    max_ = std::max(max_, other.max_);
  }

  std::uint64_t count() const noexcept { return count_; }
  std::uint64_t max() const noexcept { return max_; }  ///< 0 when empty.
  double mean() const noexcept {                       ///< 0 when empty.
    return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
  }
  /// A value that `fraction` (0 to 1) of all values do not exceed; 0 when empty.
  std::uint64_t quantile(double fraction) const noexcept {
    if (count_ == 0) return 0;
    const auto rank = static_cast<std::uint64_t>(std::ceil(fraction * static_cast<double>(count_)));
    if (rank >= count_) return max_;
    std::uint64_t seen = 0;
    std::size_t bucket = 0;
    while ((seen += buckets_[bucket]) < std::max<std::uint64_t>(rank, 1)) ++bucket;
    return std::min(middle_of(bucket), max_);
  }

 private:
  static constexpr unsigned precision_bits = 7;

  /// Below 256 each value has its bucket. From there on the top eight bits choose: the first is
  /// always set, so every octave adds 128.
  static constexpr std::size_t bucket_of(std::uint64_t value) noexcept {
    const auto bits = static_cast<unsigned>(std::bit_width(value));
    const unsigned shift = bits > precision_bits + 1 ? bits - precision_bits - 1 : 0;
    return (static_cast<std::size_t>(shift) << precision_bits) +
           static_cast<std::size_t>(value >> shift);
  }
  static constexpr std::uint64_t middle_of(std::size_t bucket) noexcept {
    const std::size_t octave = bucket >> precision_bits;
    const std::size_t shift = octave > 1 ? octave - 1 : 0;
    const std::uint64_t first = (bucket - (shift << precision_bits)) << shift;
    return first + ((std::uint64_t{1} << shift) >> 1);
  }

  std::vector<std::uint64_t> buckets_;
  std::uint64_t count_ = 0;
  std::uint64_t sum_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace load
