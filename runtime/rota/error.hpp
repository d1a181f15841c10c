/// error.hpp: the exceptions of rota, with asyncio's names.
///
/// CancelledError derives from nothing; every other one from std::exception, and OSError from
/// std::system_error.
#pragma once

#include <cstddef>
#include <exception>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace rota {

/// Raised at the await of a task that was cancelled. Not a std::exception, as in Python
/// CancelledError is no Exception: `catch (const std::exception&)` must let it pass. As:
/// asyncio.CancelledError.
class CancelledError final {
 public:
  explicit CancelledError(std::string message = {}) : message_(std::move(message)) {}
  const std::string& message() const noexcept {
    return message_;
  }  ///< What cancel(message) was given.

 private:
  std::string message_;
};

/// A call that the object's state does not allow. As: Python's RuntimeError.
class RuntimeError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// An argument outside its domain. As: Python's ValueError.
class ValueError : public std::invalid_argument {
 public:
  using std::invalid_argument::invalid_argument;
};

/// A result that is not there yet, or set twice. As: asyncio.InvalidStateError.
class InvalidStateError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// A deadline passed. As: TimeoutError.
class TimeoutError : public std::runtime_error {
 public:
  TimeoutError() : std::runtime_error("timed out") {}
  using std::runtime_error::runtime_error;
};

/// The process was interrupted by SIGINT (or asked to end by SIGTERM) while run() was at work, and
/// the main task ended cancelled because of it. If nobody catches it, the process exits with 128 +
/// signal(), without a core dump: 130, 143. As: KeyboardInterrupt.
class KeyboardInterrupt final : public std::exception {
 public:
  explicit KeyboardInterrupt(int signal) noexcept : signal_(signal) {}
  int signal() const noexcept { return signal_; }
  const char* what() const noexcept override { return "interrupted by a signal"; }

 private:
  int signal_;
};

/// A system call or operation failed. `code()` holds the errno; what() names the operation.
/// As: OSError. The usual sub-classes below are thrown for their errno.
class OSError : public std::system_error {
 public:
  OSError(int error, const std::string& operation)
      : std::system_error(error, std::system_category(), operation) {}
};

class ConnectionError : public OSError {
 public:
  using OSError::OSError;
};
class ConnectionRefusedError final : public ConnectionError {
 public:
  using ConnectionError::ConnectionError;
};
class ConnectionResetError final : public ConnectionError {
 public:
  using ConnectionError::ConnectionError;
};
class ConnectionAbortedError final : public ConnectionError {
 public:
  using ConnectionError::ConnectionError;
};
class BrokenPipeError final : public ConnectionError {
 public:
  using ConnectionError::ConnectionError;
};

/// Several errors at once: what TaskGroup throws. As: ExceptionGroup.
class ExceptionGroup : public std::runtime_error {
 public:
  ExceptionGroup(const std::string& message, std::vector<std::exception_ptr> exceptions);
  const std::vector<std::exception_ptr>& exceptions() const noexcept { return exceptions_; }

 private:
  std::vector<std::exception_ptr> exceptions_;
};

/// The runtime cannot start here. what() says what failed, why, and the command that cures it.
class StartupError final : public std::runtime_error {
 public:
  StartupError(int error, const std::string& text) : std::runtime_error(text), error_(error) {}
  int error() const noexcept { return error_; }  ///< The errno of the call that failed.

 private:
  int error_;
};

namespace detail {

/// Throws the OSError, or its sub-class, for `error` (a positive errno).
[[noreturn]] void throw_os_error(int error, const char* operation);

/// "std::runtime_error: text", or "CancelledError", for logs. Empty pointer: "no exception".
std::string describe(const std::exception_ptr& exception);

/// True when the exception is a CancelledError.
bool is_cancelled_error(const std::exception_ptr& exception) noexcept;

}  // namespace detail
}  // namespace rota
