// The load generator's histogram.
#include "../perf/load_histogram.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

namespace {

using load::Histogram;

TEST(LoadHistogram, IsZeroWhileEmpty) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.quantile(0.5), 0u);
  EXPECT_EQ(histogram.max(), 0u);
  EXPECT_EQ(histogram.mean(), 0.0);
}

TEST(LoadHistogram, IsExactForSmallValues) {
  for (std::uint64_t value = 0; value < 256; ++value) {
    Histogram histogram;
    histogram.add(value);
    histogram.add(1'000'000);
    EXPECT_EQ(histogram.quantile(0.5), value);
  }
}

TEST(LoadHistogram, IsOffByLessThanHalfAPercentFromANanosecondToAnHour) {
  for (double exact = 1; exact < 3.6e12; exact *= 1.01) {
    const auto value = static_cast<std::uint64_t>(exact);
    Histogram histogram;
    histogram.add(value);
    histogram.add(Histogram::largest);
    const auto found = static_cast<double>(histogram.quantile(0.5));
    EXPECT_NEAR(found, static_cast<double>(value), 0.005 * exact);
  }
}

TEST(LoadHistogram, GivesTheQuantilesOfASortedList) {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> latencies(11, 1.5);
  Histogram histogram;
  std::vector<std::uint64_t> values(100'000);
  for (std::uint64_t& value : values) {
    value = static_cast<std::uint64_t>(latencies(random));
    histogram.add(value);
  }
  std::ranges::sort(values);
  for (const double fraction : {0.0, 0.01, 0.5, 0.9, 0.99, 0.999, 0.9999}) {
    const auto rank = std::ceil(fraction * static_cast<double>(values.size()));
    const std::uint64_t exact = values[static_cast<std::size_t>(std::max(rank, 1.0)) - 1];
    EXPECT_NEAR(static_cast<double>(histogram.quantile(fraction)), static_cast<double>(exact),
                0.005 * static_cast<double>(exact))
        << fraction;
  }
  EXPECT_EQ(histogram.max(), values.back());
  EXPECT_EQ(histogram.quantile(1), histogram.max());
}

TEST(LoadHistogram, NeverGivesMoreThanTheLargestValue) {
  Histogram histogram;
  histogram.add(1'000'001);  // in the lower half of its bucket
  histogram.add(1'000'002);
  EXPECT_EQ(histogram.quantile(0.5), 1'000'002u);
  EXPECT_EQ(histogram.quantile(1), 1'000'002u);
}

TEST(LoadHistogram, CountsWhatIsTooLargeAsTheLargest) {
  Histogram histogram;
  histogram.add(std::uint64_t{1} << 60);
  histogram.add(std::uint64_t{1} << 60);
  EXPECT_EQ(histogram.count(), 2u);
  EXPECT_EQ(histogram.max(), std::uint64_t{1} << 60);
  EXPECT_NEAR(static_cast<double>(histogram.quantile(0.5)), static_cast<double>(Histogram::largest),
              0.005 * static_cast<double>(Histogram::largest));
}

TEST(LoadHistogram, MergedIsAsIfCountedInOne) {
  Histogram first, second, both;
  for (std::uint64_t value = 1; value < 1'000'000; value += 997) {
    (value % 2 == 0 ? first : second).add(value);
    both.add(value);
  }
  first.merge(second);
  EXPECT_EQ(first.count(), both.count());
  EXPECT_EQ(first.max(), both.max());
  EXPECT_EQ(first.mean(), both.mean());
  for (const double fraction : {0.1, 0.5, 0.9, 0.999}) {
    EXPECT_EQ(first.quantile(fraction), both.quantile(fraction));
  }
}

}  // namespace
