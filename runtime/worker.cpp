#include "worker.hpp"

#include "executor_parts.hpp"

#include <csignal>
#include <cstdio>
#include <exception>
#include <pthread.h>
#include <sched.h>
#include <semaphore>
#include <string>
#include <unistd.h>

namespace rota::detail {

struct Worker::State {
  std::unique_ptr<EventLoop> loop;
  std::size_t index = 0;
  std::shared_ptr<Shutdown> shutdown;  ///< Set on the loop's thread, by begin_shutdown()'s message.
  std::int64_t deadline = 0;
  std::binary_semaphore ended{0};
};

Worker::Worker(std::unique_ptr<EventLoop> loop, std::size_t index) noexcept
    : state_(std::make_shared<State>()), handle_(loop->handle()) {
  state_->loop = std::move(loop);
  state_->index = index;
}

Worker::~Worker() {
  if (thread_.joinable()) thread_.detach();  // it hangs; what it uses stays with it
}

void Worker::start(bool affinity) {
  // Signals are the main thread's: handlers that interrupt a loop's system calls would only cost
  // time.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  struct Restore {
    sigset_t& mask;
    ~Restore() { ::pthread_sigmask(SIG_SETMASK, &mask, nullptr); }
  } restore{before};
  thread_ = std::thread(&Worker::run, state_, affinity);
}

void Worker::run(const std::shared_ptr<State>& state, bool affinity) noexcept {
  ::pthread_setname_np(::pthread_self(), ("rota-" + std::to_string(state->index)).c_str());
  if (affinity) bind_to_cpu(state->index);
  EventLoop& loop = *state->loop;
  do {
    loop.run_forever();  // until begin_shutdown()'s message stops it; a stop() of the user's stops
                         // nothing
  } while (state->shutdown == nullptr);
  state->shutdown->drain(loop, state->index, state->deadline);
  loop.close();
  state->loop = nullptr;
  state->ended.release();
}

void Worker::begin_shutdown(std::shared_ptr<Shutdown> shutdown, std::int64_t deadline) {
  handle_.call_soon_threadsafe([state = state_, shutdown = std::move(shutdown), deadline] {
    state->shutdown = shutdown;
    state->deadline = deadline;
    state->loop->stop();
  });
}

bool Worker::join(std::int64_t deadline) noexcept {
  const std::int64_t left = deadline - real_kernel().now();
  if (!state_->ended.try_acquire_for(std::chrono::nanoseconds(left > 0 ? left : 0))) return false;
  thread_.join();
  return true;
}

namespace {

/// A step more for a loop that sleeps. One that has closed meanwhile needs none.
void wake(const LoopHandle& loop) noexcept {
  try {
    loop.call_soon_threadsafe([] {});
  } catch (const std::exception&) {
    (void)std::current_exception();
  }
}

}  // namespace

void Shutdown::drain(EventLoop& loop, std::size_t index, std::int64_t deadline) noexcept {
  loop.cancel_all_tasks();
  loop.run_until([&loop] { return loop.all_tasks == nullptr; }, deadline);
  stop_executor_jobs(loop);
  loop.run_until([&loop] { return loop.executor_jobs == nullptr; }, deadline);
  if (const std::size_t left = stop_executor_jobs(loop); left != 0) {
    dprintf(STDERR_FILENO,
            "rota: shutdown: %zu calls of loop %zu on executors did not end in time; their threads "
            "are left behind\n",
            left, index);
  }
  if (loop.all_tasks != nullptr) {
    dprintf(STDERR_FILENO,
            "rota: shutdown: tasks of loop %zu did not end in time after they were cancelled:\n",
            index);
    loop.dump(STDERR_FILENO);
  }
  // acq_rel: pairs with itself and with the load below: what the tasks of one loop did comes before
  // the end of another.
  if (undrained_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    for (const LoopHandle& other : loops_) {
      if (other.core() != loop.core) wake(other);  // they look at undrained_ after each step
    }
  }
  // acquire: pairs with the fetch_sub of the last one.
  loop.run_until([this] { return undrained_.load(std::memory_order_acquire) == 0; }, deadline);
}

void bind_to_cpu(std::size_t index) noexcept {
  cpu_set_t usable;
  if (::sched_getaffinity(0, sizeof usable, &usable) != 0) return;
  const int count = CPU_COUNT(&usable);
  int wanted = static_cast<int>(index % static_cast<std::size_t>(count > 0 ? count : 1));
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(static_cast<unsigned>(cpu), &usable) || wanted-- > 0) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<unsigned>(cpu), &one);
    ::pthread_setaffinity_np(::pthread_self(), sizeof one,
                             &one);  // a hint: without it we run all the same
    return;
  }
}

}  // namespace rota::detail
