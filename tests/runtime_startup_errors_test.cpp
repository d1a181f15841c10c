// The texts that an operator sees when io_uring cannot be used; and each cause for real, in a child
// process.
#include "ring.hpp"
#include "startup_errors.hpp"
#include "support/child.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <string>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

namespace rota::testing_support {
namespace {

using detail::SystemFacts;

SystemFacts facts_of_a_usual_machine() {
  SystemFacts facts;
  facts.kernel_release = "6.18.44";
  facts.io_uring_disabled = 0;
  facts.io_uring_group = -1;
  facts.seccomp_mode = 0;
  facts.memlock_limit_bytes = 65536;
  return facts;
}

std::string text(int error, const SystemFacts& facts) {
  return startup_error_text(error, facts, 16384);
}

// --- the texts --------------------------------------------------------------------------------

TEST(StartupErrors, TellThatASeccompFilterBlocksIt) {
  SystemFacts facts = facts_of_a_usual_machine();
  facts.seccomp_mode = 2;
  EXPECT_EQ(
      text(EPERM, facts),
      "rota: io_uring is not available: io_uring_setup: EPERM\n"
      "  why: a seccomp filter is active (Seccomp: 2 in /proc/self/status); the default profiles "
      "of Docker, "
      "containerd and Kubernetes block io_uring\n"
      "  do:  allow io_uring_setup, io_uring_enter and io_uring_register in the container's "
      "seccomp profile;\n"
      "       to try it without any: docker run --security-opt seccomp=unconfined ...\n"
      "       in Kubernetes: securityContext.seccompProfile of type Localhost (or Unconfined)");
}

TEST(StartupErrors, TellThatASettingSwitchesItOffForEverybody) {
  SystemFacts facts = facts_of_a_usual_machine();
  facts.io_uring_disabled = 2;
  facts.can_administrate = true;  // does not help
  facts.seccomp_mode = 2;         // is not what to look at first
  EXPECT_EQ(text(EPERM, facts),
            "rota: io_uring is not available: io_uring_setup: EPERM\n"
            "  why: kernel.io_uring_disabled is 2: io_uring is switched off for everybody\n"
            "  do:  sysctl -w kernel.io_uring_disabled=0   (as root; to keep it, a file in "
            "/etc/sysctl.d)");
}

TEST(StartupErrors, TellThatASettingReservesItForAGroup) {
  SystemFacts facts = facts_of_a_usual_machine();
  facts.io_uring_disabled = 1;
  facts.io_uring_group = 990;
  EXPECT_EQ(text(EPERM, facts),
            "rota: io_uring is not available: io_uring_setup: EPERM\n"
            "  why: kernel.io_uring_disabled is 1: only privileged processes and the group in "
            "kernel.io_uring_group "
            "(990) may use it\n"
            "  do:  sysctl -w kernel.io_uring_disabled=0   (as root; to keep it, a file in "
            "/etc/sysctl.d)\n"
            "       or: sysctl -w kernel.io_uring_group=GID, with the id of a group that this user "
            "is in");
  facts.can_administrate = true;
  EXPECT_EQ(text(EPERM, facts).find("kernel.io_uring_disabled is"), std::string::npos)
      << "a privileged process is not kept out by 1";
}

TEST(StartupErrors, TellThatSomethingElseForbidsIt) {
  EXPECT_EQ(text(EPERM, facts_of_a_usual_machine()),
            "rota: io_uring is not available: io_uring_setup: EPERM\n"
            "  why: neither kernel.io_uring_disabled nor a seccomp filter forbids it: most likely "
            "a security module "
            "(SELinux, AppArmor) does\n"
            "  do:  look for a denial of io_uring: journalctl -k | grep -iE 'avc|apparmor'\n"
            "       rota_doctor shows what this machine allows");
}

TEST(StartupErrors, TellThatTheKernelHasNoIoUring) {
  SystemFacts facts = facts_of_a_usual_machine();
  EXPECT_EQ(text(ENOSYS, facts),
            "rota: io_uring is not available: io_uring_setup: ENOSYS\n"
            "  why: Linux 6.18.44 was built without io_uring, or this is an emulation of Linux "
            "(gVisor, WSL 1)\n"
            "  do:  use a kernel built with CONFIG_IO_URING=y, Linux 6.1 or later");
  facts.seccomp_mode = 2;
  EXPECT_EQ(text(ENOSYS, facts),
            "rota: io_uring is not available: io_uring_setup: ENOSYS\n"
            "  why: a seccomp filter is active (Seccomp: 2 in /proc/self/status) and may answer "
            "for calls that it "
            "does not know; or Linux 6.18.44 was built without io_uring\n"
            "  do:  allow io_uring_setup, io_uring_enter and io_uring_register in the container's "
            "seccomp profile;\n"
            "       if it is the kernel: use one built with CONFIG_IO_URING=y, Linux 6.1 or later");
}

TEST(StartupErrors, TellHowMuchLockedMemoryIsMissing) {
  EXPECT_EQ(text(ENOMEM, facts_of_a_usual_machine()),
            "rota: a loop's ring does not fit into the locked memory: io_uring_setup: ENOMEM\n"
            "  why: it takes 16 KiB; the limit is 64 KiB for all processes of this user together "
            "(ulimit -l)\n"
            "  do:  ulimit -l 65536   (in KiB; for good: a line 'USER - memlock 65536' in "
            "/etc/security/limits.conf)\n"
            "       in a systemd unit: LimitMEMLOCK=64M; in Docker: --ulimit memlock=67108864\n"
            "       or fewer loops, or smaller rings: RuntimeOptions");
}

TEST(StartupErrors, TellThatTheMachineIsOutOfMemoryWhereNoLimitIsSet) {
  SystemFacts facts = facts_of_a_usual_machine();
  facts.memlock_limit_bytes = SystemFacts::unlimited_bytes;
  EXPECT_EQ(text(ENOMEM, facts),
            "rota: no memory for a loop's ring: io_uring_setup: ENOMEM\n"
            "  why: it takes 16 KiB, and no limit on locked memory holds for this process: the "
            "machine, or this "
            "process' memory "
            "cgroup, has none left\n"
            "  do:  free some: free -m; cat /sys/fs/cgroup/memory.max\n"
            "       or fewer loops, or smaller rings: RuntimeOptions");
}

TEST(StartupErrors, TellThatTheKernelIsTooOld) {
  SystemFacts facts = facts_of_a_usual_machine();
  facts.kernel_release = "5.15.0-91-generic";
  EXPECT_EQ(text(EINVAL, facts),
            "rota: needs Linux 6.1; running 5.15.0-91-generic: io_uring_setup: EINVAL\n"
            "  why: this kernel does not know the ring flags that rota is built on (DEFER_TASKRUN, "
            "Linux 6.1)\n"
            "  do:  upgrade the kernel; Debian 12, Ubuntu 24.04 and RHEL 10 have a newer one");
  facts.kernel_release = "6.18.44";
  EXPECT_EQ(
      text(EINVAL, facts),
      "rota: needs Linux 6.1; running 6.18.44: io_uring_setup: EINVAL\n"
      "  why: the kernel is recent enough by its number, but refuses the ring flags that rota is "
      "built on "
      "(DEFER_TASKRUN): a vendor's kernel, a sandbox, or a seccomp filter that answers EINVAL\n"
      "  do:  try the distribution's own kernel, outside the sandbox\n"
      "       rota_doctor shows what this machine allows");
}

TEST(StartupErrors, TellThatDescriptorsHaveRunOut) {
  EXPECT_EQ(text(EMFILE, facts_of_a_usual_machine()),
            "rota: a loop's ring needs a file descriptor: io_uring_setup: EMFILE\n"
            "  why: this process has as many open as its limit allows (ulimit -n)\n"
            "  do:  ulimit -n 65536; in a systemd unit: LimitNOFILE=65536");
}

TEST(StartupErrors, NameAnErrorThatTheyDoNotKnow) {
  EXPECT_EQ(text(EIO, facts_of_a_usual_machine()),
            "rota: io_uring is not available: io_uring_setup: EIO\n"
            "  why: Input/output error\n"
            "  do:  rota_doctor shows what this machine allows");
  EXPECT_NE(text(4321, facts_of_a_usual_machine()).find("io_uring_setup: 4321\n"),
            std::string::npos);
}

TEST(StartupErrors, CountTheMemoryThatARingTakesAsTheKernelDoes) {
  EXPECT_EQ(detail::ring_bytes(256, 4096), 84u * 1024);
  EXPECT_EQ(detail::ring_bytes(64, 512), 16u * 1024);
}

// --- the causes -------------------------------------------------------------------------------

// As a container's profile: io_uring_setup fails with `error`, everything else is allowed.
bool forbid_io_uring(int error) {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{std::size(program), program};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) == 0;
}

/// Makes a ring; exits with the errno of the StartupError and prints its text.
int try_to_make_a_ring(const detail::RingOptions& options = {}) {
  try {
    detail::Ring ring(detail::real_kernel(), options);
    return 0;
  } catch (const StartupError& error) {
    ::dprintf(STDERR_FILENO, "%s", error.what());
    return error.error();
  }
}

void expect_refusal(const ChildResult& child, int error, const std::string& part) {
  EXPECT_EQ(child.exit_code, error) << child.output;
  EXPECT_NE(child.output.find(part), std::string::npos) << child.output;
  EXPECT_NE(child.output.find("\n  why: "), std::string::npos) << child.output;
  EXPECT_NE(child.output.find("\n  do:  "), std::string::npos) << child.output;
}

TEST(StartupFailure, ShowsTheSeccompFilterThatAnswersEPERM) {
  expect_refusal(run_in_child([] { return forbid_io_uring(EPERM) ? try_to_make_a_ring() : 99; }),
                 EPERM, "a seccomp filter is active (Seccomp: 2 in /proc/self/status)");
}

TEST(StartupFailure, ShowsTheSeccompFilterThatAnswersENOSYS) {
  expect_refusal(run_in_child([] { return forbid_io_uring(ENOSYS) ? try_to_make_a_ring() : 99; }),
                 ENOSYS,
                 "a seccomp filter is active (Seccomp: 2 in /proc/self/status) and may answer");
}

TEST(StartupFailure, ShowsTheKernelThatAnswersEINVAL) {
  expect_refusal(run_in_child([] { return forbid_io_uring(EINVAL) ? try_to_make_a_ring() : 99; }),
                 EINVAL, "rota: needs Linux 6.1; running ");
}

TEST(StartupFailure, ShowsTheSettingWhenItForbids) {
  // The real one may not be changed by a test: the errno comes from a filter and the setting from
  // here.
  expect_refusal(run_in_child([] {
                   detail::RingOptions options;
                   options.read_facts = [] {
                     SystemFacts facts = detail::read_system_facts();
                     facts.io_uring_disabled = 2;
                     return facts;
                   };
                   return forbid_io_uring(EPERM) ? try_to_make_a_ring(options) : 99;
                 }),
                 EPERM, "kernel.io_uring_disabled is 2");
}

TEST(StartupFailure, ShowsTheLimitOfLockedMemory) {
  constexpr int cannot_become_unprivileged = 77;
  const ChildResult child = run_in_child(
      [] { return become_unprivileged(0) ? try_to_make_a_ring() : cannot_become_unprivileged; });
  if (child.exit_code == cannot_become_unprivileged)
    GTEST_SKIP() << "needs root, to become somebody else";
  expect_refusal(child, ENOMEM,
                 "it takes 16 KiB; the limit is 0 KiB for all processes of this user");
}

TEST(SystemFacts, AreThoseOfThisMachine) {
  const SystemFacts facts = detail::read_system_facts();
  utsname names{};
  ::uname(&names);
  EXPECT_EQ(facts.kernel_release, names.release);
  EXPECT_EQ(facts.seccomp_mode, ::prctl(PR_GET_SECCOMP));
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  ASSERT_EQ(::syscall(SYS_capget, &header, data), 0);
  EXPECT_EQ(facts.can_administrate, (data[0].effective >> CAP_SYS_ADMIN & 1) != 0);
  EXPECT_EQ(facts.can_lock_memory, (data[0].effective >> CAP_IPC_LOCK & 1) != 0);
  rlimit limit{};
  ::getrlimit(RLIMIT_MEMLOCK, &limit);
  EXPECT_EQ(facts.memlock_limit_bytes,
            limit.rlim_cur == RLIM_INFINITY ? SystemFacts::unlimited_bytes : limit.rlim_cur);
}

}  // namespace
}  // namespace rota::testing_support
