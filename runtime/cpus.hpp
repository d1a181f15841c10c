/// cpus.hpp: how many CPUs this process may really use.
///
/// A container sees all CPUs of its host and is then throttled: a loop for each would be several
/// that take turns. So we count what the affinity mask allows and what the cgroup's quota pays for,
/// and believe the smaller number.
#pragma once

#include <optional>
#include <string>

namespace rota::detail {

/// Where the cgroup tree is, and which groups this process is in. Tests put a folder of their own
/// here.
struct CgroupPaths {
  CgroupPaths() = default;
  std::string membership = "/proc/self/cgroup";
  std::string root = "/sys/fs/cgroup";
};

/// CPUs in the calling thread's affinity mask, at least 1. Source: sched_getaffinity(2).
unsigned cpus_by_affinity() noexcept;

/// CPUs that the cgroup's quota pays for: the smallest of this group and those above it; nothing if
/// there is no limit. Source: Documentation/admin-guide/cgroup-v2.rst (cpu.max) and
/// scheduler/sched-bwc.rst (v1: cpu.cfs_quota_us).
std::optional<double> cpus_by_cgroup_quota(const CgroupPaths& paths = {});

/// The smaller of the two, a quota rounded up; at least 1.
unsigned usable_cpus(unsigned by_affinity, std::optional<double> by_quota) noexcept;
/// The same of this process, which is what a Runtime takes for the number of its loops.
unsigned usable_cpus(const CgroupPaths& paths = {});

}  // namespace rota::detail
