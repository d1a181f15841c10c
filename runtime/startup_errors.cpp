#include "startup_errors.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <initializer_list>
#include <string_view>
#include <sys/resource.h>
#include <sys/utsname.h>

namespace rota::detail {
namespace {

int read_number(const char* path) {
  std::ifstream file(path);
  int number = -1;
  if (!(file >> number)) return -1;
  return number;
}

void read_process_status(SystemFacts& facts) {
  constexpr std::string_view seccomp = "Seccomp:";
  constexpr std::string_view capabilities = "CapEff:";
  constexpr unsigned ipc_lock_bit = 14;   // CAP_IPC_LOCK, linux/capability.h
  constexpr unsigned sys_admin_bit = 21;  // CAP_SYS_ADMIN
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(seccomp)) facts.seccomp_mode = std::atoi(line.c_str() + seccomp.size());
    if (line.starts_with(capabilities)) {
      const std::uint64_t effective =
          std::strtoull(line.c_str() + capabilities.size(), nullptr, 16);
      facts.can_lock_memory = (effective >> ipc_lock_bit & 1) != 0;
      facts.can_administrate = (effective >> sys_admin_bit & 1) != 0;
    }
  }
}

std::string compose(const std::string& what, const std::string& why,
                    std::initializer_list<std::string_view> todo) {
  std::string text = "rota: " + what + "\n  why: " + why;
  const char* label = "\n  do:  ";
  for (const std::string_view line : todo) {
    text += label;
    text += line;
    label = "\n       ";
  }
  return text;
}

bool older_than_6_1(const std::string& release) {
  int major = 0;
  int minor = 0;
  if (std::sscanf(release.c_str(), "%d.%d", &major, &minor) != 2) return false;
  return major < 6 || (major == 6 && minor < 1);
}

std::string kibibytes(std::uint64_t bytes) { return std::to_string(bytes / 1024) + " KiB"; }

constexpr std::string_view ask_doctor = "rota_doctor shows what this machine allows";

}  // namespace

SystemFacts read_system_facts() {
  SystemFacts facts;
  utsname names{};
  if (::uname(&names) == 0) facts.kernel_release = names.release;
  facts.io_uring_disabled = read_number("/proc/sys/kernel/io_uring_disabled");
  facts.io_uring_group = read_number("/proc/sys/kernel/io_uring_group");
  read_process_status(facts);
  rlimit limit{};
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
    facts.memlock_limit_bytes = limit.rlim_cur;
  return facts;
}

std::uint64_t ring_bytes(unsigned sq_entries, unsigned cq_entries) noexcept {
  // io_uring_setup(2): a head of a few words, then cq_entries CQEs of 16 bytes and sq_entries
  // indexes of 4 in one mapping; sq_entries SQEs of 64 bytes in another. The kernel charges whole
  // pages.
  constexpr std::uint64_t page = 4096;
  constexpr std::uint64_t head = 256;
  const auto whole_pages = [](std::uint64_t bytes) { return (bytes + page - 1) / page * page; };
  return whole_pages(head + std::uint64_t{cq_entries} * 16 + std::uint64_t{sq_entries} * 4) +
         whole_pages(std::uint64_t{sq_entries} * 64);
}

bool disabled_by_setting(const SystemFacts& facts) noexcept {
  return facts.io_uring_disabled == 2 || (facts.io_uring_disabled == 1 && !facts.can_administrate);
}

std::string text_disabled_by_setting(const SystemFacts& facts) {
  const std::string value = std::to_string(facts.io_uring_disabled);
  if (facts.io_uring_disabled == 1)
    return compose(
        "io_uring is not available: io_uring_setup: EPERM",
        "kernel.io_uring_disabled is 1: only privileged processes and the group in "
        "kernel.io_uring_group (" +
            std::to_string(facts.io_uring_group) + ") may use it",
        {"sysctl -w kernel.io_uring_disabled=0   (as root; to keep it, a file in /etc/sysctl.d)",
         "or: sysctl -w kernel.io_uring_group=GID, with the id of a group that this user is in"});
  return compose(
      "io_uring is not available: io_uring_setup: EPERM",
      "kernel.io_uring_disabled is " + value + ": io_uring is switched off for everybody",
      {"sysctl -w kernel.io_uring_disabled=0   (as root; to keep it, a file in /etc/sysctl.d)"});
}

std::string text_blocked_by_seccomp(const SystemFacts& facts) {
  return compose(
      "io_uring is not available: io_uring_setup: EPERM",
      "a seccomp filter is active (Seccomp: " + std::to_string(facts.seccomp_mode) +
          " in /proc/self/status); the default profiles of Docker, containerd and Kubernetes block "
          "io_uring",
      {"allow io_uring_setup, io_uring_enter and io_uring_register in the container's seccomp "
       "profile;",
       "to try it without any: docker run --security-opt seccomp=unconfined ...",
       "in Kubernetes: securityContext.seccompProfile of type Localhost (or Unconfined)"});
}

std::string text_not_permitted(const SystemFacts& /*facts*/) {
  return compose(
      "io_uring is not available: io_uring_setup: EPERM",
      "neither kernel.io_uring_disabled nor a seccomp filter forbids it: most likely a security "
      "module "
      "(SELinux, AppArmor) does",
      {"look for a denial of io_uring: journalctl -k | grep -iE 'avc|apparmor'", ask_doctor});
}

std::string text_not_implemented(const SystemFacts& facts) {
  if (facts.seccomp_mode == 2)
    return compose(
        "io_uring is not available: io_uring_setup: ENOSYS",
        "a seccomp filter is active (Seccomp: 2 in /proc/self/status) and may answer for calls "
        "that it does "
        "not know; or Linux " +
            facts.kernel_release + " was built without io_uring",
        {"allow io_uring_setup, io_uring_enter and io_uring_register in the container's seccomp "
         "profile;",
         "if it is the kernel: use one built with CONFIG_IO_URING=y, Linux 6.1 or later"});
  return compose("io_uring is not available: io_uring_setup: ENOSYS",
                 "Linux " + facts.kernel_release +
                     " was built without io_uring, or this is an emulation of Linux "
                     "(gVisor, WSL 1)",
                 {"use a kernel built with CONFIG_IO_URING=y, Linux 6.1 or later"});
}

std::string text_memlock_too_small(const SystemFacts& facts, std::uint64_t needed_bytes) {
  if (facts.can_lock_memory || facts.memlock_limit_bytes == SystemFacts::unlimited_bytes)
    return compose(
        "no memory for a loop's ring: io_uring_setup: ENOMEM",
        "it takes " + kibibytes(needed_bytes) +
            ", and no limit on locked memory holds for this process: the machine, or this process' "
            "memory cgroup, has none left",
        {"free some: free -m; cat /sys/fs/cgroup/memory.max",
         "or fewer loops, or smaller rings: RuntimeOptions"});
  return compose("a loop's ring does not fit into the locked memory: io_uring_setup: ENOMEM",
                 "it takes " + kibibytes(needed_bytes) + "; the limit is " +
                     kibibytes(facts.memlock_limit_bytes) +
                     " for all processes of this user together (ulimit -l)",
                 {"ulimit -l 65536   (in KiB; for good: a line 'USER - memlock 65536' in "
                  "/etc/security/limits.conf)",
                  "in a systemd unit: LimitMEMLOCK=64M; in Docker: --ulimit memlock=67108864",
                  "or fewer loops, or smaller rings: RuntimeOptions"});
}

std::string text_kernel_too_old(const SystemFacts& facts) {
  if (older_than_6_1(facts.kernel_release))
    return compose(
        "needs Linux 6.1; running " + facts.kernel_release + ": io_uring_setup: EINVAL",
        "this kernel does not know the ring flags that rota is built on (DEFER_TASKRUN, Linux 6.1)",
        {"upgrade the kernel; Debian 12, Ubuntu 24.04 and RHEL 10 have a newer one"});
  return compose(
      "needs Linux 6.1; running " + facts.kernel_release + ": io_uring_setup: EINVAL",
      "the kernel is recent enough by its number, but refuses the ring flags that rota is built on "
      "(DEFER_TASKRUN): a vendor's kernel, a sandbox, or a seccomp filter that answers EINVAL",
      {"try the distribution's own kernel, outside the sandbox", ask_doctor});
}

std::string startup_error_text(int error, const SystemFacts& facts, std::uint64_t needed_bytes) {
  switch (error) {
    case EPERM:
    case EACCES:
      if (disabled_by_setting(facts)) return text_disabled_by_setting(facts);
      if (facts.seccomp_mode == 2) return text_blocked_by_seccomp(facts);
      return text_not_permitted(facts);
    case ENOSYS:
      return text_not_implemented(facts);
    case ENOMEM:
      return text_memlock_too_small(facts, needed_bytes);
    case EINVAL:
      return text_kernel_too_old(facts);
    case EMFILE:
    case ENFILE:
      return compose("a loop's ring needs a file descriptor: io_uring_setup: " +
                         std::string(::strerrorname_np(error)),
                     error == EMFILE
                         ? "this process has as many open as its limit allows (ulimit -n)"
                         : "the whole machine has as many open as fs.file-max allows",
                     {error == EMFILE ? "ulimit -n 65536; in a systemd unit: LimitNOFILE=65536"
                                      : "sysctl -w fs.file-max=1000000   (as root)"});
    default: {
      const char* name = ::strerrorname_np(error);
      return compose(
          "io_uring is not available: io_uring_setup: " +
              (name ? std::string(name) : std::to_string(error)),
          ::strerrordesc_np(error) ? ::strerrordesc_np(error) : "an error that we do not know",
          {ask_doctor});
    }
  }
}

}  // namespace rota::detail
