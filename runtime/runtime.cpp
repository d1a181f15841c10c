#include <rota/runtime.hpp>

#include "cpus.hpp"
#include "signals.hpp"
#include "worker.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <unistd.h>

namespace rota {
namespace {

/// Beyond the deadline that was asked for: a loop that was told to end may still be reaping and
/// closing.
constexpr std::chrono::hours longest_shutdown{24 * 365};  // far from the end of the clock
constexpr std::int64_t close_grace = 6'000'000'000;  // ns; settle_limit of a closing loop, and some

bool debug_wanted(const RuntimeOptions& options) noexcept {
  const char* value = std::getenv("ROTA_DEBUG");
  return options.debug || (value != nullptr && std::string_view(value) == "1");
}

LoopOptions loop_options(const RuntimeOptions& options) {
  LoopOptions loop;
  loop.debug = debug_wanted(options);
  loop.ring_entries = options.ring_entries;
  loop.completion_entries = options.completion_entries;
  loop.spin = options.spin;
  loop.fairness = options.fairness;
  loop.kernel = options.kernel;
  return loop;
}

std::unique_ptr<EventLoop> make_loop(const RuntimeOptions& options) {
  const LoopOptions loop = loop_options(options);
  return options.loop_factory != nullptr ? options.loop_factory(loop)
                                         : std::make_unique<EventLoop>(loop);
}

}  // namespace

Runtime::Runtime(RuntimeOptions options) : options_(options) {
  if (options_.loops == 0) options_.loops = detail::usable_cpus();
  std::vector<std::unique_ptr<EventLoop>> made;
  for (std::size_t index = 0; index < options_.loops; ++index) {
    made.push_back(make_loop(options_));
    handles_.push_back(made.back()->handle());
  }
  const auto all = std::make_shared<const std::vector<LoopHandle>>(handles_);
  for (const auto& loop : made) loop->set_siblings(all);
  main_loop_ = std::move(made.front());
  for (std::size_t index = 1; index < made.size(); ++index) {
    workers_.push_back(std::make_unique<detail::Worker>(std::move(made[index]), index));
  }
  try {
    for (const auto& worker : workers_) worker->start(options_.affinity);
  } catch (...) {
    close();  // ends those that have started
    throw;
  }
  if (options_.affinity) detail::bind_to_cpu(0);
}

Runtime::~Runtime() { close(); }

void Runtime::close() {
  if (detail::running_loop != nullptr)
    throw RuntimeError("Runtime::close() inside a running event loop");
  if (std::exchange(closed_, true)) return;
  const std::int64_t deadline = detail::deadline_after(
      detail::real_kernel().now(),
      std::min<std::chrono::nanoseconds>(options_.shutdown_timeout, longest_shutdown));
  std::vector<LoopHandle> running{handles_.front()};
  std::erase_if(workers_, [](const auto& worker) { return !worker->started(); });
  for (const auto& worker : workers_) running.push_back(worker->handle());
  auto shutdown = std::make_shared<detail::Shutdown>(std::move(running));
  for (const auto& worker : workers_) worker->begin_shutdown(shutdown, deadline);
  shutdown->drain(*main_loop_, 0, deadline);
  join_workers(deadline);
  main_loop_->close();
}

void Runtime::join_workers(std::int64_t deadline) noexcept {
  for (std::size_t index = 0; index < workers_.size(); ++index) {
    if (workers_[index]->join(deadline + close_grace)) continue;
    dprintf(STDERR_FILENO,
            "rota: shutdown: loop %zu does not end: a callback or task has not come back for %lld "
            "ms; its thread is "
            "left behind\n",
            index + 1,
            static_cast<long long>((options_.shutdown_timeout.count() + close_grace) / 1'000'000));
  }
  workers_.clear();
}

std::vector<LoopHandle> all_loops() { return get_running_loop().siblings(); }

// --- Runner ---

Runner::~Runner() { close(); }

Runtime& Runner::runtime() {
  if (closed_) throw RuntimeError("Runner is closed");
  if (runtime_ == nullptr) runtime_ = std::make_unique<Runtime>(options_);
  return *runtime_;
}

void Runner::require_no_running_loop() {
  if (detail::running_loop != nullptr)
    throw RuntimeError("run() cannot be called from a running event loop");
}

EventLoop& Runner::loop() { return runtime().main_loop(); }

Context& Runner::context() {
  if (context_ == nullptr) context_ = std::make_unique<Context>(copy_context());
  return *context_;
}

void Runner::run_main(const detail::TaskHandle& main) {
  detail::exit_quietly_on_keyboard_interrupt();
  int signal = 0;
  {
    detail::Interrupts interrupts(loop(), *main.base(), options_.handle_signals);
    loop().run_until_done(*main.base());
    signal = interrupts.signal();
  }
  if (signal != 0 && main.cancelled() && main.uncancel() == 0) {
    main.base()->mark_retrieved();
    throw KeyboardInterrupt(signal);
  }
}

void Runner::close() {
  if (std::exchange(closed_, true)) return;
  if (runtime_ != nullptr) runtime_->close();
  runtime_ = nullptr;
}

}  // namespace rota
