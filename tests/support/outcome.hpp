/// outcome.hpp: small things that tests of tasks and futures ask: how it ended, what was destroyed.
#pragma once

#include <rota/error.hpp>

#include <string>
#include <utility>

namespace rota::testing_support {

/// The message of the CancelledError that the done task or future ended with.
template <typename Done>
std::string message_of(const Done& done) {
  try {
    (void)done.result();
  } catch (const CancelledError& error) {
    return error.message();
  }
  return "(not cancelled)";
}

/// Sets a bool when it is destroyed; a moved-from one does not.
class Flag {
 public:
  explicit Flag(bool& set) : set_(&set) {}
  Flag(Flag&& other) noexcept : set_(std::exchange(other.set_, nullptr)) {}
  Flag& operator=(Flag&&) = delete;
  ~Flag() {
    if (set_ != nullptr) *set_ = true;
  }

 private:
  bool* set_;
};

}  // namespace rota::testing_support
