/// io.hpp: what the tests of io/ share: a loop with the real clock, and counts of descriptors.
#pragma once

#include <rota/loop.hpp>
#include <rota/task.hpp>

#include <cstddef>
#include <filesystem>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

namespace rota::testing_support {

/// Descriptors that this process has open.
inline std::size_t open_descriptors() {
  const std::filesystem::directory_iterator entries("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(entries), end(entries))) - 1;  // its own
}

/// A loop that keeps what it reports.
class IoLoop {
 public:
  explicit IoLoop(LoopOptions options = {}) : loop_(options) {
    loop_.set_exception_handler(
        [this](EventLoop&, const ExceptionContext& context) { reports_.push_back(context); });
  }
  EventLoop& operator*() noexcept { return loop_; }
  EventLoop* operator->() noexcept { return &loop_; }

  template <Awaitable A>
  auto run(A&& awaitable) {
    return loop_.run_until_complete(std::forward<A>(awaitable));
  }
  const std::vector<ExceptionContext>& reports() const noexcept { return reports_; }

 private:
  std::vector<ExceptionContext> reports_;
  EventLoop loop_;
};

/// Runs `coro` on a loop made for it, and ends the loop.
template <typename T>
T run_alone(Coro<T> coro) {
  IoLoop loop;
  return loop.run(std::move(coro));
}

/// `size` bytes that tell their place.
inline std::string pattern(std::size_t size) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>('a' + (i * 7 + i / 251) % 26);
  return text;
}

}  // namespace rota::testing_support
