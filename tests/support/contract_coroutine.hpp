/// contract_coroutine.hpp: the smallest coroutine type, and values that notice when they are
/// destroyed twice.
///
/// For contract_co_await_test.cpp, which asks what the compiler makes of a co_await expression. It
/// uses the standard library only: a failure there is the compiler's, never rota's.
#pragma once

#include <gtest/gtest.h>

#include <coroutine>
#include <exception>
#include <set>
#include <string>
#include <utility>

namespace rota::testing_support {

/// Owns memory, and knows which of its kind are alive.
struct Tracked {
  int number = 0;
  std::string text = "long enough to live on the heap, where a second destruction shows";

  explicit Tracked(int n = 0) : number(n) { born(); }
  Tracked(const Tracked& other) : number(other.number), text(other.text) { born(); }
  Tracked(Tracked&& other) noexcept : number(other.number), text(std::move(other.text)) { born(); }
  Tracked& operator=(const Tracked&) = default;
  Tracked& operator=(Tracked&&) = default;
  ~Tracked() {
    if (alive().erase(this) == 0) ++mistakes();
  }

  static std::set<const Tracked*>& alive() {
    static std::set<const Tracked*> objects;
    return objects;
  }
  /// How often one was destroyed that was not alive, or made where one was.
  static int& mistakes() {
    static int count = 0;
    return count;
  }

 private:
  void born() {
    if (!alive().insert(this).second) ++mistakes();
  }
};

/// Lazy, awaited once, resumes its awaiter by symmetric transfer.
class Lazy {
 public:
  struct promise_type {
    std::coroutine_handle<> awaiter = std::noop_coroutine();
    std::exception_ptr exception;
    Tracked result;

    struct FinalAwaiter {
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(
          std::coroutine_handle<promise_type> self) const noexcept {
        return self.promise().awaiter;
      }
      void await_resume() const noexcept {}
    };

    Lazy get_return_object() {
      return Lazy(std::coroutine_handle<promise_type>::from_promise(*this));
    }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    FinalAwaiter final_suspend() const noexcept { return {}; }
    void return_value(Tracked value) { result = std::move(value); }
    void unhandled_exception() { exception = std::current_exception(); }
  };

  explicit Lazy(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  Lazy(Lazy&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
  Lazy& operator=(Lazy&&) = delete;
  ~Lazy() {
    if (handle_) handle_.destroy();
  }

  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiter) noexcept {
    handle_.promise().awaiter = awaiter;
    return handle_;
  }
  Tracked await_resume() {
    if (handle_.promise().exception) std::rethrow_exception(handle_.promise().exception);
    return std::move(handle_.promise().result);
  }

  /// Runs it to its end: none of these coroutines waits for anything outside.
  Tracked run() {
    handle_.resume();
    return await_resume();
  }

 private:
  std::coroutine_handle<promise_type> handle_;
};

/// Every case is a coroutine whose right result is 5, and after which nothing is alive or was
/// destroyed twice.
template <typename Body>
void expect_five(Body body) {
  Tracked::alive().clear();
  Tracked::mistakes() = 0;
  EXPECT_EQ(body().run().number, 5);
  EXPECT_EQ(Tracked::mistakes(), 0) << "destroyed twice";
  EXPECT_EQ(Tracked::alive().size(), 0U) << "never destroyed";
}

}  // namespace rota::testing_support
