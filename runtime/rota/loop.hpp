/// loop.hpp: EventLoop, one thread's wheel: callbacks, timers, tasks and I/O of one ring; and the
/// handles to it.
///
/// What happens in a step, in which order, and how a loop sleeps and wakes: runtime/README.md,
/// sections 4 and 7.
#pragma once

#include <rota/clock.hpp>
#include <rota/concepts.hpp>
#include <rota/detail/callback.hpp>
#include <rota/detail/loop_state.hpp>
#include <rota/error.hpp>
#include <rota/stats.hpp>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <source_location>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace rota {

class EventLoop;
template <typename T>
class Coro;
template <typename T>
class Task;
template <typename T>
class Future;
struct TaskOptions;

namespace detail {
class Ring;
class Completable;
class LoopService;
}  // namespace detail

/// A scheduled callback. As: asyncio.Handle.
class Handle {
 public:
  /// Takes over one reference.
  explicit Handle(detail::Callback* callback) noexcept : callback_(callback) {}
  Handle(const Handle& other) noexcept : callback_(other.callback_) { callback_->retain(); }
  Handle& operator=(Handle other) noexcept {
    std::swap(callback_, other.callback_);
    return *this;
  }
  ~Handle() { callback_->release(); }

  /// From here on the callback will not be called; it and its arguments are destroyed now.
  /// Returns: false when it runs now, has run, or was cancelled before. Never blocks.
  /// Thread: any. As: Handle.cancel (which returns nothing, and may block).
  bool cancel() const noexcept { return callback_->cancel(); }
  bool cancelled() const noexcept { return callback_->cancelled(); }  ///< Thread: any.

 protected:
  detail::Callback* callback_;
};

/// A callback with a deadline. As: asyncio.TimerHandle.
class TimerHandle : public Handle {
 public:
  using Handle::Handle;
  /// Takes the timer out. Returns: false when it is too late. Thread: owner loop.
  bool cancel() const noexcept;
  /// The deadline; readable after firing and cancelling too. Thread: any.
  TimePoint when() const noexcept { return TimePoint(Duration(callback_->when)); }
};

/// A counted reference to a loop that any thread may hold, also after the loop is closed.
class LoopHandle {
 public:
  LoopHandle() = default;
  explicit LoopHandle(detail::LoopCore& core) noexcept : core_(&core) { core_->retain(); }
  LoopHandle(const LoopHandle& other) noexcept : core_(other.core_) {
    if (core_ != nullptr) core_->retain();
  }
  LoopHandle(LoopHandle&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
  LoopHandle& operator=(LoopHandle other) noexcept {
    std::swap(core_, other.core_);
    return *this;
  }
  ~LoopHandle() {
    if (core_ != nullptr) core_->release();
  }
  bool operator==(const LoopHandle&) const = default;
  explicit operator bool() const noexcept { return core_ != nullptr; }

  /// Calls `function(args...)` on the loop, in the order of arrival; wakes the loop if it sleeps.
  /// From the loop's own thread this is call_soon. Thread: any. Suspends: never.
  /// Errors: RuntimeError "Event loop is closed". As: loop.call_soon_threadsafe.
  template <typename Function, typename... Args>
    requires std::invocable<std::decay_t<Function>, std::decay_t<Args>...>
  Handle call_soon_threadsafe(Function&& function, Args&&... args) const {
    auto call = detail::bind_call(std::forward<Function>(function), std::forward<Args>(args)...);
    return post(*detail::CallbackOf<decltype(call)>::create(std::move(call), 2));
  }

  std::uint64_t id() const noexcept { return core_->id(); }  ///< Of the loop; never used twice.
  detail::LoopCore* core() const noexcept { return core_; }

 private:
  Handle post(detail::Callback& callback) const;

  detail::LoopCore* core_ = nullptr;
};

/// What an exception handler is told. As: the context dictionary of loop.call_exception_handler.
struct ExceptionContext {
  ExceptionContext(std::string message_, std::exception_ptr exception_ = {},
                   std::string task_name_ = {})
      : message(std::move(message_)),
        exception(std::move(exception_)),
        task_name(std::move(task_name_)) {}

  std::string message;           ///< What happened, in one line.
  std::exception_ptr exception;  ///< May be null.
  std::string task_name;         ///< Of the task that it happened to; may be empty.
};
using ExceptionHandler = std::function<void(EventLoop&, const ExceptionContext&)>;

/// Called by the loop at fixed points, for instruments and custom loops. Each may be empty.
struct LoopHooks {
  LoopHooks() noexcept {}
  std::function<void(EventLoop&)> before_step;
  std::function<void(EventLoop&)> after_step;
  std::function<void(EventLoop&)> on_idle;  ///< Nothing is ready: the loop is about to sleep.
};

struct LoopOptions {
  bool debug = false;
  unsigned ring_entries = 256;  ///< Requests prepared before one must be submitted; a power of two.
  unsigned completion_entries =
      4096;  ///< Completions kept before the kernel overflows into its own memory.
  std::chrono::nanoseconds spin{0};  ///< Look for work this long before sleeping. 0: sleep at once.
  bool fairness = true;  ///< False: a task may await ready things without end (for order tests).
  /// Null: the machine. Otherwise outlives the loop and every handle, task and future of it.
  detail::Kernel* kernel = nullptr;
  std::uint32_t feature_mask =
      ~0u;  ///< Clears probed kernel features: stands in for older kernels.
};

/// One loop. Made on any thread; belongs to the first thread that runs it. Owner loop's thread
/// only, but for what says "any". As: asyncio.AbstractEventLoop.
class EventLoop final : public detail::LoopState {
 public:
  /// Errors: StartupError (what, why, what to do), OSError.
  explicit EventLoop(LoopOptions options = {});
  /// Closes it.
  ~EventLoop();

  // --- callbacks ---
  /// Calls `function(args...)` in the next step, after what was scheduled before. The arguments are
  /// kept by value. Errors: RuntimeError when closed. As: loop.call_soon.
  template <typename Function, typename... Args>
    requires std::invocable<std::decay_t<Function>, std::decay_t<Args>...>
  Handle call_soon(Function&& function, Args&&... args) {
    detail::Callback& callback =
        make_callback(std::forward<Function>(function), std::forward<Args>(args)...);
    ready.push(callback);
    return Handle(&callback);
  }
  /// Calls it once `delay` has passed: never early; equal deadlines in the order of the calls.
  /// Errors: RuntimeError when closed; ValueError (NaN). As: loop.call_later.
  template <typename Rep, typename Period, typename Function, typename... Args>
    requires std::invocable<std::decay_t<Function>, std::decay_t<Args>...>
  TimerHandle call_later(std::chrono::duration<Rep, Period> delay, Function&& function,
                         Args&&... args) {
    const std::int64_t when = detail::deadline_after(now(), detail::to_nanoseconds(delay));
    return arm(when, make_callback(std::forward<Function>(function), std::forward<Args>(args)...));
  }
  /// Calls it at `when` on this loop's clock. As: loop.call_at.
  template <typename Function, typename... Args>
    requires std::invocable<std::decay_t<Function>, std::decay_t<Args>...>
  TimerHandle call_at(TimePoint when, Function&& function, Args&&... args) {
    return arm(when.time_since_epoch().count(),
               make_callback(std::forward<Function>(function), std::forward<Args>(args)...));
  }
  /// Thread: any that knows the loop to be alive; to be safe against its end use handle().
  template <typename Function, typename... Args>
    requires std::invocable<std::decay_t<Function>, std::decay_t<Args>...>
  Handle call_soon_threadsafe(Function&& function, Args&&... args) {
    return handle().call_soon_threadsafe(std::forward<Function>(function),
                                         std::forward<Args>(args)...);
  }
  /// This loop for other threads. Thread: any.
  LoopHandle handle() noexcept { return LoopHandle(*core); }
  /// Now, on this loop's clock. As: loop.time.
  TimePoint time() noexcept { return TimePoint(Duration(now())); }

  // --- tasks ---
  /// As the free create_task, also before the loop runs. Errors: RuntimeError when closed.
  template <typename T>
  Task<T> create_task(Coro<T> coro, TaskOptions options,
                      std::source_location site = std::source_location::current());
  template <typename T>
  Task<T> create_task(Coro<T> coro, std::source_location site = std::source_location::current());
  /// A future that belongs to this loop already. As: loop.create_future.
  template <typename T = void>
  Future<T> create_future();

  // --- running ---
  /// Runs until stop(). Errors: RuntimeError (closed; runs already; another loop runs on this
  /// thread, or owns it); KeyboardInterrupt.
  void run_forever();
  /// Runs until `awaitable` (a Coro, Task, Future or any awaitable) is done; gives its result.
  /// Errors: what it throws; RuntimeError "Event loop stopped before Future completed."
  template <Awaitable A>
  auto run_until_complete(A&& awaitable);
  /// The present step is the last; before running: exactly one step. Thread: owner (any:
  /// call_soon_threadsafe it).
  void stop() noexcept { stopping_ = true; }
  /// Ends it: cancels operations, destroys what is pending, closes the ring. Idempotent.
  /// Errors: RuntimeError while it runs; on another thread than the one that ran it.
  void close();
  bool is_running() const noexcept { return core->running(); }  ///< Thread: any.
  bool is_closed() const noexcept { return closed_; }
  LoopStats stats() const noexcept;  ///< Thread: owner.

  // --- errors and debugging ---
  /// Replaces the handler; an empty one restores the default, which writes to stderr. As:
  /// loop.set_exception_handler.
  void set_exception_handler(ExceptionHandler handler) { exception_handler_ = std::move(handler); }
  const ExceptionHandler& get_exception_handler() const noexcept { return exception_handler_; }
  /// Reports; never throws: a handler that throws is reported by the default one. As:
  /// loop.call_exception_handler.
  void call_exception_handler(const ExceptionContext& context) noexcept;
  void default_exception_handler(const ExceptionContext& context) noexcept;
  void set_debug(bool debug) noexcept { debug_ = debug; }
  bool get_debug() const noexcept { return debug_; }
  /// May be called by a hook too: the others of that step are still the old ones.
  void set_hooks(LoopHooks hooks) { hooks_ = std::make_shared<const LoopHooks>(std::move(hooks)); }
  /// Writes tasks with their await sites and operations in flight to `fd`. Thread: owner, or any in
  /// an emergency.
  void dump(int fd) noexcept;

  // --- for the runtime's own parts ---
  detail::Ring& ring() noexcept { return *ring_; }
  /// The next step ends run_forever with KeyboardInterrupt(signal).
  void interrupt(int signal) noexcept { interrupt_ = signal; }
  /// Cancels every task of this loop that is not done. Returns how many.
  std::size_t cancel_all_tasks() noexcept;
  void run_until_done(detail::Completable& completable);
  /// Runs until `done()` holds after a step, or until `deadline` (ns of the real clock). A signal's
  /// interrupt is kept.
  void run_until(const std::function<bool()>& done, std::int64_t deadline) noexcept;
  /// A service of this loop (a buffer ring, a listener), destroyed by close() before the ring.
  /// Newest first.
  void add_service(std::unique_ptr<detail::LoopService> service);
  template <typename Service>
  Service* find_service() noexcept;
  /// The loops of its runtime; a loop made by hand is alone. Set before the loop runs.
  void set_siblings(std::shared_ptr<const std::vector<LoopHandle>> loops) noexcept {
    siblings_ = std::move(loops);
  }
  std::vector<LoopHandle> siblings() {
    return siblings_ != nullptr ? *siblings_ : std::vector<LoopHandle>{handle()};
  }
  void require_open() const;  ///< Errors: RuntimeError "Event loop is closed".
  /// Work outside of the loop that will come back by the inbox: while there is any, a clock that
  /// jumps does not.
  void add_hold() noexcept { ++holds_; }
  void remove_hold() noexcept { --holds_; }

 private:
  template <typename Function, typename... Args>
  detail::Callback& make_callback(Function&& function, Args&&... args) {
    require_open();
    if (debug_) [[unlikely]]
      require_own_thread();
    auto call = detail::bind_call(std::forward<Function>(function), std::forward<Args>(args)...);
    return *detail::CallbackOf<decltype(call)>::create(std::move(call), 2);
  }
  TimerHandle arm(std::int64_t when, detail::Callback& callback);

  void begin_run();
  void require_owner() const;       ///< Errors: RuntimeError.
  void require_own_thread() const;  ///< Errors: RuntimeError "Non-thread-safe operation ...".
  void end_run() noexcept;
  void step();
  void poll_kernel();
  void sleep_until_work();
  bool spin_for_work() noexcept;
  bool only_doorbell_in_flight() const noexcept;
  void take_inbox() noexcept;
  void fire_timers() noexcept;
  void run_ready(std::size_t count) noexcept;
  void run_deferred() noexcept;
  void bring_home() noexcept;
  void settle_operations() noexcept;
  void abandon_tasks() noexcept;
  void drop_queued() noexcept;

  class Doorbell;

  std::unique_ptr<detail::Ring> ring_;
  std::unique_ptr<Doorbell> doorbell_;
  std::unique_ptr<detail::LoopService> services_;
  std::shared_ptr<const LoopHooks> hooks_;
  ExceptionHandler exception_handler_;
  std::shared_ptr<const std::vector<LoopHandle>> siblings_;
  const std::function<bool()>* until_ = nullptr;  ///< Of run_until().
  std::chrono::nanoseconds spin_;
  std::size_t holds_ = 0;
  int interrupt_ = 0;
  bool stopping_ = false;
  bool closed_ = false;
  bool debug_ = false;
  bool enabled_ = false;  ///< The ring belongs to the thread that ran the loop first.
};

/// The loop that runs on this thread. Errors: RuntimeError "no running event loop". As:
/// asyncio.get_running_loop.
EventLoop& get_running_loop();

namespace detail {

/// Something of one loop that closes with it.
class LoopService {
 public:
  virtual ~LoopService() = default;

 private:
  friend class rota::EventLoop;
  std::unique_ptr<LoopService> next_;
};

}  // namespace detail

template <typename Service>
Service* EventLoop::find_service() noexcept {
  for (detail::LoopService* service = services_.get(); service != nullptr;
       service = service->next_.get()) {
    if (auto* found = dynamic_cast<Service*>(service)) return found;
  }
  return nullptr;
}

namespace detail {

inline EventLoop& loop_of(LoopState& state) noexcept { return static_cast<EventLoop&>(state); }

/// What the default exception handler does: a line on stderr.
void write_report(const ExceptionContext& context) noexcept;
/// Calls the exception handler of `core`'s loop, on its thread; the default one when it is closed.
void report_on_loop(LoopCore* core, ExceptionContext context) noexcept;

}  // namespace detail

}  // namespace rota
