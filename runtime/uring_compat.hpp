/// uring_compat.hpp: what we use of io_uring and liburing 2.3 does not name.
///
/// The values are kernel ABI (include/uapi/linux/io_uring.h) and never change. They are constants
/// in a namespace, not macros, so that the header of a newer liburing does not clash with them.
#pragma once

#include <liburing.h>

#include <cstdint>

namespace rota::detail::uring {

// io_uring_params.features
inline constexpr std::uint32_t feat_recvsend_bundle = 1u << 14;  ///< Linux 6.10
inline constexpr std::uint32_t feat_no_iowait = 1u << 17;        ///< Linux 6.15

// io_uring_enter(2) flags
inline constexpr std::uint32_t enter_no_iowait = 1u << 7;  ///< Linux 6.15

// sqe->ioprio of IORING_OP_RECV and IORING_OP_SEND
inline constexpr std::uint16_t recvsend_bundle = 1u << 4;  ///< Linux 6.10

/// Multishot recv from buffer ring `group`, several buffers for one CQE. Only where
/// Features::bundle is set.
inline void prep_recv_multishot_bundle(io_uring_sqe& sqe, int fd, unsigned short group) noexcept {
  io_uring_prep_recv_multishot(&sqe, fd, nullptr, 0, 0);
  sqe.ioprio = static_cast<std::uint16_t>(sqe.ioprio | recvsend_bundle);
  sqe.flags |= IOSQE_BUFFER_SELECT;
  sqe.buf_group = group;
}

}  // namespace rota::detail::uring
