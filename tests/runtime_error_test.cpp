// The exceptions of rota: which class an errno becomes, and how exceptions are described.
#include <rota/error.hpp>

#include <gtest/gtest.h>

#include <cerrno>
#include <string>

namespace rota {
namespace {

template <typename Error>
std::exception_ptr made(Error error) {
  return std::make_exception_ptr(std::move(error));
}

template <typename Expected>
void expect_thrown(int error) {
  try {
    detail::throw_os_error(error, "connect");
    FAIL() << "nothing was thrown";
  } catch (const OSError& thrown) {
    EXPECT_EQ(typeid(thrown), typeid(Expected)) << error;
    EXPECT_EQ(thrown.code(), std::error_code(error, std::system_category()));
    EXPECT_EQ(std::string(thrown.what()).find("connect: "), 0u) << thrown.what();
  }
}

TEST(OSError, HasTheSubclassThatPythonHasForItsErrno) {
  expect_thrown<ConnectionRefusedError>(ECONNREFUSED);
  expect_thrown<ConnectionResetError>(ECONNRESET);
  expect_thrown<ConnectionAbortedError>(ECONNABORTED);
  expect_thrown<BrokenPipeError>(EPIPE);
  expect_thrown<BrokenPipeError>(ESHUTDOWN);
  expect_thrown<OSError>(ETIMEDOUT);
  expect_thrown<OSError>(ENOENT);
}

TEST(OSError, IsCaughtAsConnectionErrorAndAsSystemError) {
  EXPECT_THROW(detail::throw_os_error(ECONNRESET, "recv"), ConnectionError);
  EXPECT_THROW(detail::throw_os_error(ECONNRESET, "recv"), std::system_error);
  try {
    detail::throw_os_error(ECONNRESET, "recv");
  } catch (const std::system_error& error) {
    EXPECT_TRUE(error.code() == std::errc::connection_reset);
  }
}

TEST(CancelledError, IsNotCaughtAsStdException) {
  bool passed = false;
  try {
    try {
      throw CancelledError("stop");
    } catch (const std::exception&) {
      FAIL() << "user code would swallow a cancellation";
    }
  } catch (const CancelledError& error) {
    passed = error.message() == "stop";
  }
  EXPECT_TRUE(passed);
}

TEST(Describe, NamesTypeAndText) {
  EXPECT_EQ(detail::describe(nullptr), "no exception");
  EXPECT_EQ(detail::describe(made(std::runtime_error("text"))), "std::runtime_error: text");
  EXPECT_EQ(detail::describe(made(RuntimeError("text"))), "rota::RuntimeError: text");
  EXPECT_EQ(detail::describe(made(OSError(ENOENT, "open"))),
            "rota::OSError: open: No such file or directory");
  EXPECT_EQ(detail::describe(made(TimeoutError())), "rota::TimeoutError: timed out");
}

TEST(Describe, CallsACancellationByItsNameAlone) {
  EXPECT_EQ(detail::describe(made(CancelledError())), "CancelledError");
  EXPECT_EQ(detail::describe(made(CancelledError("too slow"))), "CancelledError: too slow");
}

TEST(Describe, NamesTheTypeOfWhatIsNoException) {
  EXPECT_EQ(detail::describe(made(42)), "int");
  struct Local {};
  EXPECT_NE(detail::describe(made(Local())).find("Local"), std::string::npos);
}

TEST(IsCancelledError, IsTrueForNothingElse) {
  EXPECT_TRUE(detail::is_cancelled_error(made(CancelledError())));
  EXPECT_FALSE(detail::is_cancelled_error(made(RuntimeError("cancelled"))));
  EXPECT_FALSE(detail::is_cancelled_error(made(1)));
  EXPECT_FALSE(detail::is_cancelled_error(nullptr));
}

// "str(ExceptionGroup('eg', [ValueError(1), TypeError(2)])) == 'eg (2 sub-exceptions)'"
TEST(ExceptionGroup, CountsItsExceptionsInItsMessage) {
  EXPECT_STREQ(ExceptionGroup("eg", {made(ValueError("1")), made(2)}).what(),
               "eg (2 sub-exceptions)");
  EXPECT_STREQ(ExceptionGroup("eg", {made(ValueError("1"))}).what(), "eg (1 sub-exception)");
}

TEST(ExceptionGroup, KeepsItsExceptionsInTheirOrder) {
  const ExceptionGroup group("eg", {made(ValueError("1")), made(CancelledError())});
  ASSERT_EQ(group.exceptions().size(), 2u);
  EXPECT_EQ(detail::describe(group.exceptions()[0]), "rota::ValueError: 1");
  EXPECT_TRUE(detail::is_cancelled_error(group.exceptions()[1]));
  EXPECT_EQ(detail::describe(made(group)), "rota::ExceptionGroup: eg (2 sub-exceptions)");
}

// "second argument (exceptions) must be a non-empty sequence"
TEST(ExceptionGroup, OfNothingIsAnError) { EXPECT_THROW(ExceptionGroup("eg", {}), ValueError); }

}  // namespace
}  // namespace rota
