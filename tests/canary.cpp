/// canary.cpp: tests that must fail, each in the way one kind of build is meant to notice.
///
/// tests/CMakeLists.txt registers those that apply to the build with the words that the report must
/// contain. A canary that lives on means that the harness is blind, and then the other tests' green
/// means nothing.

#include <gtest/gtest.h>

#include <cassert>
#include <climits>
#include <memory>
#include <thread>

namespace {

// What the compiler must not foresee, or it would remove the mistake.
volatile int one = 1;

TEST(Canary, Expectation) { EXPECT_EQ(one, 2); }

TEST(Canary, Assertion) { assert(one == 2); }

TEST(Canary, HeapOverflow) {
  auto numbers = std::make_unique<int[]>(4);
  numbers.get()[3 + one] = 7;
  EXPECT_EQ(numbers.get()[3 + one], 7);
}

TEST(Canary, Leak) {
  auto* forgotten = new int(one);
  EXPECT_EQ(*forgotten, 1);
  forgotten = nullptr;
}

TEST(Canary, SignedOverflow) {
  const int sum = INT_MAX + one;
  EXPECT_LT(sum, 0);
}

TEST(Canary, DataRace) {
  int counter = 0;
  std::thread first([&] { ++counter; });
  std::thread second([&] { ++counter; });
  first.join();
  second.join();
  EXPECT_GE(counter, 1);
}

}  // namespace
