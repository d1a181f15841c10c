#include <rota/detail/loop_core.hpp>
#include <rota/detail/loop_state.hpp>
#include <rota/error.hpp>

namespace rota::detail {

constinit thread_local LoopState* running_loop = nullptr;

LoopCore* make_loop_core(Kernel& kernel, LoopState* loop) {
  // Relaxed: only the numbers must differ.
  static constinit atomic<std::uint64_t> next_id{1};
  const int doorbell = kernel.make_doorbell();
  if (doorbell < 0) throw_os_error(-doorbell, "eventfd");
  return new LoopCore(next_id.fetch_add(1, std::memory_order_relaxed), kernel, doorbell, loop);
}

void LoopCore::release_shared(std::int64_t count) noexcept {
  // acq_rel: pairs with itself: the last holder sees what the others did before it destroys the
  // core.
  if (shared_references_.fetch_sub(count, std::memory_order_acq_rel) != count) return;
  kernel_.close(doorbell_);
  delete this;
}

}  // namespace rota::detail
