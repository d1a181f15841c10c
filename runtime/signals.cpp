#include "signals.hpp"

#include <rota/detail/task_base.hpp>
#include <rota/error.hpp>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace rota::detail {
namespace {

/// Of the run() that has the signals now. Written by its thread; read by the handler on any thread.
constinit atomic<Interrupts*> active{nullptr};
/// Handlers at work: the object must not die under them.
constinit atomic<int> handlers_running{0};

bool on_main_thread() noexcept { return ::getpid() == static_cast<pid_t>(::syscall(SYS_gettid)); }

bool has_default_action(int signal) noexcept {
  struct sigaction action{};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_DFL;
}

}  // namespace

namespace {

/// In a forked child the signals are nobody's: it has no loop of ours.
void forget_in_child() noexcept {
  // relaxed: the child has one thread.
  if (active.exchange(nullptr, std::memory_order_relaxed) == nullptr) return;
  ::signal(SIGINT, SIG_DFL);
  ::signal(SIGTERM, SIG_DFL);
}

void forget_in_children() noexcept {
  static const int installed = ::pthread_atfork(nullptr, nullptr, &forget_in_child);
  static_cast<void>(installed);
}

}  // namespace

Interrupts::Interrupts(EventLoop& loop, TaskBase& main, bool wanted)
    : loop_(loop), handle_(loop.handle()), main_(main), node_(*this) {
  Interrupts* nobody = nullptr;
  // release: pairs with the acquire in handle(): the handler sees the whole object.
  if (!wanted || !on_main_thread() ||
      !active.compare_exchange_strong(nobody, this, std::memory_order_release,
                                      std::memory_order_relaxed)) {
    return;
  }
  forget_in_children();
  struct sigaction action{};
  action.sa_handler = &Interrupts::handle;
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  installed_int_ = has_default_action(SIGINT) && ::sigaction(SIGINT, &action, &previous_int_) == 0;
  installed_term_ =
      has_default_action(SIGTERM) && ::sigaction(SIGTERM, &action, &previous_term_) == 0;
}

Interrupts::~Interrupts() {
  if (installed_int_) ::sigaction(SIGINT, &previous_int_, nullptr);
  if (installed_term_) ::sigaction(SIGTERM, &previous_term_, nullptr);
  Interrupts* self = this;
  // seq_cst, and the load below: pairs with the increment and the load of `active` in handle():
  // either the handler sees null, or we see it at work and wait.
  if (!active.compare_exchange_strong(self, nullptr, std::memory_order_seq_cst,
                                      std::memory_order_relaxed))
    return;
  // seq_cst: pairs with the increment in handle(), as above.
  while (handlers_running.load(std::memory_order_seq_cst) != 0) ::usleep(1);
  // acquire: pairs with the exchange in handle(). The node may still be in the inbox: one more step
  // takes it out.
  while (queued_.load(std::memory_order_acquire)) {
    loop_.stop();
    try {
      loop_.run_forever();
    } catch (const KeyboardInterrupt&) {
      signal_ = SIGINT;
    }
  }
}

void Interrupts::handle(int signal) noexcept {
  const int saved = errno;
  // seq_cst: pairs with the destructor, see there.
  handlers_running.fetch_add(1, std::memory_order_seq_cst);
  if (Interrupts* self = active.load(std::memory_order_seq_cst)) {
    atomic<int>& count = signal == SIGINT ? self->interrupts_ : self->terminations_;
    if (count.fetch_add(1, std::memory_order_relaxed) >= 1)
      ::signal(signal, SIG_DFL);  // the next one is final
    // acq_rel: pairs with the exchange in Node::arrived(): it sees the count, or the node is pushed
    // again.
    if (!self->queued_.exchange(true, std::memory_order_acq_rel))
      (void)self->handle_.core()->post(self->node_);
  }
  handlers_running.fetch_sub(1,
                             std::memory_order_seq_cst);  // pairs with the load in the destructor
  errno = saved;
}

void Interrupts::Node::arrived(Runnable& node, bool dropped) noexcept {
  Interrupts& self = static_cast<Node&>(node).owner;
  // acq_rel: pairs with the exchange in handle().
  self.queued_.exchange(false, std::memory_order_acq_rel);
  if (dropped) return;
  const int interrupts =
      self.interrupts_.load(std::memory_order_relaxed);  // made visible by the exchange
  const int terminations = self.terminations_.load(std::memory_order_relaxed);
  // A main that is done, whatever ended it, was not ended by the signal.
  if (self.signal_ == 0 && self.main_.cancel(nullptr))
    self.signal_ = interrupts > 0 ? SIGINT : SIGTERM;
  if (interrupts >= 2 || (interrupts + terminations >= 2 && interrupts > 0))
    self.loop_.interrupt(SIGINT);
}

void exit_quietly_on_keyboard_interrupt() noexcept {
  static std::terminate_handler previous = nullptr;
  static const bool installed = [] {
    previous = std::set_terminate([] {
      try {
        if (const std::exception_ptr exception = std::current_exception())
          std::rethrow_exception(exception);
      } catch (const KeyboardInterrupt& interrupt) {
        std::fflush(nullptr);
        ::_exit(128 + interrupt.signal());
      } catch (...) {
        previous();  // everybody else's business, with std::current_exception() as it was
      }
      previous();
    });
    return true;
  }();
  static_cast<void>(installed);
}

}  // namespace rota::detail
