#include "cpus.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sched.h>
#include <sstream>
#include <string_view>

namespace rota::detail {
namespace {

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::optional<double> ratio(const std::string& quota, const std::string& period) {
  char* end = nullptr;
  const double quota_us = std::strtod(quota.c_str(), &end);
  if (end == quota.c_str() || quota_us <= 0) return {};  // "max", "-1", "": no limit
  const double period_us = std::strtod(period.c_str(), &end);
  if (end == period.c_str() || period_us <= 0) return {};
  return quota_us / period_us;
}

std::optional<double> quota_v2(const std::string& folder) {
  std::istringstream line(first_line(folder + "/cpu.max"));
  std::string quota;
  std::string period;
  line >> quota >> period;
  return ratio(quota, period);
}

std::optional<double> quota_v1(const std::string& folder) {
  return ratio(first_line(folder + "/cpu.cfs_quota_us"), first_line(folder + "/cpu.cfs_period_us"));
}

std::optional<double> smaller(std::optional<double> one, std::optional<double> other) {
  if (!one || !other) return one ? one : other;
  return std::min(*one, *other);
}

// A limit may be set at any level: look at `group` and at every group above it. The root itself is
// looked at too: inside a container's own namespace it *is* the container's group, whatever path
// /proc/self/cgroup names.
template <typename ReadQuota>
std::optional<double> smallest_quota(const std::string& mount, std::string group, ReadQuota read) {
  std::optional<double> least = read(mount);
  while (group.size() > 1) {
    least = smaller(least, read(mount + group));
    group.erase(std::min(group.rfind('/'), group.size()));
  }
  return least;
}

bool names_cpu_controller(std::string_view controllers) {
  while (!controllers.empty()) {
    const std::size_t comma = std::min(controllers.find(','), controllers.size());
    if (controllers.substr(0, comma) == "cpu") return true;
    controllers.remove_prefix(std::min(comma + 1, controllers.size()));
  }
  return false;
}

}  // namespace

unsigned cpus_by_affinity() noexcept {
  // The kernel refuses a mask shorter than its own with EINVAL; 8192 CPUs are the most that x86-64
  // can be built for.
  constexpr int most_cpus = 8192;
  cpu_set_t mask[most_cpus / CPU_SETSIZE];
  if (::sched_getaffinity(0, sizeof mask, mask) != 0) return 1;
  return static_cast<unsigned>(std::max(1, CPU_COUNT_S(sizeof mask, mask)));
}

std::optional<double> cpus_by_cgroup_quota(const CgroupPaths& paths) {
  std::optional<double> least;
  std::ifstream membership(paths.membership);
  // Lines are "0::/group" for version 2 and "4:cpu,cpuacct:/group" for version 1.
  for (std::string line; std::getline(membership, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      least = smaller(least, smallest_quota(paths.root, group, quota_v2));
    } else if (names_cpu_controller(controllers)) {
      // Mounted by the controllers' names; Debian makes /sys/fs/cgroup/cpu a link to cpu,cpuacct.
      least = smaller(least, smallest_quota(paths.root + "/" + controllers, group, quota_v1));
      least = smaller(least, smallest_quota(paths.root + "/cpu", group, quota_v1));
    }
  }
  return least;
}

unsigned usable_cpus(unsigned by_affinity, std::optional<double> by_quota) noexcept {
  if (!by_quota || *by_quota >= by_affinity) return std::max(1u, by_affinity);
  return std::max(1u, static_cast<unsigned>(std::ceil(*by_quota)));
}

unsigned usable_cpus(const CgroupPaths& paths) {
  return usable_cpus(cpus_by_affinity(), cpus_by_cgroup_quota(paths));
}

}  // namespace rota::detail
