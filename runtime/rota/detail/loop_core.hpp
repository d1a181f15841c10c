/// loop_core.hpp: the part of a loop that other threads see: its inbox, its doorbell, whether it
/// sleeps.
///
/// Reference-counted, so it outlives its loop for as long as somebody may still post to it. The
/// protocol of sleeping and waking is in runtime/README.md, section 4; the one of the two reference
/// counts in section 7.
#pragma once

#include <rota/detail/atomic.hpp>
#include <rota/detail/immovable.hpp>
#include <rota/detail/inbox.hpp>
#include <rota/detail/kernel.hpp>
#include <rota/detail/this_thread.hpp>

#include <cstdint>

namespace rota::detail {

class LoopCore;
class LoopState;

/// The core of the loop that runs on this thread now, or null.
LoopCore* running_core() noexcept;

class LoopCore final : Immovable {
 public:
  LoopCore(std::uint64_t id, Kernel& kernel, int doorbell, LoopState* loop) noexcept
      : id_(id), kernel_(kernel), doorbell_(doorbell), loop_(loop) {}

  std::uint64_t id() const noexcept { return id_; }  ///< Never 0, never used twice.
  int doorbell() const noexcept { return doorbell_; }
  Inbox& inbox() noexcept { return inbox_; }

  /// Hands `node` to the loop and wakes it if it sleeps. Any thread that holds a reference. False:
  /// the loop is closed and the caller keeps the node.
  [[nodiscard]] bool post(Runnable& node) noexcept {
    if (!inbox_.push(node)) return false;
    wake();
    return true;
  }

  /// Any thread that holds a reference and has pushed before.
  void wake() noexcept {
    // An RMW, so that it reads the newest state_. seq_cst: pairs with announce_sleep(), which
    // stores parked and then re-checks the inbox. Either we see parked, or the owner sees our node.
    if (state_.fetch_or(notified, std::memory_order_seq_cst) == parked)
      kernel_.ring_doorbell(doorbell_);
  }

  /// Owner. True: it may sleep, and every later push rings the doorbell. False: there is something
  /// in the inbox.
  [[nodiscard]] bool announce_sleep() noexcept {
    // seq_cst: pairs with the fetch_or in wake(), see there.
    state_.exchange(parked, std::memory_order_seq_cst);
    if (!inbox_.empty()) return stay_awake();  // re-check
    return true;
  }

  /// Owner, after sleeping. relaxed: only the owner's own RMW chain matters; what a waker pushed is
  /// taken from inbox_.
  void awake() noexcept {
    if ((state_.exchange(0, std::memory_order_relaxed) & notified) != 0) ++wakes_total_;
  }
  /// Sleeps, or attempts at it, that a push has ended. Owner.
  std::uint64_t wakes_total() const noexcept { return wakes_total_; }

  /// Some thread is inside run_*. Any thread may ask: only a hint there, exact on the owner's
  /// thread.
  bool running() const noexcept { return running_.load(std::memory_order_relaxed); }
  void set_running(bool running) noexcept { running_.store(running, std::memory_order_relaxed); }

  /// The thread that runs the loop first owns it. Before that nobody does.
  void set_owner() noexcept {
    // release: pairs with the acquire below: whoever finds himself the owner is, by then.
    owner_.store(this_thread_token(), std::memory_order_release);
  }
  bool owned_by_this_thread() const noexcept {
    // acquire: pairs with the release in set_owner().
    return owner_.load(std::memory_order_acquire) == this_thread_token();
  }
  /// Nobody else can be at the loop: this thread owns it, or nobody has run it yet. Only asked
  /// outside of runs.
  bool at_rest_for_this_thread() const noexcept {
    const void* const owner =
        owner_.load(std::memory_order_acquire);  // pairs with the release in set_owner()
    return owner == nullptr || owner == this_thread_token();
  }
  /// The loop, until it is closed. Owner.
  LoopState* loop() const noexcept { return loop_; }
  void loop_closed() noexcept { loop_ = nullptr; }

  // --- lifetime ---
  void retain() noexcept {
    if (running_core() == this) {
      ++owner_references_;
    } else {
      shared_references_.fetch_add(
          1, std::memory_order_relaxed);  // the holder's own reference keeps the core
    }
  }
  void release() noexcept {
    if (running_core() == this) {
      --owner_references_;  // may go below zero: references cross between the two counts, their sum
                            // is what holds
    } else {
      release_shared(1);
    }
  }
  /// Owner, once, when the loop is closed and no longer runs: from here on only the atomic count is
  /// left.
  void fold_references() noexcept { release_shared(loop_reference - owner_references_); }

 private:
  static constexpr std::uint32_t parked = 1u << 0;    ///< The owner sleeps, or is about to.
  static constexpr std::uint32_t notified = 1u << 1;  ///< Somebody pushed since the last awake().

  /// What the loop itself holds until fold_references(): more than any plain count can take away.
  static constexpr std::int64_t loop_reference = std::int64_t{1} << 40;

  bool stay_awake() noexcept {
    awake();
    return false;
  }
  void release_shared(std::int64_t count) noexcept;

  Inbox inbox_;
  /// 0, parked, notified or both. Written by the owner (exchange) and by every waker (fetch_or).
  atomic<std::uint32_t> state_{0};
  /// Written by any thread; see fold_references().
  atomic<std::int64_t> shared_references_{loop_reference};
  std::int64_t owner_references_ = 0;
  std::uint64_t wakes_total_ = 0;
  atomic<bool> running_{false};         ///< Written by the owner.
  atomic<const void*> owner_{nullptr};  ///< Written once, by the first thread that runs the loop.
  const std::uint64_t id_;
  Kernel& kernel_;
  const int doorbell_;
  LoopState* loop_;  ///< Owner's.
};

/// Makes a core with a new id and a doorbell of `kernel`. Throws OSError when no descriptor is to
/// be had.
LoopCore* make_loop_core(Kernel& kernel, LoopState* loop);

}  // namespace rota::detail
