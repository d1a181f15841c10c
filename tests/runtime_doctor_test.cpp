// What rota_doctor finds, and what it says about it.
#include "doctor.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace rota::detail {
namespace {

using testing::HasSubstr;
using testing::Not;

DoctorFacts good_facts() {
  DoctorFacts facts;
  facts.system.kernel_release = "6.18.44";
  facts.system.memlock_limit_bytes = 8 << 20;
  facts.features = {true, true, true, true};
  facts.descriptors_now = 20000;
  facts.descriptors_allowed = 20000;
  facts.cpus_by_affinity = 4;
  return facts;
}

TEST(Doctor, FindsNothingToChangeOnAGoodMachine) {
  EXPECT_EQ(
      report(diagnose(good_facts())),
      "kernel         Linux 6.18.44  ->  ok\n"
      "io_uring       a ring was made and works  ->  ok\n"
      "features       taskrun-flag registered-ring no-iowait bundle  ->  ok\n"
      "locked memory  8192 KiB (ulimit -l): room for 97 loops of all this user's programs  ->  ok\n"
      "descriptors    20000 (ulimit -n)  ->  ok\n"
      "CPUs           4 usable: 4 by affinity, no quota  ->  ok\n"
      "rota can run here\n");
  EXPECT_TRUE(can_run(diagnose(good_facts())));
}

TEST(Doctor, GivesACureForEveryThingThatCouldBeBetter) {
  DoctorFacts facts = good_facts();
  facts.features = {true, true, false, false};
  facts.system.memlock_limit_bytes = 64 * 1024;
  facts.descriptors_now = 1024;
  facts.descriptors_allowed = 1'048'576;
  facts.cpus_by_quota = 0.5;
  EXPECT_EQ(report(diagnose(facts)),
            "kernel         Linux 6.18.44  ->  ok\n"
            "io_uring       a ring was made and works  ->  ok\n"
            "features       taskrun-flag registered-ring  ->  missing: no-iowait bundle; faster "
            "with Linux 6.15 or "
            "later, works without\n"
            "locked memory  64 KiB (ulimit -l): room for 0 loops of all this user's programs  ->  "
            "ulimit -l 65536; in "
            "a systemd unit: LimitMEMLOCK=64M\n"
            "descriptors    1024 (ulimit -n)  ->  a server needs one for each connection: ulimit "
            "-n 1048576; in a "
            "systemd unit: LimitNOFILE=65536\n"
            "CPUs           1 usable: 4 by affinity, quota 0.5  ->  less than one CPU: the "
            "container stands still for "
            "part of every period; give it one (--cpus=1)\n"
            "rota can run here\n");
}

TEST(Doctor, SaysThatRotaCannotRunWithoutARing) {
  DoctorFacts facts = good_facts();
  facts.system.seccomp_mode = 2;
  facts.ring_failure = text_blocked_by_seccomp(facts.system);
  const std::string text = report(diagnose(facts));
  EXPECT_FALSE(can_run(diagnose(facts)));
  EXPECT_THAT(text, HasSubstr("io_uring       a ring could not be made  ->  see here:\nrota: "
                              "io_uring is not available"));
  EXPECT_THAT(text, HasSubstr("\n  do:  allow io_uring_setup"));
  EXPECT_THAT(text, HasSubstr("\nrota cannot run here\n"));
  EXPECT_THAT(text, Not(HasSubstr("features")));
}

TEST(Doctor, RoundsAQuotaUpToWholeLoops) {
  DoctorFacts facts = good_facts();
  facts.cpus_by_quota = 1.25;
  EXPECT_THAT(report(diagnose(facts)),
              HasSubstr("CPUs           2 usable: 4 by affinity, quota 1.25  ->  ok\n"));
}

TEST(Doctor, KnowsThatLockedMemoryIsNotCountedForThePrivileged) {
  DoctorFacts facts = good_facts();
  facts.system.memlock_limit_bytes = 0;
  facts.system.can_lock_memory = true;
  EXPECT_THAT(report(diagnose(facts)),
              HasSubstr("locked memory  not limited (CAP_IPC_LOCK)  ->  ok\n"));
}

TEST(Doctor, ExaminesThisMachineByMakingARing) {
  const DoctorFacts facts = examine();
  EXPECT_EQ(facts.ring_failure, "");
  EXPECT_TRUE(can_run(diagnose(facts)));
  EXPECT_GE(facts.cpus_by_affinity, 1u);
  EXPECT_GT(facts.descriptors_now, 0u);
}

}  // namespace
}  // namespace rota::detail
