/// thread_pool.cpp: threads that may block. One mutex guards everything; what it guards takes
/// microseconds less than what the threads are for.
#include <rota/executor.hpp>

#include "cpus.hpp"

#include <algorithm>
#include <cassert>
#include <condition_variable>
#include <csignal>
#include <mutex>
#include <pthread.h>
#include <system_error>
#include <thread>

namespace rota {

struct ThreadPoolExecutor::State {
  explicit State(const ThreadPoolOptions& given) : options(given) {}

  std::mutex mutex;
  std::condition_variable work;  ///< A job is queued, or the pool ends.
  std::condition_variable gone;  ///< A thread has ended.
  ThreadPoolOptions options;
  detail::ExecutorJob* first = nullptr;  ///< The queue, oldest first.
  detail::ExecutorJob** last = &first;
  std::size_t queued = 0;
  std::size_t workers = 0;
  std::size_t performing = 0;  ///< Workers that make a call; the others come for one.
  bool ending = false;

  void push(detail::ExecutorJob& job) noexcept {
    job.next_queued = nullptr;
    *last = &job;
    last = &job.next_queued;
    ++queued;
  }
  detail::ExecutorJob& pop() noexcept {
    assert(first != nullptr);
    detail::ExecutorJob& job = *first;
    first = job.next_queued;
    if (first == nullptr) last = &first;
    --queued;
    return job;
  }
  /// Takes `job` out of the end of the queue, where it still is.
  void take_back(const detail::ExecutorJob& job) noexcept {
    detail::ExecutorJob** link = &first;
    while (*link != &job) link = &(*link)->next_queued;
    *link = nullptr;
    last = link;
    --queued;
  }
  bool has_too_many() const noexcept { return workers > options.max_workers; }
  bool has_too_few() const noexcept {
    return workers < options.max_workers && workers - performing < queued;
  }

  void run(std::unique_lock<std::mutex> lock);
  static void start_worker(const std::shared_ptr<State>& state);
};

namespace {

std::size_t workers_or_default(std::size_t count) {
  return count != 0 ? count : std::min<std::size_t>(32, detail::usable_cpus() + 4);
}

}  // namespace

/// A worker's life. Holds the mutex but while it performs or waits.
void ThreadPoolExecutor::State::run(std::unique_lock<std::mutex> lock) {
  for (;;) {
    if (first != nullptr && !has_too_many()) {
      detail::ExecutorJob& job = pop();
      ++performing;
      lock.unlock();
      job.perform();
      lock.lock();
      --performing;
      continue;
    }
    if (ending || has_too_many()) break;
    const bool woken = work.wait_for(
        lock, options.idle_limit, [this] { return first != nullptr || ending || has_too_many(); });
    if (!woken) break;
  }
  --workers;
  gone.notify_all();
}

/// Errors: std::system_error when the machine has no more threads.
void ThreadPoolExecutor::State::start_worker(const std::shared_ptr<State>& state) {
  // Signals are the main thread's.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  struct Restore {
    sigset_t& mask;
    ~Restore() { ::pthread_sigmask(SIG_SETMASK, &mask, nullptr); }
  } restore{before};
  std::thread([state] {
    ::pthread_setname_np(::pthread_self(), state->options.thread_name);
    state->run(std::unique_lock(state->mutex));
  }).detach();  // shutdown() counts them instead of joining: the last one may outlive the pool
}

ThreadPoolExecutor::ThreadPoolExecutor(const ThreadPoolOptions& options)
    : state_(std::make_shared<State>(options)) {
  state_->options.max_workers = workers_or_default(options.max_workers);
}

ThreadPoolExecutor::~ThreadPoolExecutor() { shutdown(); }

void ThreadPoolExecutor::execute(detail::ExecutorJob& job) {
  State& state = *state_;
  const std::lock_guard lock(state.mutex);
  if (state.ending) throw RuntimeError("cannot schedule new futures after shutdown");
  state.push(job);
  if (!state.has_too_few()) {
    state.work.notify_one();  // or whoever is done first takes it
    return;
  }
  ++state.workers;
  try {
    State::start_worker(state_);
  } catch (const std::system_error& error) {
    --state.workers;
    if (state.workers > 0) return;  // one less than there could be; the job waits for the others
    state.take_back(job);
    throw OSError(error.code().value(), "cannot start a thread for an executor");
  }
}

void ThreadPoolExecutor::shutdown(bool wait, bool cancel_futures) {
  std::unique_lock lock(state_->mutex);
  state_->ending = true;
  state_->work.notify_all();
  while (cancel_futures && state_->first != nullptr) {
    state_->pop().refuse(std::make_exception_ptr(CancelledError()));
  }
  if (wait) state_->gone.wait(lock, [this] { return state_->workers == 0; });
}

std::size_t ThreadPoolExecutor::max_workers() const {
  const std::lock_guard lock(state_->mutex);
  return state_->options.max_workers;
}

void ThreadPoolExecutor::set_max_workers(std::size_t count) {
  if (count == 0) throw ValueError("max_workers must be greater than 0");
  const std::lock_guard lock(state_->mutex);
  state_->options.max_workers = count;
  state_->work.notify_all();
  while (state_->has_too_few()) {
    ++state_->workers;
    try {
      State::start_worker(state_);
    } catch (const std::system_error&) {
      --state_->workers;
      return;  // fewer than asked for; those that are there go on
    }
  }
}

std::size_t ThreadPoolExecutor::workers() const {
  const std::lock_guard lock(state_->mutex);
  return state_->workers;
}

ThreadPoolExecutor& blocking_pool() {
  // Never destroyed: its threads may still block when the process exits.
  static auto* const pool = new ThreadPoolExecutor();
  return *pool;
}

}  // namespace rota
