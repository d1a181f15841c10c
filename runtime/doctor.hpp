/// doctor.hpp: can rota run on this machine, and how well? What rota_doctor prints.
///
/// examine() looks at the machine, diagnose() judges what was seen, and depends on nothing else.
#pragma once

#include "ring.hpp"
#include "startup_errors.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace rota::detail {

struct DoctorFacts {
  DoctorFacts() = default;
  SystemFacts system;
  std::string
      ring_failure;   ///< What a ring's StartupError said; empty: a ring was made and has worked.
  Features features;  ///< Of that ring.
  std::uint64_t descriptors_now = 0;      ///< RLIMIT_NOFILE, soft
  std::uint64_t descriptors_allowed = 0;  ///< and hard.
  unsigned cpus_by_affinity = 1;
  std::optional<double> cpus_by_quota;
};

struct Finding {
  Finding(std::string subject_text, std::string what)
      : subject(std::move(subject_text)), finding(std::move(what)) {}
  std::string subject;    ///< "kernel"
  std::string finding;    ///< "Linux 6.18.44"
  std::string cure;       ///< Empty: ok.
  bool prevents = false;  ///< rota cannot run before this is cured.
};

DoctorFacts examine();
std::vector<Finding> diagnose(const DoctorFacts& facts);
/// One line for each, ending with "ok" or the cure, and a last one that says whether rota can run.
std::string report(const std::vector<Finding>& findings);
bool can_run(const std::vector<Finding>& findings) noexcept;

}  // namespace rota::detail
