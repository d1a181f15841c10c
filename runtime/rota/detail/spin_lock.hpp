/// spin_lock.hpp: mutual exclusion between threads, for a few dozen instructions at a time.
#pragma once

#include <rota/detail/atomic.hpp>
#include <rota/detail/immovable.hpp>

namespace rota::detail {

/// One RMW to take, one store to free. Whoever holds it must not wait for anything. A holder that
/// lost its CPU is waited for without burning ours. For std::lock_guard.
class SpinLock : Immovable {
 public:
  void lock() noexcept {
    // acquire: pairs with the release in unlock().
    while (held_.exchange(true, std::memory_order_acquire)) [[unlikely]]
      wait_until_free();
  }
  void unlock() noexcept {
    // release: pairs with the acquire in lock().
    held_.store(false, std::memory_order_release);
  }

 private:
  void wait_until_free() const noexcept;

  atomic<bool> held_{false};  ///< Written by every holder.
};

}  // namespace rota::detail
