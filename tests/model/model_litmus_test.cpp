/// The explorer against the memory model: for small shapes that the literature knows by name it
/// sees exactly the outcomes that C++20 permits, except for the one that README.md says it leaves
/// out.
#include "model/expect.hpp"
#include "model/explorer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

namespace rota::model {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

using Outcomes = std::set<std::string>;

/// What `shape` returns, over all executions.
Outcomes outcomes(const std::function<std::string()>& shape) {
  Outcomes seen;
  const Result result =
      explore([&] { seen.insert(shape()); }, {.preemptions = 16, .late_loads = 16});
  EXPECT_EQ(result.finding, "");
  return seen;
}

std::string text(std::initializer_list<int> values) {
  std::string text;
  for (const int value : values) text += std::to_string(value);
  return text;
}

struct Orders {
  std::memory_order store;
  std::memory_order load;
};
constexpr Orders relaxed{std::memory_order_relaxed, std::memory_order_relaxed};
constexpr Orders acq_rel{std::memory_order_release, std::memory_order_acquire};
constexpr Orders seq_cst{std::memory_order_seq_cst, std::memory_order_seq_cst};

// --- store buffering: each stores, then loads the other's -------------------------------------

Outcomes store_buffering(Orders first, Orders second) {
  return outcomes([&] {
    atomic<int> x{0};
    atomic<int> y{0};
    int a = -1;
    int b = -1;
    in_parallel({[&] {
                   x.store(1, first.store);
                   a = y.load(first.load);
                 },
                 [&] {
                   y.store(1, second.store);
                   b = x.load(second.load);
                 }});
    return text({a, b});
  });
}

TEST(LitmusStoreBuffering, OnlySeqCstForbidsThatNeitherSeesTheOther) {
  EXPECT_THAT(store_buffering(relaxed, relaxed), ElementsAre("00", "01", "10", "11"));
  EXPECT_THAT(store_buffering(acq_rel, acq_rel), ElementsAre("00", "01", "10", "11"));
  EXPECT_THAT(store_buffering(seq_cst, seq_cst), ElementsAre("01", "10", "11"));
}

TEST(LitmusStoreBuffering, WantsSeqCstInAllFourPlaces) {
  for (const Orders weaker : {Orders{std::memory_order_release, std::memory_order_seq_cst},
                              Orders{std::memory_order_seq_cst, std::memory_order_acquire}}) {
    EXPECT_THAT(store_buffering(weaker, seq_cst), Contains("00"));
    EXPECT_THAT(store_buffering(seq_cst, weaker), Contains("00"));
  }
}

// What rota's sleeping and waking does: one of the two variables is only ever exchanged.
Outcomes store_buffering_with_exchange(Orders x_orders, std::memory_order y_order) {
  return outcomes([&] {
    atomic<int> x{0};
    atomic<int> y{0};
    int a = -1;
    int b = -1;
    in_parallel({[&] {
                   x.store(1, x_orders.store);
                   a = y.exchange(1, y_order);
                 },
                 [&] {
                   b = y.exchange(2, y_order);
                   b = x.load(x_orders.load);
                 }});
    return text({a, b});
  });
}

TEST(LitmusStoreBuffering, IsForbiddenByAcquireAndReleaseWhereOneVariableIsExchanged) {
  EXPECT_THAT(store_buffering_with_exchange(relaxed, std::memory_order_acq_rel),
              Not(Contains("00")));
  EXPECT_THAT(store_buffering_with_exchange(seq_cst, std::memory_order_acquire), Contains("00"));
  EXPECT_THAT(store_buffering_with_exchange(seq_cst, std::memory_order_release), Contains("00"));
}

// --- message passing: data, then a flag -------------------------------------------------------

Outcomes message_passing(Orders orders) {
  return outcomes([&] {
    atomic<int> data{0};
    atomic<int> flag{0};
    int a = -1;
    int b = -1;
    in_parallel({[&] {
                   data.store(1, std::memory_order_relaxed);
                   flag.store(1, orders.store);
                 },
                 [&] {
                   a = flag.load(orders.load);
                   b = data.load(std::memory_order_relaxed);
                 }});
    return text({a, b});
  });
}

TEST(LitmusMessagePassing, WantsReleaseAndAcquire) {
  EXPECT_THAT(message_passing(relaxed), ElementsAre("00", "01", "10", "11"));
  EXPECT_THAT(message_passing({std::memory_order_release, std::memory_order_relaxed}),
              Contains("10"));
  EXPECT_THAT(message_passing({std::memory_order_relaxed, std::memory_order_acquire}),
              Contains("10"));
  EXPECT_THAT(message_passing(acq_rel), ElementsAre("00", "01", "11"));
  EXPECT_THAT(message_passing(seq_cst), ElementsAre("00", "01", "11"));
}

std::string finding_of_passing_plain_data(Orders orders) {
  return explore([&] {
           plain<int> data;
           atomic<bool> flag{false};
           in_parallel({[&] {
                          data.write(1);
                          flag.store(true, orders.store);
                        },
                        [&] {
                          if (flag.load(orders.load)) check(data.read() == 1);
                        }});
         })
      .finding;
}

// A processor of the x86 family never shows it: there every store is a release.
TEST(LitmusMessagePassing, OfPlainDataIsARaceWhenAnOrderIsMissing) {
  EXPECT_EQ(finding_of_passing_plain_data(acq_rel), "");
  EXPECT_EQ(finding_of_passing_plain_data(seq_cst), "");
  EXPECT_THAT(finding_of_passing_plain_data(relaxed), HasSubstr("data race"));
  EXPECT_THAT(finding_of_passing_plain_data({std::memory_order_relaxed, std::memory_order_acquire}),
              HasSubstr("data race"));
  EXPECT_THAT(finding_of_passing_plain_data({std::memory_order_release, std::memory_order_relaxed}),
              HasSubstr("data race"));
}

/// Data, a flag, and a third thread that changes the flag by an exchange before it is read.
Outcomes message_passing_through_exchange(std::memory_order exchange) {
  return outcomes([&] {
    atomic<int> data{0};
    atomic<int> flag{0};
    int a = -1;
    int b = -1;
    in_parallel({[&] {
                   data.store(1, std::memory_order_relaxed);
                   flag.fetch_add(1, std::memory_order_release);
                 },
                 [&] { flag.fetch_add(1, exchange); },
                 [&] {
                   a = flag.load(std::memory_order_acquire);
                   b = data.load(std::memory_order_relaxed);
                 }});
    return text({a, b});
  });
}

TEST(LitmusMessagePassing, GoesOnThroughReadModifyWritesOfAnyOrder) {
  EXPECT_THAT(message_passing_through_exchange(std::memory_order_relaxed),
              ElementsAre("00", "01", "10", "11", "21"));
}

TEST(LitmusMessagePassing, EndsAtAPlainStoreOfAnotherThread) {
  const Outcomes seen = outcomes([] {
    atomic<int> data{0};
    atomic<int> flag{0};
    int a = -1;
    int b = -1;
    in_parallel({[&] {
                   data.store(1, std::memory_order_relaxed);
                   flag.store(1, std::memory_order_release);
                 },
                 [&] { flag.store(2, std::memory_order_relaxed); },
                 [&] {
                   a = flag.load(std::memory_order_acquire);
                   b = data.load(std::memory_order_relaxed);
                 }});
    return text({a, b});
  });
  EXPECT_THAT(seen, Contains("20"));
  EXPECT_THAT(seen, Not(Contains("10")));
}

/// From the first to the third by way of the second.
TEST(LitmusMessagePassing, IsHandedOn) {
  const auto handed_on = [](std::memory_order load) {
    return outcomes([&] {
      atomic<int> x{0};
      atomic<int> y{0};
      int a = -1;
      int b = -1;
      int c = -1;
      in_parallel({[&] { x.store(1, std::memory_order_release); },
                   [&] {
                     a = x.load(load);
                     y.store(1, std::memory_order_release);
                   },
                   [&] {
                     b = y.load(std::memory_order_acquire);
                     c = x.load(std::memory_order_relaxed);
                   }});
      return text({a, b, c});
    });
  };
  EXPECT_THAT(handed_on(std::memory_order_acquire), Not(Contains("110")));
  // A store that a thread has read is not older for those whom it tells, acquire or not.
  EXPECT_THAT(handed_on(std::memory_order_relaxed), Not(Contains("110")));
  EXPECT_THAT(handed_on(std::memory_order_relaxed), Contains("010"));
}

// --- load buffering: each loads, then stores the other's --------------------------------------

TEST(LitmusLoadBuffering, IsNeverSeen) {
  for (const Orders orders : {relaxed, acq_rel, seq_cst}) {
    const Outcomes seen = outcomes([&] {
      atomic<int> x{0};
      atomic<int> y{0};
      int a = -1;
      int b = -1;
      in_parallel({[&] {
                     a = x.load(orders.load);
                     y.store(1, orders.store);
                   },
                   [&] {
                     b = y.load(orders.load);
                     x.store(1, orders.store);
                   }});
      return text({a, b});
    });
    EXPECT_THAT(seen, ElementsAre("00", "01", "10"));  // C++ would permit 11 to the relaxed ones
  }
}

// --- independent reads of independent writes --------------------------------------------------

Outcomes independent_reads(Orders orders) {
  return outcomes([&] {
    atomic<int> x{0};
    atomic<int> y{0};
    int a = -1;
    int b = -1;
    int c = -1;
    int d = -1;
    in_parallel({[&] { x.store(1, orders.store); },  //
                 [&] { y.store(1, orders.store); },
                 [&] {
                   a = x.load(orders.load);
                   b = y.load(orders.load);
                 },
                 [&] {
                   c = y.load(orders.load);
                   d = x.load(orders.load);
                 }});
    return text({a, b, c, d});
  });
}

TEST(LitmusIndependentReads, OnlySeqCstMakesTheReadersAgreeOnTheOrder) {
  EXPECT_THAT(independent_reads(relaxed), SizeIs(16));
  EXPECT_THAT(independent_reads(acq_rel), SizeIs(16));
  const Outcomes seen = independent_reads(seq_cst);
  EXPECT_THAT(seen, SizeIs(15));
  EXPECT_THAT(seen, Not(Contains("1010")));
}

// --- coherence: one location has one order, whatever is asked for -----------------------------

TEST(LitmusCoherence, NobodyReadsBackwards) {
  for (const Orders orders : {relaxed, acq_rel, seq_cst}) {
    const Outcomes seen = outcomes([&] {
      atomic<int> x{0};
      int a = -1;
      int b = -1;
      in_parallel({[&] {
                     x.store(1, orders.store);
                     x.store(2, orders.store);
                   },
                   [&] {
                     a = x.load(orders.load);
                     b = x.load(orders.load);
                   }});
      return text({a, b});
    });
    EXPECT_THAT(seen, ElementsAre("00", "01", "02", "11", "12", "22"));
  }
}

TEST(LitmusCoherence, OwnStoresAreSeen) {
  const Outcomes seen = outcomes([] {
    atomic<int> x{0};
    int a = -1;
    in_parallel({[&] {
                   x.store(1, std::memory_order_relaxed);
                   a = x.load(std::memory_order_relaxed);
                 },
                 [&] { x.store(2, std::memory_order_relaxed); }});
    return text({a});
  });
  EXPECT_THAT(seen, ElementsAre("1", "2"));
}

// --- read-modify-writes -----------------------------------------------------------------------

TEST(LitmusReadModifyWrite, NothingIsLostWhateverTheOrder) {
  const Outcomes seen = outcomes([] {
    atomic<int> x{0};
    const auto add = [&] { x.fetch_add(1, std::memory_order_relaxed); };
    in_parallel({add, add, add});
    return text({x.load(std::memory_order_relaxed)});
  });
  EXPECT_THAT(seen, ElementsAre("3"));
}

TEST(LitmusReadModifyWrite, OneOfTwoCompareExchangesSucceeds) {
  const Outcomes seen = outcomes([] {
    atomic<int> x{0};
    int successes = 0;
    const auto claim = [&] {
      int expected = 0;
      if (x.compare_exchange_strong(expected, 1, std::memory_order_relaxed,
                                    std::memory_order_relaxed)) {
        ++successes;
      } else {
        check(expected == 1);
      }
    };
    in_parallel({claim, claim});
    return text({successes});
  });
  EXPECT_THAT(seen, ElementsAre("1"));
}

TEST(LitmusReadModifyWrite, AWeakCompareExchangeMayFailForNoReason) {
  const Outcomes seen = outcomes([] {
    atomic<int> x{0};
    int expected = 0;
    const bool done =
        x.compare_exchange_weak(expected, 1, std::memory_order_relaxed, std::memory_order_relaxed);
    return text({done, expected});
  });
  EXPECT_THAT(seen, ElementsAre("00", "10"));
}

// It is then a load, and a load may be late.
TEST(LitmusReadModifyWrite, AFailedCompareExchangeMayHaveReadAnOldStore) {
  const Outcomes seen = outcomes([] {
    atomic<int> x{0};
    atomic<int> done{0};
    int expected = 3;
    int a = -1;
    in_parallel({[&] {
                   x.store(1, std::memory_order_relaxed);
                   done.store(1, std::memory_order_relaxed);
                 },
                 [&] {
                   a = done.load(std::memory_order_relaxed);
                   x.compare_exchange_strong(expected, 2, std::memory_order_relaxed,
                                             std::memory_order_relaxed);
                 }});
    return text({a, expected});
  });
  EXPECT_THAT(seen, ElementsAre("00", "01", "10", "11"));
}

}  // namespace
}  // namespace rota::model
