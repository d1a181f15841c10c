/// spin_lock.hpp: a lock for a few dozen instructions, in one word with the state that it guards.
///
/// The lowest bit of the word says that somebody holds the lock; the rest is the *state*, which
/// means what its user likes. It changes in two ways: by one RMW while nobody holds the lock
/// (change(), for fast paths), or by a Guard, whose new state appears in the same store that frees
/// the lock. So nobody sees half of what is done under the lock, and whoever sees a new state knows
/// that its maker touches the object no more: he may destroy it.
#pragma once

#include <rota/detail/atomic.hpp>
#include <rota/detail/immovable.hpp>

#include <cstdint>
#include <optional>

namespace rota::detail {

class SpinLock : Immovable {
 public:
  using State = std::uint64_t;  ///< 63 bits of it.

  SpinLock() = default;
  explicit SpinLock(State state) noexcept : word_(state << 1) {}

  /// Any thread: what it was a moment ago.
  State glance() const noexcept {
    return word_.load(std::memory_order_relaxed) >> 1;  // nothing is concluded from it
  }
  /// Any thread: the state, if nobody holds the lock.
  std::optional<State> settled() const noexcept {
    // acquire: pairs with the release in unlock() and change(): what was done before the state
    // became this is seen.
    const Word word = word_.load(std::memory_order_acquire);
    if ((word & held) != 0) return std::nullopt;
    return word >> 1;
  }
  /// Any thread: the state, once nobody holds the lock.
  State read() noexcept {
    if (const std::optional<State> state = settled()) return *state;
    return Guard(*this).state;
  }

  /// Any thread: the fast paths of its users. One RMW from the state to `next(state)`, an
  /// std::optional. False: somebody holds the lock, or `next` gave nothing.
  template <typename Next>
  bool change(Next next) noexcept {
    Word before = word_.load(std::memory_order_relaxed);  // the compare-exchange decides
    for (;;) {
      if ((before & held) != 0) return false;
      const std::optional<State> after = next(before >> 1);
      if (!after) return false;
      // acquire: pairs with the release here and in unlock(); release: with the acquire here, in
      // lock() and in settled(). So those who change the state see each other's work.
      if (word_.compare_exchange_weak(before, *after << 1, std::memory_order_acq_rel,
                                      std::memory_order_relaxed)) {
        return true;
      }
    }
  }

  /// Holds the lock while it lives. Whoever holds it must not wait, nor run code of the user's.
  class [[nodiscard]] Guard : Immovable {
   public:
    explicit Guard(SpinLock& lock) noexcept : state(lock.lock()), lock_(lock) {}
    ~Guard() { lock_.unlock(state); }
    /// Frees the lock while `function` runs. Others may change the state meanwhile.
    template <typename Function>
    void while_free(Function function) noexcept {
      lock_.unlock(state);
      function();
      state = lock_.lock();
    }

    State state;  ///< As it will be when the lock is free.

   private:
    SpinLock& lock_;
  };

  /// Returns once whoever holds the lock now has freed it. The caller knows that somebody has held
  /// it since the caller began to wait.
  void pass() noexcept {
    // acquire: pairs with the release in unlock().
    if ((word_.load(std::memory_order_acquire) & held) != 0) [[unlikely]] {
      const Guard through(*this);
    }
  }

 private:
  using Word = std::uint64_t;
  static constexpr Word held = 1;

  State lock() noexcept {
    for (;;) {
      // acquire: pairs with the release in unlock() and change().
      const Word before = word_.fetch_or(held, std::memory_order_acquire);
      if ((before & held) == 0) [[likely]]
        return before >> 1;
      wait_until_free();
    }
  }
  void unlock(State state) noexcept {
    // release: pairs with the acquire in lock(), change(), settled() and pass(). While the lock is
    // held nobody else changes the word, so a store is enough.
    word_.store(state << 1, std::memory_order_release);
  }
  void wait_until_free() const noexcept;

  atomic<Word> word_{0};  ///< Written by every holder, and by change() while there is none.
};

}  // namespace rota::detail
