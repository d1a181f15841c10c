// How many CPUs we may use: affinity, and the quotas of both versions of cgroups.
#include "cpus.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sched.h>
#include <string>
#include <thread>

namespace rota::detail {
namespace {

/// A cgroup tree in a temporary folder.
class Cgroup : public testing::Test {
 protected:
  Cgroup() {
    char name[] = "/tmp/rota-cgroup-XXXXXX";
    folder_ = ::mkdtemp(name);
    paths.root = folder_ / "cgroup";
    paths.membership = folder_ / "membership";
    std::filesystem::create_directories(paths.root);
  }
  ~Cgroup() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = std::filesystem::path(paths.root) / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text << '\n';
  }
  void be_member(const std::string& lines) { std::ofstream(paths.membership) << lines; }

  CgroupPaths paths;

 private:
  std::filesystem::path folder_;
};

TEST_F(Cgroup, WithoutFilesMeansNoQuota) {
  EXPECT_FALSE(cpus_by_cgroup_quota(paths));
  be_member("0::/\n");
  EXPECT_FALSE(cpus_by_cgroup_quota(paths));
}

TEST_F(Cgroup, OfVersion2HasItsQuotaInCpuMax) {
  be_member("0::/app\n");
  write("app/cpu.max", "150000 100000");
  EXPECT_EQ(cpus_by_cgroup_quota(paths), 1.5);
  write("app/cpu.max", "max 100000");
  EXPECT_FALSE(cpus_by_cgroup_quota(paths));
}

TEST_F(Cgroup, OfAContainerIsTheRootOfWhatItSees) {
  be_member("0::/\n");
  write("cpu.max", "50000 100000");
  EXPECT_EQ(cpus_by_cgroup_quota(paths), 0.5);
}

TEST_F(Cgroup, IsBoundByTheTightestOfThoseAboveIt) {
  be_member("0::/system.slice/app.service/inner\n");
  write("system.slice/cpu.max", "200000 100000");
  write("system.slice/app.service/cpu.max", "100000 100000");
  write("system.slice/app.service/inner/cpu.max", "300000 100000");
  EXPECT_EQ(cpus_by_cgroup_quota(paths), 1.0);
}

TEST_F(Cgroup, OfVersion1HasItsQuotaInTwoFiles) {
  be_member("12:cpuset:/other\n4:cpu,cpuacct:/docker/abc\n0::/\n");
  write("cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "250000");
  write("cpu,cpuacct/docker/abc/cpu.cfs_period_us", "100000");
  EXPECT_EQ(cpus_by_cgroup_quota(paths), 2.5);
  write("cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "-1");
  EXPECT_FALSE(cpus_by_cgroup_quota(paths));
}

TEST_F(Cgroup, OfVersion1MayBeMountedAsCpu) {
  be_member("4:cpuacct,cpu:/docker/abc\n");
  write("cpu/cpu.cfs_quota_us", "100000");  // a container sees its own group as the root
  write("cpu/cpu.cfs_period_us", "50000");
  EXPECT_EQ(cpus_by_cgroup_quota(paths), 2.0);
}

TEST_F(Cgroup, OfAnotherControllerDoesNotCount) {
  be_member("4:cpuset:/a\n5:cpuacct:/a\n");
  write("cpuset/a/cpu.cfs_quota_us", "100000");
  write("cpuset/a/cpu.cfs_period_us", "100000");
  write("cpuacct/a/cpu.cfs_quota_us", "100000");
  write("cpuacct/a/cpu.cfs_period_us", "100000");
  EXPECT_FALSE(cpus_by_cgroup_quota(paths));
}

TEST_F(Cgroup, WithNonsenseInItsFilesMeansNoQuota) {
  be_member("0::/app\nnonsense\n:\n");
  for (const char* text : {"", "0 100000", "100000 0", "100000", "abc def", "100000 -5"}) {
    write("app/cpu.max", text);
    EXPECT_FALSE(cpus_by_cgroup_quota(paths)) << text;
  }
}

TEST_F(Cgroup, LowersTheUsableCpusButNotBelowOne) {
  be_member("0::/\n");
  write("cpu.max", "1000 100000");
  EXPECT_EQ(usable_cpus(paths), 1u);
  write("cpu.max", "100000000 100000");
  EXPECT_EQ(usable_cpus(paths), cpus_by_affinity());
}

TEST(UsableCpus, AreTheSmallerOfAffinityAndTheQuotaRoundedUp) {
  EXPECT_EQ(usable_cpus(8, {}), 8u);
  EXPECT_EQ(usable_cpus(8, 2.0), 2u);
  EXPECT_EQ(usable_cpus(8, 2.1), 3u);
  EXPECT_EQ(usable_cpus(8, 0.1), 1u);
  EXPECT_EQ(usable_cpus(2, 7.5), 2u);
  EXPECT_EQ(usable_cpus(0, {}), 1u);
}

TEST(UsableCpus, FollowTheAffinityOfTheThread) {
  std::thread([] {
    const unsigned before = cpus_by_affinity();
    cpu_set_t one;
    CPU_ZERO(&one);
    cpu_set_t all;
    ASSERT_EQ(::sched_getaffinity(0, sizeof all, &all), 0);
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (!CPU_ISSET(cpu, &all)) continue;
      CPU_SET(cpu, &one);
      break;
    }
    ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
    EXPECT_EQ(cpus_by_affinity(), 1u);
    EXPECT_GE(before, 1u);
  }).join();
}

}  // namespace
}  // namespace rota::detail
