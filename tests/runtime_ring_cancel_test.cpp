// How operations are cancelled: nothing is lost, nothing settles twice, nothing settles before its
// cancel is answered.
#include "support/ring_fixture.hpp"

#include <cerrno>

namespace rota::testing_support {
namespace {

class RingCancel : public RingTest {};
ROTA_OVER_BOTH_KERNELS(RingCancel);

TEST_P(RingCancel, EndsAnOperationThatWasNotSubmittedYet) {
  make_ring();
  TestOperation& poll = start_poll(make_doorbell());
  ring().cancel(poll, true);
  ASSERT_TRUE(drain());
  EXPECT_EQ(poll.result(), -ECANCELED);
  EXPECT_TRUE(poll.cancelled_by_task());
  EXPECT_EQ(poll.results.size(), 1u);
  EXPECT_EQ(poll.settled, 1);
}

TEST_P(RingCancel, EndsAnOperationThatTheKernelHolds) {
  make_ring();
  TestOperation& poll = start_poll(make_doorbell());
  step();
  ring().cancel(poll, false);
  ASSERT_TRUE(drain());
  EXPECT_EQ(poll.result(), -ECANCELED);
  EXPECT_FALSE(poll.cancelled_by_task());
  EXPECT_EQ(poll.settled, 1);
}

TEST_P(RingCancel, IsSentOnceHoweverOftenItIsAskedFor) {
  make_ring();
  TestOperation& poll = start_poll(make_doorbell());
  ring().cancel(poll, false);
  ring().cancel(poll, false);
  step();
  ring().cancel(poll, true);
  EXPECT_EQ(ring().counters().cancels_sent, 1u);
  ASSERT_TRUE(drain());
  EXPECT_EQ(poll.settled, 1);
}

TEST_P(RingCancel, RemembersThatATaskWasCancelledAfterSomethingElseAskedForIt) {
  make_ring();
  TestOperation& poll = start_poll(make_doorbell());
  ring().cancel(poll, false);
  ring().cancel(poll, true);
  ASSERT_TRUE(drain());
  EXPECT_TRUE(poll.cancelled_by_task());
}

TEST_P(RingCancel, LeavesTheResultOfAnOperationThatHadCompleted) {
  make_ring();
  TestOperation& nop = start_nop();
  ring().enter_nowait();  // its completion lies in the queue
  ring().cancel(nop, true);
  ring().reap();
  EXPECT_EQ(nop.results.size(), 1u);
  EXPECT_EQ(nop.result(), 0);
  EXPECT_EQ(nop.settled, 0) << "the cancel's own completion is still to come";
  EXPECT_TRUE(nop.in_flight());
  ring().cancel(nop, true);  // changes nothing
  ASSERT_TRUE(drain());
  EXPECT_EQ(nop.results.size(), 1u);
  EXPECT_EQ(nop.settled, 1);
  EXPECT_EQ(ring().counters().cancels_sent, 1u);
  EXPECT_EQ(ring().counters().cancels_retried, 0u);
}

TEST_P(RingCancel, DoesNothingForAnOperationThatHasSettled) {
  make_ring();
  TestOperation& nop = start_nop();
  ASSERT_TRUE(drain());
  ring().cancel(nop, true);
  EXPECT_EQ(ring().counters().cancels_sent, 0u);
  EXPECT_FALSE(nop.cancelled_by_task());
}

TEST_P(RingCancel, IsForgottenWhenTheOperationStartsAgain) {
  make_ring();
  const int doorbell = make_doorbell();
  TestOperation& poll = start_poll(doorbell);
  ring().cancel(poll, true);
  ASSERT_TRUE(drain());
  start_poll(poll, doorbell);
  EXPECT_FALSE(poll.cancelled_by_task());
  ring().cancel(poll, false);
  ASSERT_TRUE(drain());
  EXPECT_EQ(poll.settled, 2);
  EXPECT_EQ(ring().counters().cancels_sent, 2u);
}

TEST_P(RingCancel, FindsAnEntryInAFullQueue) {
  make_ring(small(4, 64));
  const int doorbell = make_doorbell();
  std::vector<TestOperation*> polls;
  for (int i = 0; i < 40; ++i) polls.push_back(&start_poll(doorbell));
  for (TestOperation* poll : polls) ring().cancel(*poll, true);
  ASSERT_TRUE(drain());
  for (const TestOperation* poll : polls) {
    EXPECT_EQ(poll->result(), -ECANCELED);
    EXPECT_EQ(poll->settled, 1);
  }
}

TEST_P(RingCancel, MayComeFromAHook) {
  make_ring();
  TestOperation& quiet = start_poll(make_doorbell());
  const int doorbell = make_doorbell();
  TestOperation& noisy = start_poll(doorbell, true);
  noisy.when_result = [&](const TestOperation::Result& result) {
    ring().cancel(quiet, false);
    if (result.more) ring().cancel(noisy, false);
  };
  step();
  kernel.ring_doorbell(doorbell);
  ASSERT_TRUE(drain());
  EXPECT_EQ(quiet.result(), -ECANCELED);
  EXPECT_EQ(noisy.results.size(), 2u);
  EXPECT_EQ(noisy.settled, 1);
}

// A cancel that is answered -ENOENT while its target is out: the target was between two states.

TEST_P(RingCancel, IsRepeatedUntilItFindsItsTarget) {
  make_ring();
  TestOperation& poll = start_poll(make_doorbell());
  step();
  kernel.cancels_to_miss = 3;
  ring().cancel(poll, true);
  step();
  EXPECT_TRUE(ring().needs_retry());
  EXPECT_TRUE(ring().wants_enter());
  EXPECT_EQ(ring().in_flight(), 1u);
  ASSERT_TRUE(drain());
  EXPECT_EQ(poll.result(), -ECANCELED);
  EXPECT_TRUE(poll.cancelled_by_task());
  EXPECT_EQ(poll.settled, 1);
  EXPECT_EQ(ring().counters().cancels_retried, 3u);
  EXPECT_EQ(ring().counters().cancels_sent, 4u);
  EXPECT_FALSE(ring().needs_retry());
}

TEST_P(RingCancel, IsRepeatedLessAndLessOften) {
  make_ring();
  TestOperation& poll = start_poll(make_doorbell());
  step();
  kernel.cancels_to_miss = 1'000'000;
  ring().cancel(poll, true);
  for (int steps = 0; steps < 1000; ++steps) step();
  EXPECT_LT(ring().counters().cancels_retried, 30u);
  EXPECT_GT(ring().counters().cancels_retried, 10u);
}

TEST_P(RingCancel, ThatMissedDoesNotLetTheLoopSleepForEver) {
  make_ring();
  TestOperation& poll = start_poll(make_doorbell());
  kernel.cancels_to_miss = 2;
  ring().cancel(poll, true);
  step();  // missed
  step();  // repeated at once, and missed again: from now on with a pause
  ASSERT_TRUE(ring().needs_retry());
  ASSERT_FALSE(ring().wants_enter());
  ring().wait(-1);
  EXPECT_EQ(ring().reap(), 0u);
  EXPECT_TRUE(ring().wants_enter()) << "the pause is over";
  ASSERT_TRUE(drain());
  EXPECT_EQ(poll.result(), -ECANCELED);
}

TEST_P(RingCancel, ThatMissedIsForgottenWhenTheTargetEndsByItself) {
  make_ring();
  const int doorbell = make_doorbell();
  TestOperation& poll = start_poll(doorbell);
  TestOperation& other = start_poll(make_doorbell());
  kernel.cancels_to_miss = 2;
  ring().cancel(poll, true);
  ring().cancel(other, true);
  step();
  ASSERT_TRUE(ring().needs_retry());
  kernel.cancels_to_miss = 1'000'000;
  kernel.ring_doorbell(doorbell);
  ASSERT_TRUE(run_until([&] { return poll.settled == 1; }));
  EXPECT_EQ(poll.result(), POLLIN);
  EXPECT_EQ(poll.results.size(), 1u);
  kernel.cancels_to_miss = 0;
  ASSERT_TRUE(drain());
  EXPECT_FALSE(ring().needs_retry());
  EXPECT_EQ(other.result(), -ECANCELED);
}

TEST_P(RingCancel, StormSettlesEveryOperationOnce) {
  make_ring(small(16, 64));
  const int doorbell = make_doorbell();
  std::vector<TestOperation*> polls;
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 25; ++i) {
      polls.push_back(&start_poll(doorbell, i % 2 == 0));
      if (i % 3 == 0) step();
      if (i % 5 == 0) kernel.ring_doorbell(doorbell);
      if (i % 4 == 0) ++kernel.cancels_to_miss;
      ring().cancel(*polls[polls.size() / 2], i % 2 == 0);
    }
    for (TestOperation* poll : polls) ring().cancel(*poll, false);
  }
  ASSERT_TRUE(drain());
  for (const TestOperation* poll : polls) {
    EXPECT_EQ(poll->settled, 1);
    ASSERT_FALSE(poll->results.empty());
    EXPECT_FALSE(poll->results.back().more);
    for (std::size_t i = 0; i + 1 < poll->results.size(); ++i) EXPECT_TRUE(poll->results[i].more);
  }
}

}  // namespace
}  // namespace rota::testing_support
