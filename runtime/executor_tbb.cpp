/// executor_tbb.cpp: what is behind cpu_pool(), and all of rota's oneTBB code.
///
/// Built without ThreadSanitizer, which does not see how oneTBB orders its own queues; what passes
/// through here is handed over by ExecutorJob's own release and acquire, which it does see.
#include <rota/executor.hpp>

#include "cpus.hpp"
#include "executor_parts.hpp"

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>

namespace rota {
namespace {

class CpuPool final : public Executor {
 public:
  explicit CpuPool(int threads)
      // oneTBB counts the thread that waits for the work as one of its own; ours never does.
      : parallelism_(tbb::global_control::max_allowed_parallelism,
                     static_cast<std::size_t>(threads) + 1),
        arena_(threads, 0) {}

 private:
  void execute(detail::ExecutorJob& job) override {
    arena_.enqueue([&job] { job.perform(); });
  }

  tbb::global_control parallelism_;
  tbb::task_arena arena_;
};

}  // namespace

namespace detail {

Executor* make_cpu_pool() { return new CpuPool(static_cast<int>(usable_cpus())); }

}  // namespace detail
}  // namespace rota
