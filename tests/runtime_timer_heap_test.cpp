#include <rota/detail/timer_heap.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

namespace rota::detail {
namespace {

struct Timer : TimerNode {
  Timer() : TimerNode([](TimerNode&) noexcept {}) {}
  int number = 0;
};

std::vector<int> pop_all(TimerHeap& heap) {
  std::vector<int> numbers;
  while (!heap.empty()) numbers.push_back(static_cast<Timer&>(heap.pop()).number);
  return numbers;
}

// LO07 with decision D15: equal deadlines fire in the order in which they were armed.
TEST(TimerHeap, LO07EqualDeadlinesComeInTheOrderOfArming) {
  TimerHeap heap;
  std::vector<Timer> timers(50);
  for (int number = 0; number < 50; ++number) {
    timers[static_cast<std::size_t>(number)].number = number;
    timers[static_cast<std::size_t>(number)].when = 7;
    heap.arm(timers[static_cast<std::size_t>(number)]);
  }
  std::vector<int> expected(50);
  for (int number = 0; number < 50; ++number) expected[static_cast<std::size_t>(number)] = number;
  EXPECT_EQ(pop_all(heap), expected);
}

TEST(TimerHeap, DisarmingTakesOutThatOneAndNoOther) {
  TimerHeap heap;
  std::vector<Timer> timers(5);
  for (int number = 0; number < 5; ++number) {
    timers[static_cast<std::size_t>(number)].number = number;
    timers[static_cast<std::size_t>(number)].when = 10 - number;
    heap.arm(timers[static_cast<std::size_t>(number)]);
  }
  heap.disarm(timers[2]);
  EXPECT_FALSE(timers[2].armed());
  EXPECT_EQ(pop_all(heap), (std::vector<int>{4, 3, 1, 0}));
}

/// Against a sorted list, over random operations; also past the first growth of the heap.
TEST(TimerHeap, AgreesWithASortedListOverRandomOperations) {
  std::mt19937 random(12345);
  TimerHeap heap;
  struct Armed {
    std::int64_t when;
    int order;
    Timer* timer;
    bool operator<(const Armed& other) const {
      return std::tie(when, order) < std::tie(other.when, other.order);
    }
  };
  std::vector<std::unique_ptr<Timer>> timers;
  std::vector<Armed> model;
  int order = 0;
  for (int operation = 0; operation < 20000; ++operation) {
    const auto choice = random() % 10;
    if (choice < 6 || model.empty()) {
      timers.push_back(std::make_unique<Timer>());
      timers.back()->when = static_cast<std::int64_t>(random() % 100);
      heap.arm(*timers.back());
      model.push_back({timers.back()->when, order++, timers.back().get()});
    } else if (choice < 8) {
      const std::size_t index = random() % model.size();
      heap.disarm(*model[index].timer);
      model.erase(model.begin() + static_cast<std::ptrdiff_t>(index));
    } else {
      const auto least = std::min_element(model.begin(), model.end());
      ASSERT_EQ(heap.earliest(), least->when);
      ASSERT_EQ(&heap.pop(), least->timer);
      model.erase(least);
    }
    ASSERT_EQ(heap.size(), model.size());
  }
  while (!heap.empty()) heap.pop();
}

}  // namespace
}  // namespace rota::detail
