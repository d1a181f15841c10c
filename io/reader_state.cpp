#include <rota/detail/bound.hpp>
#include <rota/detail/reader_state.hpp>
#include <rota/streams.hpp>

#include <algorithm>
#include <limits>

namespace rota::detail {

// --- the state --------------------------------------------------------------------------------

ReaderState::ReaderState(LoopCore* core, std::size_t limit) : core_(core), limit_(limit) {
  if (limit == 0) throw ValueError("Limit cannot be <= 0");
  if (core_ != nullptr) core_->retain();
}

ReaderState::~ReaderState() {
  if (core_ != nullptr) core_->release();
}

void ReaderState::bind(const char* operation) {
  LoopCore* const here = running_core();
  if (core_ == nullptr) {
    if (here == nullptr) return;  // outside of every loop: allowed, without binding
    core_ = here;
    core_->retain();
  } else if (core_ != here) {
    throw_wrong_loop(operation, core_);
  }
}

void ReaderState::feed(Bytes chunk) {
  if (chunk.empty()) return;
  buffer_.append(std::move(chunk));
  fed();
}

void ReaderState::feed(std::span<const std::byte> data) {
  if (data.empty()) return;
  buffer_.append(data.data(), data.size());
  fed();
}

void ReaderState::fed() noexcept {
  if (waiter_ != nullptr && buffer_.size() >= waiter_->wanted()) wake();
  // Who waits for more than that must get it.
  if (waiter_ == nullptr && !paused_ && buffer_.size() > 2 * limit_) {
    paused_ = true;
    pause_reading();
  }
}

void ReaderState::feed_eof() noexcept {
  eof_ = true;
  wake();
}

void ReaderState::fail(std::exception_ptr exception) noexcept {
  exception_ = std::move(exception);
  wake();
}

void ReaderState::wake() noexcept {
  ReaderWait* const waiter = std::exchange(waiter_, nullptr);
  if (waiter == nullptr) return;
  waiter->linked_ = false;
  TaskBase& task = *waiter->task_;
  task.queue_attempt(*waiter, task.resume_point(), &ReaderWait::run_attempt);
}

// --- the wait ---------------------------------------------------------------------------------

Separators::Separators(std::vector<std::string> separators) {
  if (separators.empty()) throw ValueError("Separator should contain at least one element");
  first = std::move(separators.front());
  separators.erase(separators.begin());
  others = std::move(separators);
}

std::size_t ReaderWait::wanted() const noexcept {
  if (want_ == Want::exactly) return count_;
  return want_ == Want::all ? std::numeric_limits<std::size_t>::max() : 1;
}

bool ReaderWait::look() {
  switch (want_) {
    case Want::some:
      return is_ready();
    case Want::exactly:
      return state_->buffered().size() >= count_ || state_->ended();
    case Want::all:
      return state_->ended();
    case Want::line:
    case Want::separator:
      found_ = search();
      return found_ != Found::nothing;
  }
  return true;
}

namespace {

struct Match {
  std::size_t begin = std::string_view::npos;
  std::size_t end = std::string_view::npos;
};

/// The match that ends first. As asyncio: of equal ends the first separator's.
void improve(Match& match, std::string_view text, std::string_view separator, std::size_t from) {
  const std::size_t begin = text.find(separator, from);
  if (begin == text.npos || begin + separator.size() >= match.end) return;
  match = {begin, begin + separator.size()};
}

}  // namespace

ReaderWait::Found ReaderWait::search() {
  if (takes_ != state_->takes_) searched_ = 0;
  takes_ = state_->takes_;
  const std::string_view text = state_->buffer_.view();
  const std::string_view first =
      want_ == Want::line ? std::string_view("\n") : std::string_view(separators_->first);
  Match match;
  std::size_t longest = first.size();
  improve(match, text, first, searched_);
  if (want_ == Want::separator) {
    for (const std::string& other : separators_->others) {
      longest = std::max(longest, other.size());
      improve(match, text, other, searched_);
    }
  }
  if (match.end != text.npos) {
    const bool fits = match.begin <= state_->limit_;
    count_ = fits ? match.end : match.begin;
    return fits ? Found::match : Found::overrun;
  }
  searched_ = text.size() + 1 > longest ? text.size() + 1 - longest : 0;
  if (searched_ > state_->limit_) {
    count_ = searched_;
    return Found::overrun;
  }
  return state_->ended() ? Found::end : Found::nothing;
}

void ReaderWait::suspend(TaskBase& task, std::coroutine_handle<> leaf) {
  if (running_loop->budget > 0 && state_->waiter_ != nullptr) {
    throw RuntimeError(
        "StreamReader.read: another task is already waiting for incoming data of this stream");
  }
  held_ = true;
  state_->hold();
  if (running_loop->budget <= 0) {
    task.queue_attempt(*this, leaf, &ReaderWait::run_attempt);
  } else {
    wait(task, leaf);
  }
}

void ReaderWait::wait(TaskBase& task, std::coroutine_handle<> leaf) noexcept {
  task_ = &task;
  if (!task.begin_wait(*this, leaf)) return;
  state_->waiter_ = this;
  linked_ = true;
  if (state_->paused_) state_->resume();
}

void ReaderWait::run_attempt(Runnable& node, bool dropped) noexcept {
  TaskBase& task = TaskBase::of_attempt(node);
  if (dropped) return;
  auto& self = static_cast<ReaderWait&>(task.attempted());
  const bool cancelled = self.task_ != nullptr && task.cancel_due();  // not if it only gave way
  self.task_ = &task;
  if (!cancelled) {
    self.ready_ = self.is_ready();
    self.refused_ = !self.ready_ && self.state_->waiter_ != nullptr;
  }
  if (cancelled || self.ready_ || self.refused_) {
    task.resume_now();
  } else {
    self.wait(task, task.resume_point());
  }
}

void ReaderWait::cancel(Waiting& waiting, TaskBase& task) noexcept {
  auto& self = static_cast<ReaderWait&>(waiting);
  self.linked_ = false;
  self.state_->waiter_ = nullptr;
  task.make_ready();
}

void ReaderWait::finish_waiting() {
  if (ready_) [[likely]]
    return;
  if (refused_) {
    throw RuntimeError(
        "StreamReader.read: another task is already waiting for incoming data of this stream");
  }
  task_->throw_cancelled();
}

Bytes ReaderWait::take_exactly() {
  finish_wait();
  if (state_->buffered().size() >= count_) return state_->take(count_);
  state_->throw_exception();
  const std::size_t all = state_->buffered().size();
  throw IncompleteReadError(state_->take(all), count_);
}

Bytes ReaderWait::take_all() {
  finish_wait();
  state_->throw_exception();
  return state_->take(state_->buffered().size());
}

Bytes ReaderWait::take_until() {
  finish_wait();
  if (found_ == Found::match) return state_->take(count_);
  if (found_ == Found::overrun) {
    throw LimitOverrunError("Separator is not found, or found only behind more than limit() bytes",
                            count_);
  }
  state_->throw_exception();
  const std::size_t all = state_->buffered().size();
  if (want_ == Want::line) return state_->take(all);
  throw IncompleteReadError(state_->take(all), std::nullopt);
}

}  // namespace rota::detail
