/// resource.hpp: what ParkingLot, CapacityLimiter and the memory channels share: their errors, and
/// the number that stands for "no limit". Names and meanings are anyio's and trio's.
#pragma once

#include <cstddef>
#include <limits>
#include <stdexcept>

namespace rota {

/// As a capacity or a number of tokens: as many as there may be.
inline constexpr std::size_t unlimited = std::numeric_limits<std::size_t>::max();

/// A *_nowait() that would have had to wait. As: anyio.WouldBlock.
class WouldBlock : public std::runtime_error {
 public:
  WouldBlock() : std::runtime_error("it would have to wait") {}
};

/// Somebody else has broken it, or closed the other side, for good. As: anyio.BrokenResourceError.
class BrokenResourceError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The very object that was used is closed. As: anyio.ClosedResourceError.
class ClosedResourceError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Nothing will come any more: every sending end is closed, and all was received. As:
/// trio.EndOfChannel.
class EndOfChannel : public std::runtime_error {
 public:
  EndOfChannel() : std::runtime_error("the channel has ended: every sending end is closed") {}
};

}  // namespace rota
