#include "doctor.hpp"

#include "cpus.hpp"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <sstream>
#include <sys/resource.h>

namespace rota::detail {
namespace {

// Below this a server that holds a connection for each user is soon out of descriptors.
constexpr std::uint64_t descriptors_wanted = 4096;

class Probe final : public Operation {
 public:
  Probe() : Operation("probe") {}

 private:
  void on_settled() noexcept override {}
};

void try_a_ring(DoctorFacts& facts) {
  try {
    Ring ring(real_kernel(), {});
    ring.enable();
    facts.features = ring.features();
    Probe probe;
    io_uring_prep_nop(&ring.prepare(probe, -1));
    while (probe.in_flight()) {
      ring.wait(-1);
      ring.reap();
    }
  } catch (const StartupError& error) {
    facts.ring_failure = error.what();
  }
}

Finding kernel(const SystemFacts& facts) { return {"kernel", "Linux " + facts.kernel_release}; }

Finding io_uring(const DoctorFacts& facts) {
  if (facts.ring_failure.empty()) return {"io_uring", "a ring was made and works"};
  Finding bad("io_uring", "a ring could not be made");
  bad.cure = facts.ring_failure;
  bad.prevents = true;
  return bad;
}

Finding features(const DoctorFacts& facts) {
  std::string there;
  std::string missing;
  const auto add = [&](bool has, const char* name) {
    (has ? there : missing).append(" ").append(name);
  };
  add(facts.features.taskrun_flag, "taskrun-flag");
  add(facts.features.registered_ring, "registered-ring");
  add(facts.features.no_iowait, "no-iowait");
  add(facts.features.bundle, "bundle");
  Finding found("features", there.empty() ? "none" : there.substr(1));
  if (!missing.empty())
    found.cure = "missing:" + missing + "; faster with Linux 6.15 or later, works without";
  return found;
}

Finding locked_memory(const DoctorFacts& facts, unsigned loops) {
  const SystemFacts& system = facts.system;
  if (system.can_lock_memory) return {"locked memory", "not limited (CAP_IPC_LOCK)"};
  if (system.memlock_limit_bytes == SystemFacts::unlimited_bytes)
    return {"locked memory", "not limited"};
  const RingOptions options;
  const std::uint64_t rings =
      system.memlock_limit_bytes / ring_bytes(options.sq_entries, options.cq_entries);
  Finding found("locked memory", std::to_string(system.memlock_limit_bytes / 1024) +
                                     " KiB (ulimit -l): room for " + std::to_string(rings) +
                                     " loops of all this user's programs");
  if (rings < loops) found.cure = "ulimit -l 65536; in a systemd unit: LimitMEMLOCK=64M";
  return found;
}

Finding descriptors(const DoctorFacts& facts) {
  Finding found("descriptors", std::to_string(facts.descriptors_now) + " (ulimit -n)");
  if (facts.descriptors_now >= descriptors_wanted) return found;
  found.cure = "a server needs one for each connection: ulimit -n " +
               std::to_string(std::max(facts.descriptors_allowed, descriptors_wanted)) +
               "; in a systemd unit: LimitNOFILE=65536";
  return found;
}

Finding cpus(const DoctorFacts& facts, unsigned loops) {
  std::ostringstream text;
  text << loops << " usable: " << facts.cpus_by_affinity << " by affinity, ";
  if (facts.cpus_by_quota)
    text << "quota " << std::setprecision(3) << *facts.cpus_by_quota;
  else
    text << "no quota";
  Finding found("CPUs", text.str());
  if (facts.cpus_by_quota && *facts.cpus_by_quota < 1)
    found.cure =
        "less than one CPU: the container stands still for part of every period; give it one "
        "(--cpus=1)";
  return found;
}

}  // namespace

DoctorFacts examine() {
  DoctorFacts facts;
  facts.system = read_system_facts();
  try_a_ring(facts);
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    facts.descriptors_now = limit.rlim_cur;
    facts.descriptors_allowed = limit.rlim_max;
  }
  facts.cpus_by_affinity = cpus_by_affinity();
  facts.cpus_by_quota = cpus_by_cgroup_quota();
  return facts;
}

std::vector<Finding> diagnose(const DoctorFacts& facts) {
  const unsigned loops = usable_cpus(facts.cpus_by_affinity, facts.cpus_by_quota);
  std::vector<Finding> findings = {kernel(facts.system), io_uring(facts)};
  if (facts.ring_failure.empty()) findings.push_back(features(facts));
  findings.push_back(locked_memory(facts, loops));
  findings.push_back(descriptors(facts));
  findings.push_back(cpus(facts, loops));
  return findings;
}

std::string report(const std::vector<Finding>& findings) {
  std::ostringstream text;
  for (const Finding& one : findings) {
    text << std::left << std::setw(15) << one.subject << one.finding << "  ->  ";
    // A cure of several lines is a text of its own.
    const bool is_long = one.cure.find('\n') != std::string::npos;
    text << (one.cure.empty() ? "ok" : is_long ? "see here:\n" + one.cure : one.cure) << '\n';
  }
  text << (can_run(findings) ? "rota can run here\n" : "rota cannot run here\n");
  return text.str();
}

bool can_run(const std::vector<Finding>& findings) noexcept {
  return std::ranges::none_of(findings, &Finding::prevents);
}

}  // namespace rota::detail
