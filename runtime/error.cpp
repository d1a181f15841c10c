#include <rota/error.hpp>

#include <cerrno>
#include <cstdlib>
#include <cxxabi.h>
#include <memory>
#include <typeinfo>

namespace rota {
namespace {

// "message (2 sub-exceptions)", as Python prints it. As there, a group of nothing is an error of
// its maker.
std::string group_message(const std::string& message, std::size_t count) {
  if (count == 0) throw ValueError("an ExceptionGroup needs at least one exception");
  return message + " (" + std::to_string(count) +
         (count == 1 ? " sub-exception)" : " sub-exceptions)");
}

std::string demangled(const std::type_info& type) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> name(
      abi::__cxa_demangle(type.name(), nullptr, nullptr, &status), &std::free);
  return name ? name.get() : type.name();
}

// The type without throwing it: throwing costs microseconds, and this is asked for every task that
// ends by an exception.
const std::type_info& type_of(const std::exception_ptr& exception) noexcept {
  return *exception.__cxa_exception_type();  // libstdc++
}

}  // namespace

ExceptionGroup::ExceptionGroup(const std::string& message,
                               std::vector<std::exception_ptr> exceptions)
    : std::runtime_error(group_message(message, exceptions.size())),
      exceptions_(std::move(exceptions)) {}

namespace detail {

void throw_os_error(int error, const char* operation) {
  switch (error) {
    case ECONNREFUSED:
      throw ConnectionRefusedError(error, operation);
    case ECONNRESET:
      throw ConnectionResetError(error, operation);
    case ECONNABORTED:
      throw ConnectionAbortedError(error, operation);
    case EPIPE:
    case ESHUTDOWN:
      throw BrokenPipeError(error, operation);
    default:
      throw OSError(error, operation);
  }
}

std::string describe(const std::exception_ptr& exception) {
  if (!exception) return "no exception";
  std::string type = demangled(type_of(exception));
  try {
    std::rethrow_exception(exception);
  } catch (const CancelledError& cancelled) {
    return cancelled.message().empty() ? "CancelledError"
                                       : "CancelledError: " + cancelled.message();
  } catch (const std::exception& error) {
    return type + ": " + error.what();
  } catch (...) {  // its type is all that can be said: the same as std::current_exception()'s
    return type;
  }
}

bool is_cancelled_error(const std::exception_ptr& exception) noexcept {
  return exception && type_of(exception) == typeid(CancelledError);
}

}  // namespace detail
}  // namespace rota
