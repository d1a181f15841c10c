/// The explorer finds what it is there for, says how, and gives it again.
#include "model/expect.hpp"
#include "model/explorer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cassert>
#include <cstdlib>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

namespace rota::model {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::string finding_of(const std::function<void()>& body, Options options = {}) {
  return explore(body, options).finding;
}

// --- what is a finding ------------------------------------------------------------------------

/// Two threads that count by a load and a store: wrong if one takes the turn in between.
void count_carelessly() {
  atomic<int> count{0};
  const auto add = [&] {
    count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  };
  in_parallel({add, add});
  check(count.load(std::memory_order_relaxed) == 2, "one is lost");
}

TEST(Explorer, FindsACheckThatFailsAndSaysHowItCameToIt) {
  EXPECT_THAT(
      finding_of(count_carelessly),
      AllOf(HasSubstr("one is lost"), HasSubstr("load"), HasSubstr("store"), HasSubstr("relaxed"),
            HasSubstr("model_explorer_test.cpp:"), HasSubstr("ROTA_MODEL_REPLAY=2/2/")));
}

TEST(Explorer, FindsAnAssertionThatFails) {
  EXPECT_THAT(finding_of([] {
                atomic<int> x{0};
                assert(x.load(std::memory_order_relaxed) == 1);
              }),
              HasSubstr("assertion `x.load(std::memory_order_relaxed) == 1' failed"));
}

TEST(Explorer, FindsAnExceptionThatNobodyCatches) {
  EXPECT_THAT(finding_of([] { in_parallel({[] { throw std::runtime_error("why"); }}); }),
              HasSubstr("an exception left a thread: why"));
}

TEST(Explorer, FindsADeadlockAndSaysWhoWaitsWhere) {
  EXPECT_THAT(
      finding_of([] {
        atomic<bool> flag{false};
        in_parallel({[&] { wait_until([&] { return flag.load(std::memory_order_relaxed); }); }});
      }),
      AllOf(HasSubstr("deadlock"), HasSubstr("thread 1 waits at model_explorer_test.cpp:")));
}

TEST(Explorer, FindsAnExecutionThatDoesNotEnd) {
  EXPECT_THAT(finding_of([] {
                atomic<bool> flag{false};
                while (!flag.load(std::memory_order_relaxed)) {
                }
              }),
              HasSubstr("does not end"));
}

TEST(Explorer, FindsARaceOfTwoWritesAndOfAReadWithAWrite) {
  EXPECT_THAT(finding_of([] {
                plain<int> data;
                in_parallel({[&] { data.write(1); }, [&] { data.write(2); }});
              }),
              HasSubstr("data race"));
  EXPECT_THAT(finding_of([] {
                plain<int> data;
                in_parallel({[&] { data.write(1); }, [&] { data.read(); }});
              }),
              HasSubstr("data race"));
}

TEST(Explorer, SeesNoRaceOfTwoReadsNorAcrossTheBeginAndEndOfThreads) {
  EXPECT_TRUE(holds([] {
    plain<int> data(1);
    in_parallel({[&] { data.read(); }, [&] { data.read(); }});
    data.write(2);
    in_parallel({[&] { data.write(3); }});
    check(data.read() == 3);
  }));
}

// Both threads exist before the object does: only an acquire of its address makes it whole.
std::string finding_of_publishing_an_object(std::memory_order store) {
  return finding_of([store] {
    std::optional<atomic<int>> object;
    atomic<atomic<int>*> published{nullptr};
    in_parallel({[&] {
                   object.emplace(1);
                   published.store(&*object, store);
                 },
                 [&] {
                   atomic<int>* const found = published.load(std::memory_order_acquire);
                   if (found != nullptr) found->load(std::memory_order_relaxed);
                 }});
  });
}

TEST(Explorer, FindsAUseOfAnAtomicWhoseConstructionIsNotSeen) {
  EXPECT_EQ(finding_of_publishing_an_object(std::memory_order_release), "");
  EXPECT_THAT(finding_of_publishing_an_object(std::memory_order_relaxed), HasSubstr("data race"));
}

/// Two holders of a counted object; the last one destroys it.
std::string finding_of_counting_references(std::memory_order order) {
  return finding_of([order] {
    std::optional<atomic<int>> object(std::in_place, 0);
    atomic<int> references{2};
    const auto use_and_release = [&] {
      object->store(1, std::memory_order_relaxed);
      if (references.fetch_sub(1, order) == 1) object.reset();
    };
    in_parallel({use_and_release, use_and_release});
  });
}

TEST(Explorer, FindsADestructionThatIsNotOrderedAfterTheLastUse) {
  EXPECT_EQ(finding_of_counting_references(std::memory_order_acq_rel), "");
  for (const auto weaker :
       {std::memory_order_release, std::memory_order_acquire, std::memory_order_relaxed}) {
    EXPECT_THAT(finding_of_counting_references(weaker), HasSubstr("data race"));
  }
}

// Plain objects that the model does not know: what it knows is who allocated them.
std::string finding_of_handing_memory_on(std::memory_order order) {
  return finding_of([order] {
    atomic<std::string*> slot{nullptr};
    in_parallel({[&] { slot.store(new std::string("text"), order); },
                 [&] { delete slot.exchange(nullptr, std::memory_order_acquire); }});
    delete slot.load(std::memory_order_relaxed);
  });
}

TEST(Explorer, FindsMemoryThatIsFreedWithoutKnowledgeOfItsAllocation) {
  EXPECT_EQ(finding_of_handing_memory_on(std::memory_order_release), "");
  EXPECT_THAT(finding_of_handing_memory_on(std::memory_order_relaxed),
              HasSubstr("memory that thread 1 has allocated is freed by thread 2"));
}

TEST(Explorer, FindsAUseAfterTheDestruction) {
  EXPECT_THAT(finding_of([] {
                alignas(atomic<int>) std::byte memory[sizeof(atomic<int>)];
                auto* const object = ::new (memory) atomic<int>(0);
                object->~atomic();
                object->load(std::memory_order_relaxed);
              }),
              HasSubstr("after its destruction"));
}

TEST(Explorer, FindsAModelThatDependsOnMoreThanItsChoices) {
  int executions = 0;
  EXPECT_THAT(finding_of([&] {
                atomic<int> x{0};
                in_parallel({[&] {
                               x.store(1, std::memory_order_relaxed);
                               if (++executions % 2 == 0) x.store(2, std::memory_order_relaxed);
                             },
                             [&] { x.load(std::memory_order_relaxed); }});
              }),
              HasSubstr("not deterministic"));
}

// --- waiting ----------------------------------------------------------------------------------

TEST(Explorer, GoesThroughAWaitInFinitelyManyWays) {
  const Result result = explore([] {
    atomic<int> x{0};
    plain<int> data;
    in_parallel({[&] {
                   x.store(1, std::memory_order_relaxed);
                   data.write(1);
                   x.store(2, std::memory_order_release);
                 },
                 [&] {
                   wait_until([&] { return x.load(std::memory_order_acquire) == 2; });
                   check(data.read() == 1);
                 }});
  });
  EXPECT_EQ(result.finding, "");
  EXPECT_LT(result.executions, 100u);
}

TEST(Explorer, WaitsForWhatTheConditionHasRead) {
  EXPECT_TRUE(holds([] {
    atomic<int> turn{0};
    atomic<int> unrelated{0};
    const auto player = [&](int own) {
      return [&, own] {
        for (int round = 0; round < 3; ++round) {
          wait_until([&] { return turn.load(std::memory_order_acquire) == own; });
          turn.store(1 - own, std::memory_order_release);
          unrelated.fetch_add(1, std::memory_order_relaxed);
        }
      };
    };
    in_parallel({player(0), player(1)});
    check(unrelated.load(std::memory_order_relaxed) == 6);
  }));
}

// --- the search -------------------------------------------------------------------------------

/// Wrong only if the turn is taken from both: from the first after its first step, from the second
/// after its own.
void need_two_preemptions() {
  atomic<int> step{0};
  bool failed = false;
  const auto advance = [&](int from) {
    int expected = from;
    return step.compare_exchange_strong(expected, from + 1, std::memory_order_acq_rel,
                                        std::memory_order_acquire);
  };
  in_parallel({[&] {
                 advance(0);
                 advance(2);
               },
               [&] {
                 if (advance(1)) failed = advance(3);
               }});
  check(!failed, "all four steps");
}

TEST(Explorer, TakesTheTurnAsOftenAsItMay) {
  EXPECT_EQ(finding_of(need_two_preemptions, {.preemptions = 1}), "");
  EXPECT_THAT(finding_of(need_two_preemptions, {.preemptions = 2}), HasSubstr("all four steps"));
}

TEST(Explorer, GivesAFindingAgain) {
  const std::string finding = finding_of(need_two_preemptions);
  const std::string variable = "ROTA_MODEL_REPLAY=";
  const std::size_t begin = finding.find(variable) + variable.size();
  const std::string name = finding.substr(begin, finding.find(' ', begin) - begin);
  ASSERT_EQ(::setenv("ROTA_MODEL_REPLAY", name.c_str(), 1), 0);
  const Result again = explore(need_two_preemptions);
  ::unsetenv("ROTA_MODEL_REPLAY");
  EXPECT_EQ(again.executions, 1u);
  EXPECT_EQ(again.finding, finding);
}

TEST(Explorer, FindsTheSameWithTheSameSeed) {
  const Options options{.random = 10'000, .seed = 7};
  const Result first = explore(need_two_preemptions, options);
  const Result second = explore(need_two_preemptions, options);
  EXPECT_THAT(first.finding, AllOf(HasSubstr("all four steps"), HasSubstr("random, seed ")));
  EXPECT_EQ(second.finding, first.finding);
  EXPECT_EQ(second.executions, first.executions);
}

// --- what threads have for themselves ---------------------------------------------------------

constinit thread_local int* own = nullptr;

TEST(Explorer, GivesEveryThreadItsOwnThreadLocals) {
  static const ThreadLocal registered(own);
  EXPECT_TRUE(holds([] {
    atomic<int> turns{0};
    const auto use = [&] {
      check(own == nullptr);
      int mine = 0;
      own = &mine;
      for (int i = 0; i < 3; ++i) {
        turns.fetch_add(1, std::memory_order_relaxed);
        check(own == &mine);
      }
      own = nullptr;
    };
    in_parallel({use, use});
  }));
}

TEST(Explorer, KeepsTheExceptionsOfThreadsApart) {
  EXPECT_TRUE(holds([] {
    atomic<int> turns{0};
    const auto use = [&](int number) {
      return [&turns, number] {
        try {
          throw number;
        } catch (int) {
          turns.fetch_add(1, std::memory_order_relaxed);
          try {
            throw;
          } catch (int caught) {
            check(caught == number);
          }
        }
      };
    };
    in_parallel({use(1), use(2)});
  }));
}

TEST(Explorer, LeavesAtomicsAloneOutsideOfAnExploration) {
  atomic<int> x{1};
  EXPECT_EQ(x.fetch_add(2, std::memory_order_relaxed), 1);
  int expected = 3;
  EXPECT_TRUE(
      x.compare_exchange_weak(expected, 4, std::memory_order_relaxed, std::memory_order_relaxed));
  EXPECT_FALSE(
      x.compare_exchange_weak(expected, 5, std::memory_order_relaxed, std::memory_order_relaxed));
  EXPECT_EQ(expected, 4);
  EXPECT_EQ(x.exchange(6, std::memory_order_relaxed), 4);
  EXPECT_EQ(x.load(std::memory_order_relaxed), 6);
}

TEST(Explorer, KeepsToTheRangeOfTheType) {
  atomic<std::uint8_t> small{0};
  small.fetch_sub(1, std::memory_order_relaxed);
  EXPECT_EQ(small.load(std::memory_order_relaxed), 255);
  std::uint8_t expected = 255;
  EXPECT_TRUE(small.compare_exchange_strong(expected, 1, std::memory_order_relaxed,
                                            std::memory_order_relaxed));
}

}  // namespace
}  // namespace rota::model
