/// parking_lot.hpp: ParkingLot, a queue of tasks of one loop that wait until somebody lets them go:
/// what a primitive of one's own is made of.
#pragma once

#include <rota/detail/bound.hpp>
#include <rota/detail/immovable.hpp>
#include <rota/detail/wait_queue.hpp>
#include <rota/resource.hpp>

#include <cstddef>

namespace rota {

class ParkingLot;

struct ParkingLotStatistics {
  std::size_t tasks_waiting = 0;
  bool broken = false;
};

namespace detail {

class [[nodiscard("park() does nothing until it is awaited")]] ParkAwaiter final
    : public ParkedAwaiter<ParkAwaiter> {
 public:
  explicit ParkAwaiter(ParkingLot& lot) noexcept;
  bool await_ready() noexcept { return attempt(); }  // it gives way anyhow
  bool attempt() noexcept;
  void await_resume();

 private:
  friend class rota::ParkingLot;
  ParkingLot& lot_;
  bool broken_ = false;
};

}  // namespace detail

/// trio.lowlevel.ParkingLot. Loop-local: bound to the loop of its first use. It keeps nothing but
/// who waits: what they wait for is its owner's to know.
class ParkingLot : detail::Immovable {
 public:
  /// Completes once somebody lets this task go; the longest parked goes first. That is final: a
  /// cancel that comes afterwards stays due, so no unpark() is lost.
  ///
  /// Errors:   BrokenResourceError, when it is or becomes broken; CancelledError; RuntimeError on
  ///           another loop, at the call.
  /// Suspends: unless it is broken.
  detail::ParkAwaiter park() {
    bound_.use("ParkingLot.park");
    return detail::ParkAwaiter(*this);
  }
  /// Lets up to `count` go. Returns how many. Errors: RuntimeError on another loop.
  std::size_t unpark(std::size_t count = 1);
  std::size_t unpark_all() { return unpark(waiters_.waiting()); }
  /// Lets up to `count` wait in `target` instead, behind those there. Returns how many. Errors:
  /// RuntimeError on another loop, or when `target` belongs to one; BrokenResourceError when
  /// `target` is broken.
  std::size_t repark(ParkingLot& target, std::size_t count = 1);
  std::size_t repark_all(ParkingLot& target) { return repark(target, waiters_.waiting()); }
  /// Sends everybody who is parked, or wants to be later, away with BrokenResourceError: for when
  /// who should have let them go cannot. Errors: RuntimeError on another loop.
  void break_lot();

  ParkingLotStatistics statistics() const noexcept { return {waiters_.waiting(), broken_}; }

 private:
  friend class detail::ParkAwaiter;

  detail::LoopBound bound_;
  detail::WaitQueue waiters_;
  bool broken_ = false;
};

namespace detail {

inline ParkAwaiter::ParkAwaiter(ParkingLot& lot) noexcept
    : ParkedAwaiter<ParkAwaiter>(lot.waiters_), lot_(lot) {}

inline bool ParkAwaiter::attempt() noexcept {
  broken_ = lot_.broken_;
  return broken_;
}

inline void ParkAwaiter::await_resume() {
  if (waited()) take_hand_over();
  if (broken_) throw BrokenResourceError("the parking lot is broken");
}

}  // namespace detail

inline std::size_t ParkingLot::unpark(std::size_t count) {
  bound_.use("ParkingLot.unpark");
  std::size_t gone = 0;
  for (; gone < count && waiters_.waiting() != 0; ++gone) {
    waiters_.hand_over(*waiters_.first_waiting());
  }
  return gone;
}

inline std::size_t ParkingLot::repark(ParkingLot& target, std::size_t count) {
  bound_.use("ParkingLot.repark");
  target.bound_.use("ParkingLot.repark");
  if (target.broken_) throw BrokenResourceError("the parking lot is broken");
  return waiters_.move_to(target.waiters_, count);
}

inline void ParkingLot::break_lot() {
  bound_.use("ParkingLot.break_lot");
  broken_ = true;
  while (waiters_.waiting() != 0) {
    detail::Parked& waiter = *waiters_.first_waiting();
    static_cast<detail::ParkAwaiter&>(waiter).broken_ = true;
    waiters_.hand_over(waiter);
  }
}

}  // namespace rota
