// How a ring begins and ends: short memory, refusals, forks, and operations that do not end in
// time.
#include "startup_errors.hpp"
#include "support/child.hpp"
#include "support/ring_fixture.hpp"

#include <cerrno>
#include <csignal>
#include <optional>
#include <thread>

namespace rota::testing_support {
namespace {

using detail::Ring;
using detail::RingOptions;

class RingSetup : public RingTest {};
ROTA_OVER_BOTH_KERNELS(RingSetup);

TEST_P(RingSetup, AsksForTheFlagsThatTheLoopIsBuiltOn) {
  make_ring();
  ASSERT_EQ(kernel.setups.size(), 1u);
  EXPECT_EQ(kernel.setups[0].flags, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                                        IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL |
                                        IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE |
                                        IORING_SETUP_R_DISABLED);
  EXPECT_EQ(ring().sq_entries(), 256u);
  EXPECT_EQ(ring().cq_entries(), 4096u);
}

TEST_P(RingSetup, WaitsForMemoryThatAClosedRingStillHolds) {
  kernel.setup_errors = {-ENOMEM, -ENOMEM, -ENOMEM};
  make_ring();
  EXPECT_EQ(kernel.back_offs,
            (std::vector<std::int64_t>{millisecond, 2 * millisecond, 4 * millisecond}));
  EXPECT_EQ(ring().sq_entries(), 256u);
  EXPECT_EQ(ring().cq_entries(), 4096u);
}

TEST_P(RingSetup, TakesASmallerRingWhenMemoryStaysShort) {
  kernel.setup_errors.assign(10, -ENOMEM);
  make_ring();
  EXPECT_EQ(kernel.back_offs.size(), 7u);
  EXPECT_EQ(kernel.back_offs.back(), 64 * millisecond);
  EXPECT_EQ(ring().sq_entries(), 64u);
  EXPECT_EQ(ring().cq_entries(), 512u);
  start_nop();
  EXPECT_TRUE(drain());
}

TEST_P(RingSetup, SaysHowMuchMemoryItNeedsWhenThereIsNone) {
  kernel.setup_errors.assign(100, -ENOMEM);
  try {
    make_ring();
    FAIL() << "it had no memory";
  } catch (const StartupError& error) {
    EXPECT_EQ(error.error(), ENOMEM);
    EXPECT_NE(std::string(error.what()).find("it takes 16 KiB"), std::string::npos) << error.what();
  }
  EXPECT_EQ(kernel.setups.back().sq_entries, 64u);
  EXPECT_EQ(kernel.setups.back().cq_entries, 512u);
}

TEST_P(RingSetup, DoesWithoutTheTaskrunFlagWhereTheKernelDoesNotKnowIt) {
  kernel.setup_errors = {-EINVAL};
  make_ring();
  EXPECT_FALSE(ring().features().taskrun_flag);
  start_nop();
  EXPECT_TRUE(drain());
}

TEST_P(RingSetup, FailsWhereTheKernelIsTooOld) {
  kernel.setup_errors.assign(2, -EINVAL);
  RingOptions options;
  options.read_facts = [] {
    detail::SystemFacts facts;
    facts.kernel_release = "5.15.0-91-generic";
    return facts;
  };
  try {
    make_ring(options);
    FAIL() << "that kernel cannot do it";
  } catch (const StartupError& error) {
    EXPECT_EQ(error.error(), EINVAL);
    EXPECT_NE(std::string(error.what()).find("needs Linux 6.1; running 5.15.0-91-generic"),
              std::string::npos);
  }
}

TEST_P(RingSetup, DoesNotRetryWhatIsForbidden) {
  kernel.setup_errors = {-EPERM};
  EXPECT_THROW(make_ring(), StartupError);
  EXPECT_EQ(kernel.setups.size(), 1u);
  EXPECT_TRUE(kernel.back_offs.empty());
}

TEST_P(RingSetup, BelongsToTheThreadThatEnablesIt) {
  Ring made_here(kernel, {});
  int result = -1;
  const auto use = [&] {
    made_here.enable();
    TestOperation nop("nop");
    io_uring_prep_nop(&made_here.prepare(nop, -1));
    made_here.wait(-1);
    made_here.reap();
    result = nop.result();
  };
  if (over_real_kernel())
    std::thread(use).join();
  else
    use();
  EXPECT_EQ(result, 0);
}

// --- operations that do not end in time -------------------------------------------------------

TEST_P(RingSetup, IsGivenUpWithAMessageWhenItCannotBeDrained) {
  const ChildResult child = run_in_child([this] {
    make_ring();
    auto* poll = new TestOperation("poll");  // as its ring, never freed
    const int doorbell = kernel.make_doorbell();
    io_uring_prep_poll_add(&ring().prepare(*poll, doorbell), doorbell, POLLIN);
    step();
    ring().leak();
    make_ring();  // ends the first
    kernel.ring_doorbell(doorbell);
    return 0;
  });
  EXPECT_EQ(child.exit_code, 0) << child.output;
  EXPECT_NE(child.output.find("rota: 1 operations are still with the kernel"), std::string::npos)
      << child.output;
  EXPECT_NE(child.output.find("  poll on descriptor "), std::string::npos) << child.output;
}

// --- forks ------------------------------------------------------------------------------------

class RealRing : public RingTest {};
INSTANTIATE_TEST_SUITE_P(Over, RealRing, testing::Values("real"), kernel_name);

constexpr const char* fork_message =
    "rota: an event loop made before fork() is used in the child process";

TEST_P(RealRing, AbortsWithAMessageWhenAForkedChildUsesIt) {
  make_ring();
  const std::function<void()> uses[] = {[this] { start_nop(); }, [this] { ring().wants_enter(); },
                                        [this] { ring().enter_nowait(); },
                                        [this] { ring().wait(-1); }};
  for (const auto& use : uses) {
    const ChildResult child = run_in_child([&use] {
      use();
      return 0;
    });
    EXPECT_EQ(child.signal, SIGABRT);
    EXPECT_NE(child.output.find(fork_message), std::string::npos) << child.output;
  }
  TestOperation& nop = start_nop();
  ASSERT_TRUE(drain()) << "the parent has not noticed";
  EXPECT_EQ(nop.results.size(), 1u);
}

TEST_P(RealRing, MayBeDestroyedInAForkedChildWithoutHarmToTheParent) {
  std::optional<Ring> shared;
  shared.emplace(detail::real_kernel(), RingOptions());
  shared->enable();
  TestOperation poll("poll");
  const int doorbell = make_doorbell();
  io_uring_prep_poll_add(&shared->prepare(poll, doorbell), doorbell, POLLIN);
  shared->enter_nowait();
  const ChildResult child = run_in_child([&] {
    shared.reset();
    Ring own(detail::real_kernel(), {});
    own.enable();
    TestOperation nop("nop");
    io_uring_prep_nop(&own.prepare(nop, -1));
    own.wait(-1);
    own.reap();
    return nop.settled;
  });
  EXPECT_EQ(child.exit_code, 1) << child.output;
  kernel.ring_doorbell(doorbell);
  shared->wait(-1);
  shared->reap();
  EXPECT_EQ(poll.result(), POLLIN);
}

// --- locked memory ----------------------------------------------------------------------------

constexpr rlim_t eight_mebibytes = 8 << 20;
constexpr int cannot_become_unprivileged = 77;

TEST_P(RealRing, FitsSixtyFourTimesIntoTheUsualLimitOfAnOrdinaryUser) {
  const ChildResult child = run_in_child([] {
    if (!become_unprivileged(eight_mebibytes)) return cannot_become_unprivileged;
    std::deque<Ring> rings;
    for (int i = 0; i < 64; ++i)
      if (rings.emplace_back(detail::real_kernel(), RingOptions()).cq_entries() != 4096) return 1;
    return 0;
  });
  if (child.exit_code == cannot_become_unprivileged)
    GTEST_SKIP() << "needs root, to become somebody else";
  EXPECT_EQ(child.exit_code, 0) << child.output;
}

// The kernel takes a closed ring's memory off the user's account some time later.
TEST_P(RealRing, CanBeMadeAgainAndAgainByAnOrdinaryUser) {
  const ChildResult child = run_in_child([] {
    if (!become_unprivileged(eight_mebibytes)) return cannot_become_unprivileged;
    for (int i = 0; i < 300; ++i) {
      Ring ring(detail::real_kernel(), {});
      ring.enable();
      if (ring.cq_entries() != 4096) return 1;
    }
    return 0;
  });
  if (child.exit_code == cannot_become_unprivileged)
    GTEST_SKIP() << "needs root, to become somebody else";
  EXPECT_EQ(child.exit_code, 0) << child.output;
}

}  // namespace
}  // namespace rota::testing_support
