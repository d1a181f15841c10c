// What a loop may rely on from its ring: submission, completion, waiting. One suite over both
// kernels.
#include "support/ring_fixture.hpp"

#include <algorithm>
#include <string>
#include <sys/mman.h>

namespace rota::testing_support {
namespace {

using detail::Features;
using detail::RingOptions;

class Ring : public RingTest {};
ROTA_OVER_BOTH_KERNELS(Ring);

TEST_P(Ring, CompletesEveryOperationExactlyOnce) {
  make_ring();
  std::vector<TestOperation*> nops;
  for (int i = 0; i < 50; ++i) nops.push_back(&start_nop());
  EXPECT_EQ(ring().in_flight(), 50u);
  ASSERT_TRUE(drain());
  step();
  for (const TestOperation* nop : nops) {
    EXPECT_EQ(nop->results.size(), 1u);
    EXPECT_EQ(nop->settled, 1);
    EXPECT_FALSE(nop->in_flight());
  }
}

TEST_P(Ring, SubmitsAllThatAStepPreparedByOneSystemCall) {
  make_ring();
  for (int i = 0; i < 64; ++i) start_nop();
  EXPECT_EQ(kernel.enters, 0u);
  EXPECT_TRUE(ring().wants_enter());
  ring().enter_nowait();
  EXPECT_EQ(kernel.enters, 1u);
  EXPECT_EQ(ring().counters().sqes, 64u);
  EXPECT_EQ(ring().reap(), 64u);
  EXPECT_EQ(ring().counters().cqes, 64u);
  EXPECT_FALSE(ring().wants_enter());
}

TEST_P(Ring, HasNothingToEnterForWhileItsOperationsWait) {
  make_ring();
  TestOperation& poll = start_poll(make_doorbell());
  step();
  EXPECT_FALSE(ring().wants_enter());
  EXPECT_FALSE(ring().has_completions());
  EXPECT_TRUE(poll.in_flight());
}

TEST_P(Ring, SubmitsAFullQueueBeforeItGivesTheNextEntry) {
  make_ring(small(4, 64));
  ASSERT_EQ(ring().sq_entries(), 4u);
  for (int i = 0; i < 10; ++i) start_nop();
  EXPECT_EQ(kernel.enters, 2u);
  EXPECT_EQ(ring().counters().sqes, 8u);
  EXPECT_TRUE(drain());
  EXPECT_EQ(ring().counters().cqes, 10u);
}

TEST_P(Ring, LetsAHookPrepareMoreThanTheQueueHolds) {
  make_ring(small(4, 64));
  int left = 100;
  std::vector<TestOperation*> nops;
  for (int i = 0; i < 4; ++i) {
    TestOperation& nop = operation();
    nops.push_back(&nop);
    nop.when_settled = [this, &nop, &left] {
      if (left-- <= 0) return;
      start_nop(nop);                                    // itself again
      for (int more = 0; more < 5; ++more) start_nop();  // and more than an empty queue holds
    };
    start_nop(nop);
  }
  ASSERT_TRUE(drain());
  std::size_t results = 0;
  for (const TestOperation* nop : nops) {
    results += nop->results.size();
    EXPECT_EQ(nop->results.size(), static_cast<std::size_t>(nop->settled));
  }
  EXPECT_EQ(results, 104u);
  EXPECT_EQ(ring().counters().cqes, 104u + 500u);
}

TEST_P(Ring, LosesNothingWhenTheCompletionQueueOverflows) {
  make_ring(small(4, 8));
  ASSERT_EQ(ring().cq_entries(), 8u);
  std::vector<TestOperation*> nops;
  for (int i = 0; i < 48; ++i) nops.push_back(&start_nop());
  ring().enter_nowait();
  EXPECT_TRUE(ring().wants_enter()) << "the kernel holds completions back";
  int steps = 0;
  for (; ring().in_flight() > 0 && steps < 100; ++steps) step();
  EXPECT_EQ(ring().in_flight(), 0u);
  EXPECT_GT(ring().counters().overflows, 0u);
  EXPECT_FALSE(ring().wants_enter());
  for (const TestOperation* nop : nops) EXPECT_EQ(nop->results.size(), 1u);
}

TEST_P(Ring, LosesNoneOfTwoHundredThatBecameReadyAtOnceWithOneEnterAStep) {
  make_ring();
  std::vector<int> doorbells;
  std::vector<TestOperation*> polls;
  for (int i = 0; i < 200; ++i) {
    doorbells.push_back(make_doorbell());
    polls.push_back(&start_poll(doorbells.back()));
  }
  step();
  for (const int fd : doorbells) kernel.ring_doorbell(fd);
  const std::uint64_t enters_before = ring().counters().enters;
  std::uint64_t steps = 0;
  unsigned seen = 0;
  for (; seen < 200 && steps < 200; ++steps) {
    ASSERT_TRUE(ring().wants_enter()) << "deferred work is there to run";
    seen += step();
  }
  EXPECT_EQ(seen, 200u);  // the kernel runs 20 in an enter: none of the others is forgotten
  EXPECT_EQ(ring().counters().enters - enters_before, steps) << "at most one enter in a step";
  for (const TestOperation* poll : polls) EXPECT_EQ(poll->results.size(), 1u);
}

TEST_P(Ring, TouchesNoOperationForAnIgnoredEntry) {
  make_ring();
  io_uring_prep_nop(&ring().prepare_ignored());
  EXPECT_EQ(ring().in_flight(), 0u);
  EXPECT_EQ(step(), 1u);
  EXPECT_EQ(ring().counters().cqes, 1u);
}

TEST_P(Ring, ZeroesEveryEntryButItsUserData) {
  make_ring(small(4, 64));
  for (int i = 0; i < 4; ++i) {  // operations that do not exist, with every other bit set
    io_uring_sqe& sqe = ring().prepare_ignored();
    const auto user_data = sqe.user_data;
    std::memset(&sqe, 0xff, sizeof sqe);
    sqe.user_data = user_data;
  }
  step();
  TestOperation& nop = operation();
  const io_uring_sqe& sqe = ring().prepare(nop, -1);  // lies where the first of them was
  io_uring_sqe expected{};
  expected.user_data = sqe.user_data;
  EXPECT_EQ(std::memcmp(&sqe, &expected, sizeof sqe), 0);
  EXPECT_TRUE(drain());
}

TEST_P(Ring, ReportsAKernelErrorAsItCame) {
  make_ring();
  TestOperation& recv = operation("recv");
  char byte;
  io_uring_prep_recv(&ring().prepare(recv, 987654), 987654, &byte, 1, 0);
  ASSERT_TRUE(drain());
  EXPECT_EQ(recv.result(), -EBADF);
  EXPECT_EQ(recv.fd(), 987654);
}

// --- multishot --------------------------------------------------------------------------------

TEST_P(Ring, GivesEveryResultOfAMultishotBeforeItsLast) {
  make_ring();
  const int doorbell = make_doorbell();
  TestOperation& poll = start_poll(doorbell, true);
  step();
  for (std::size_t rings = 1; rings <= 3; ++rings) {
    kernel.ring_doorbell(doorbell);
    ring().wait(second);
    ring().reap();
    ASSERT_EQ(poll.results.size(), rings) << "the doorbell is never read";
    EXPECT_EQ(poll.settled, 0);
  }
  ring().cancel(poll, false);
  ASSERT_TRUE(drain());
  ASSERT_EQ(poll.results.size(), 4u);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(poll.results[static_cast<std::size_t>(i)].more);
  EXPECT_FALSE(poll.results[3].more);
  EXPECT_EQ(poll.results[3].value, -ECANCELED);
  EXPECT_EQ(poll.settled, 1);
}

TEST_P(Ring, LetsAMultishotStartAgainWhenItHasSettled) {
  make_ring();
  const int doorbell = make_doorbell();
  TestOperation& poll = start_poll(doorbell, true);
  bool again = true;
  poll.when_settled = [&] {
    if (std::exchange(again, false)) start_poll(poll, doorbell, true);
  };
  ring().cancel(poll, false);
  ASSERT_TRUE(run_until([&] { return poll.settled == 1; }));
  EXPECT_TRUE(poll.in_flight());
  kernel.ring_doorbell(doorbell);
  ASSERT_TRUE(run_until([&] { return poll.results.size() == 2; }));
  EXPECT_TRUE(poll.results[1].more);
}

// --- a kernel that refuses --------------------------------------------------------------------

TEST_P(Ring, KeepsWhatAnInterruptedEnterDidNotSubmit) {
  make_ring();
  TestOperation& nop = start_nop();
  kernel.enter_errors = {-EINTR};
  ring().wait(-1);
  EXPECT_EQ(ring().counters().sqes, 0u);
  EXPECT_TRUE(ring().wants_enter());
  ASSERT_TRUE(drain());
  EXPECT_EQ(nop.results.size(), 1u);
}

TEST_P(Ring, RunsNoHookInsidePrepareEvenWhenTheKernelRefusesToTakeMore) {
  make_ring(small(4, 64));
  std::string order;
  std::vector<TestOperation*> nops;
  for (char name = 'a'; name <= 'd'; ++name) {
    nops.push_back(&start_nop());
    nops.back()->when_result = [&order, name](const auto&) { order += name; };
  }
  ring().enter_nowait();  // a to d have completed and are not reaped
  for (char name = 'e'; name <= 'h'; ++name) {
    nops.push_back(&start_nop());
    nops.back()->when_result = [&order, name](const auto&) { order += name; };
  }
  kernel.enter_errors = {-EAGAIN, -EBUSY, -EAGAIN, -ENOMEM};
  start_nop();  // the queue is full
  EXPECT_EQ(order, "");
  EXPECT_TRUE(kernel.enter_errors.empty());
  EXPECT_GE(kernel.back_offs.size(), 1u) << "it does not retry without a pause";
  EXPECT_TRUE(ring().has_completions());
  ASSERT_TRUE(drain());
  step();
  EXPECT_EQ(order, "abcdefgh") << "what was put aside comes first, and once";
}

TEST_P(Ring, GoesOnInOrderWhenAHookCausedCompletionsToBePutAside) {
  make_ring(small(4, 64));
  std::string order;
  for (char name = 'a'; name <= 'd'; ++name)
    start_nop().when_result = [this, &order, name](const auto&) {
      order += name;
      if (name != 'b') return;
      kernel.enter_errors = {-EAGAIN};
      for (int i = 0; i < 5; ++i) start_nop().when_result = [&order](const auto&) { order += '.'; };
    };
  ASSERT_TRUE(drain());
  step();
  EXPECT_EQ(order, "abcd.....");
}

TEST_P(Ring, GivesSlotsBackBeforeItSubmitsWhatMayFillThem) {
  make_ring(small(4, 8));
  for (int i = 0; i < 7; ++i) start_nop();
  start_nop().when_settled = [this] {
    for (int i = 0; i < 5; ++i) start_nop();  // a full queue of them is submitted while we reap
  };
  ring().enter_nowait();  // the completion queue is full
  ASSERT_TRUE(drain());
  EXPECT_EQ(ring().counters().cqes, 13u);
  EXPECT_EQ(ring().counters().overflows, 0u);
}

// --- what is in flight ------------------------------------------------------------------------

TEST_P(Ring, ShowsWhatIsInFlight) {
  make_ring();
  const int doorbell = make_doorbell();
  TestOperation& poll = start_poll(doorbell);
  TestOperation& other = operation("accept");
  start_poll(other, doorbell);
  start_nop();
  step();
  std::vector<const detail::Operation*> seen;
  ring().for_each_in_flight([&](detail::Operation& one) { seen.push_back(&one); });
  EXPECT_EQ(seen.size(), 2u);
  EXPECT_NE(std::ranges::find(seen, &poll), seen.end());
  EXPECT_NE(std::ranges::find(seen, &other), seen.end());

  kernel.cancels_to_miss = 1;
  ring().cancel(other, true);
  const int file = ::memfd_create("dump", MFD_CLOEXEC);
  ring().dump(file);
  step();
  ring().dump(file);
  char text[1000] = {};
  EXPECT_GT(::pread(file, text, sizeof text - 1, 0), 0);
  ::close(file);
  const std::string fd = std::to_string(doorbell);
  EXPECT_EQ(std::string(text), "  accept on descriptor " + fd +
                                   ", cancel sent\n  poll on descriptor " + fd +
                                   "\n  poll on descriptor " + fd + "\n  accept on descriptor " +
                                   fd + ", cancel missed it and will be repeated\n");
}

TEST_P(Ring, KnowsWhatIsInFlightInWhateverOrderItEnds) {
  make_ring();
  int orders[][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 2, 0, 3},
                     {2, 1, 3, 0}, {1, 3, 2, 0}, {2, 0, 1, 3}};
  for (const auto& order : orders) {
    std::vector<TestOperation*> polls;
    for (int i = 0; i < 4; ++i) polls.push_back(&start_poll(make_doorbell()));
    for (unsigned left = 4; left > 0; --left) {
      std::vector<const detail::Operation*> seen;
      ring().for_each_in_flight([&](detail::Operation& one) { seen.push_back(&one); });
      ASSERT_EQ(seen.size(), left);
      ASSERT_EQ(ring().in_flight(), left);
      TestOperation& next = *polls[static_cast<std::size_t>(order[4 - left])];
      EXPECT_NE(std::ranges::find(seen, &next), seen.end());
      ring().cancel(next, false);
      ASSERT_TRUE(run_until([&] { return next.settled == 1; }));
    }
  }
}

// --- older kernels ----------------------------------------------------------------------------

class RingWithoutFeatures : public RingTest {};
ROTA_OVER_BOTH_KERNELS(RingWithoutFeatures);

TEST_P(RingWithoutFeatures, WorksWithAnyOfThemMissing) {
  constexpr std::uint32_t each[] = {Features::all,
                                    ~Features::taskrun_flag_bit,
                                    ~Features::registered_ring_bit,
                                    ~Features::no_iowait_bit,
                                    ~Features::bundle_bit,
                                    0};
  for (const std::uint32_t mask : each) {
    SCOPED_TRACE(mask);
    RingOptions options;
    options.features = mask;
    make_ring(options);
    kernel.enter_flags = 0;
    const int doorbell = make_doorbell();
    TestOperation& poll = start_poll(doorbell, true);
    TestOperation& nop = start_nop();
    ring().wait(millisecond);
    step();
    EXPECT_EQ(nop.settled, 1);
    kernel.ring_doorbell(doorbell);
    EXPECT_TRUE(ring().wants_enter()) << "without the flag an enter must find out";
    step();
    EXPECT_EQ(poll.results.size(), 1u);
    ring().cancel(poll, true);
    EXPECT_TRUE(drain());
    EXPECT_EQ(poll.result(), -ECANCELED);

    const bool flag = (mask & Features::taskrun_flag_bit) != 0;
    EXPECT_EQ((kernel.setups.back().flags & IORING_SETUP_TASKRUN_FLAG) != 0, flag);
    EXPECT_EQ(ring().features().taskrun_flag, flag);
    const bool registered = (mask & Features::registered_ring_bit) != 0;
    EXPECT_EQ((kernel.enter_flags & IORING_ENTER_REGISTERED_RING) != 0, registered);
    const bool no_iowait = (mask & Features::no_iowait_bit) != 0;
    EXPECT_EQ((kernel.enter_flags & 1u << 7) != 0, no_iowait && ring().features().no_iowait);
    if ((mask & Features::bundle_bit) == 0) {
      EXPECT_FALSE(ring().features().bundle);
    }
  }
}

}  // namespace
}  // namespace rota::testing_support
