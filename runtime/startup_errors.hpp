/// startup_errors.hpp: why io_uring cannot be used here, in words that an operator can act on.
///
/// One function for each cause; each gives three lines: what failed, why, and what to do. They
/// compute from SystemFacts alone, so that every cause can be shown without a machine that has it.
/// Used by Ring and by rota_doctor.
#pragma once

#include <rota/error.hpp>

#include <cstdint>
#include <string>

namespace rota::detail {

/// What the texts and the choice between them depend on.
struct SystemFacts {
  SystemFacts() = default;
  std::string kernel_release;     ///< uname -r: "6.18.44".
  int io_uring_disabled = -1;     ///< kernel.io_uring_disabled; -1: no such setting.
  int io_uring_group = -1;        ///< kernel.io_uring_group; -1: none.
  int seccomp_mode = -1;          ///< "Seccomp:" of /proc/self/status; 2: a filter; -1: unknown.
  bool can_administrate = false;  ///< CAP_SYS_ADMIN is effective.
  bool can_lock_memory = false;   ///< CAP_IPC_LOCK: RLIMIT_MEMLOCK does not count.
  std::uint64_t memlock_limit_bytes = unlimited_bytes;  ///< RLIMIT_MEMLOCK, soft.

  static constexpr std::uint64_t unlimited_bytes = ~std::uint64_t{0};
};

/// Reads them from this machine. What cannot be read keeps its default.
SystemFacts read_system_facts();

/// Bytes of locked memory that one ring takes.
std::uint64_t ring_bytes(unsigned sq_entries, unsigned cq_entries) noexcept;

/// EPERM: kernel.io_uring_disabled is 2, or 1 and this process is not privileged.
std::string text_disabled_by_setting(const SystemFacts& facts);
/// EPERM: a seccomp filter refuses the call.
std::string text_blocked_by_seccomp(const SystemFacts& facts);
/// EPERM: neither of the two; a security module.
std::string text_not_permitted(const SystemFacts& facts);
/// ENOSYS: built without io_uring, or a seccomp filter pretends so.
std::string text_not_implemented(const SystemFacts& facts);
/// ENOMEM: RLIMIT_MEMLOCK is used up.
std::string text_memlock_too_small(const SystemFacts& facts, std::uint64_t needed_bytes);
/// EINVAL: the kernel does not know what we ask for.
std::string text_kernel_too_old(const SystemFacts& facts);

/// Whether kernel.io_uring_disabled keeps this process out.
bool disabled_by_setting(const SystemFacts& facts) noexcept;

/// The text for `error`, a positive errno of io_uring_setup(2).
std::string startup_error_text(int error, const SystemFacts& facts, std::uint64_t needed_bytes);

}  // namespace rota::detail
