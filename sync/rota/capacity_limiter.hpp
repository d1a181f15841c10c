/// capacity_limiter.hpp: CapacityLimiter, tokens whose number can be changed, and which know who
/// has borrowed them.
#pragma once

#include <rota/detail/bound.hpp>
#include <rota/detail/immovable.hpp>
#include <rota/detail/wait_queue.hpp>
#include <rota/error.hpp>
#include <rota/resource.hpp>
#include <rota/task.hpp>

#include <algorithm>
#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <utility>
#include <vector>

namespace rota {

class CapacityLimiter;

/// Who borrows a token: a task, or any object by its address.
class Borrower {
 public:
  Borrower(const void* object) noexcept : object_(object) {}
  Borrower(const detail::TaskHandle& task) noexcept : task_id_(task.id()) {}
  explicit Borrower(const detail::TaskBase& task) noexcept : task_id_(task.id()) {}
  auto operator<=>(const Borrower&) const = default;

 private:
  std::uint64_t task_id_ = 0;  ///< Of a task: its address may be another one's by and by.
  const void* object_ = nullptr;
};

struct CapacityLimiterStatistics {
  std::size_t total_tokens = 0;
  std::size_t borrowed_tokens = 0;
  std::size_t tasks_waiting = 0;
};

namespace detail {

class [[nodiscard("an acquire does nothing until it is awaited")]] LimiterAwaiter
    : public ParkedAwaiter<LimiterAwaiter> {
 public:
  /// For the task that awaits it.
  explicit LimiterAwaiter(CapacityLimiter& limiter) noexcept;
  LimiterAwaiter(CapacityLimiter& limiter, Borrower borrower) noexcept;
  bool await_ready() noexcept;
  bool attempt() noexcept;
  void await_resume();

 protected:
  CapacityLimiter& limiter_;
  Borrower borrower_;

 private:
  friend class rota::CapacityLimiter;
  bool for_awaiting_task_;
  bool refused_ = false;  ///< When its turn came, its borrower had a token already.
};

}  // namespace detail

/// What `co_await limiter.scoped()` gives: gives the token back when it goes.
class [[nodiscard("it gives the token back at once if nobody keeps it")]] BorrowedToken {
 public:
  BorrowedToken(CapacityLimiter& limiter, Borrower borrower) noexcept
      : limiter_(&limiter), borrower_(borrower) {}
  BorrowedToken(BorrowedToken&& other) noexcept
      : limiter_(std::exchange(other.limiter_, nullptr)), borrower_(other.borrower_) {}
  BorrowedToken& operator=(BorrowedToken&&) = delete;
  ~BorrowedToken();

 private:
  CapacityLimiter* limiter_;
  Borrower borrower_;
};

namespace detail {

class [[nodiscard("it does nothing until it is awaited")]] ScopedLimiterAwaiter final
    : public LimiterAwaiter {
 public:
  using LimiterAwaiter::LimiterAwaiter;
  BorrowedToken await_resume() {
    LimiterAwaiter::await_resume();
    return {limiter_, borrower_};
  }
};

}  // namespace detail

/// anyio.CapacityLimiter. Loop-local: bound to the loop of its first use. FIFO: a token that is
/// given back goes to the longest waiting at once. A borrower has one token at most. Which tasks
/// and objects they are is compared, nothing more: they may be gone.
class CapacityLimiter : detail::Immovable {
 public:
  /// `total_tokens` may be `unlimited`. Errors: ValueError (negative).
  explicit CapacityLimiter(std::integral auto total_tokens)
      : total_tokens_(checked(total_tokens)) {}

  /// Completes once the awaiting task has a token.
  ///
  /// Errors:   RuntimeError when it has one; CancelledError, without a token; RuntimeError on
  ///           another loop, at the call.
  /// Suspends: only while no token is free.
  detail::LimiterAwaiter acquire() {
    bound_.use("CapacityLimiter.acquire");
    return detail::LimiterAwaiter(*this);
  }
  detail::LimiterAwaiter acquire_on_behalf_of(Borrower borrower) {
    bound_.use("CapacityLimiter.acquire_on_behalf_of");
    return detail::LimiterAwaiter(*this, borrower);
  }
  /// Takes a token now or not at all. Suspends: never. Errors: WouldBlock; RuntimeError when the
  /// borrower has one, on another loop, or outside of a task.
  void acquire_nowait() { acquire_on_behalf_of_nowait(current_task()); }
  void acquire_on_behalf_of_nowait(Borrower borrower);
  /// Gives the running task's token back. Suspends: never. Errors: RuntimeError when it has none,
  /// on another loop, or outside of a task.
  void release() { release_on_behalf_of(current_task()); }
  void release_on_behalf_of(Borrower borrower);
  /// `auto token = co_await limiter.scoped();` gives it back when `token` goes.
  detail::ScopedLimiterAwaiter scoped() {
    bound_.use("CapacityLimiter.scoped");
    return detail::ScopedLimiterAwaiter(*this);
  }

  std::size_t total_tokens() const noexcept { return total_tokens_; }
  /// With more, so many more waiters go on. With fewer, nobody loses a token: those above the new
  /// number are not lent again. Errors: ValueError (negative); RuntimeError on another loop.
  void set_total_tokens(std::integral auto total_tokens) {
    bound_.use("CapacityLimiter.set_total_tokens");
    total_tokens_ = checked(total_tokens);
    serve();
  }
  std::size_t borrowed_tokens() const noexcept { return borrowers_.size(); }
  std::size_t available_tokens() const noexcept {
    if (total_tokens_ == unlimited) return unlimited;
    return total_tokens_ - std::min(total_tokens_, borrowed_tokens());
  }
  CapacityLimiterStatistics statistics() const noexcept {
    return {total_tokens_, borrowed_tokens(), waiters_.waiting()};
  }

  // As a scope: `co_await with(limiter, body)`.
  detail::LimiterAwaiter aenter() { return acquire(); }
  void aexit(const std::exception_ptr&) { release(); }

 private:
  friend class detail::LimiterAwaiter;

  static std::size_t checked(std::integral auto total_tokens) {
    if (std::cmp_less(total_tokens, 0)) throw ValueError("total_tokens must be >= 0");
    return static_cast<std::size_t>(total_tokens);
  }
  bool holds(Borrower borrower) const noexcept {
    return std::ranges::binary_search(borrowers_, borrower);
  }
  /// Then nobody waits.
  bool has_free_token() const noexcept { return borrowers_.size() < total_tokens_; }
  void lend(Borrower borrower) {
    borrowers_.insert(std::ranges::upper_bound(borrowers_, borrower), borrower);
  }
  void take_back(Borrower borrower);
  void serve();

  detail::LoopBound bound_;
  detail::WaitQueue waiters_;
  std::size_t total_tokens_;
  std::vector<Borrower> borrowers_;  ///< Sorted: found quickly, and no allocation for each.
};

inline BorrowedToken::~BorrowedToken() {
  if (limiter_ != nullptr) limiter_->release_on_behalf_of(borrower_);
}

inline void CapacityLimiter::acquire_on_behalf_of_nowait(Borrower borrower) {
  bound_.use("CapacityLimiter.acquire_nowait");
  if (holds(borrower)) throw RuntimeError("this borrower has a token of this CapacityLimiter");
  if (!has_free_token()) throw WouldBlock();
  lend(borrower);
}

inline void CapacityLimiter::release_on_behalf_of(Borrower borrower) {
  bound_.use("CapacityLimiter.release");
  if (!holds(borrower)) throw RuntimeError("this borrower has no token of this CapacityLimiter");
  take_back(borrower);
}

inline void CapacityLimiter::take_back(Borrower borrower) {
  borrowers_.erase(std::ranges::lower_bound(borrowers_, borrower));
  serve();
}

/// Whoever is served is a borrower from here on, though its task has not run yet.
inline void CapacityLimiter::serve() {
  while (has_free_token() && waiters_.waiting() != 0) {
    auto& waiter = static_cast<detail::LimiterAwaiter&>(*waiters_.first_waiting());
    waiter.refused_ = holds(waiter.borrower_);
    if (!waiter.refused_) lend(waiter.borrower_);
    waiters_.hand_over(waiter);
  }
}

namespace detail {

inline LimiterAwaiter::LimiterAwaiter(CapacityLimiter& limiter) noexcept
    : ParkedAwaiter<LimiterAwaiter>(limiter.waiters_),
      limiter_(limiter),
      borrower_(nullptr),
      for_awaiting_task_(true) {}
inline LimiterAwaiter::LimiterAwaiter(CapacityLimiter& limiter, Borrower borrower) noexcept
    : ParkedAwaiter<LimiterAwaiter>(limiter.waiters_),
      limiter_(limiter),
      borrower_(borrower),
      for_awaiting_task_(false) {}

inline bool LimiterAwaiter::await_ready() noexcept {
  if (for_awaiting_task_) borrower_ = Borrower(*running_loop->current_task);
  return ParkedAwaiter<LimiterAwaiter>::await_ready();
}

/// True: await_resume can say at once what comes of it.
inline bool LimiterAwaiter::attempt() noexcept {
  return limiter_.has_free_token() || limiter_.holds(borrower_);
}

inline void LimiterAwaiter::await_resume() {
  if (!waited()) {
    limiter_.acquire_on_behalf_of_nowait(borrower_);
    return;
  }
  if (leave()) [[unlikely]] {
    if (woken() && !refused_) limiter_.take_back(borrower_);
    task().throw_cancelled();
  }
  if (refused_)
    throw RuntimeError("this borrower has got a token of this CapacityLimiter meanwhile");
}

}  // namespace detail
}  // namespace rota
