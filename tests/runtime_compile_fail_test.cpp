/// runtime_compile_fail_test.cpp: mistakes that must not compile, and the sentence that helps.
///
/// Each snippet is given to the compiler that built this test; the last one has no mistake, so a
/// failure means what it says and not that nothing compiles here.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

#ifndef ROTA_CXX_COMPILER
#ifdef __clang__
#define ROTA_CXX_COMPILER "clang++-19"
#else
#define ROTA_CXX_COMPILER "g++"
#endif
#endif

namespace {

using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;

struct Compilation {
  bool succeeded = false;
  std::string output;
};

/// What the compiler says about `body`, with rota's headers before it.
Compilation compile(const std::string& body) {
  const auto file = std::filesystem::temp_directory_path() /
                    ("rota_compile_fail_" + std::to_string(::getpid()) + ".cpp");
  std::ofstream(file)
      << "#include <rota/future.hpp>\n#include <rota/sleep.hpp>\n#include <rota/task.hpp>\n"
         "using namespace rota;\nusing namespace std::chrono_literals;\n"
      << body << '\n';
  const std::string command =
      std::string("'" ROTA_CXX_COMPILER
                  "' -std=c++23 -fsyntax-only -Wall -Werror=unused-result -I '") +
      ROTA_SOURCE_DIR "/runtime' '" + file.string() + "' 2>&1";
  Compilation result;
  FILE* pipe = popen(command.c_str(), "r");  // NOLINT(bugprone-command-processor): our own words
  if (pipe == nullptr) return result;
  std::array<char, 4096> chunk{};
  while (std::fgets(chunk.data(), chunk.size(), pipe) != nullptr) result.output += chunk.data();
  const int status = pclose(pipe);
  result.succeeded = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  std::filesystem::remove(file);
  return result;
}

TEST(CompileFail, WhatHasNoMistakeCompiles) {
  const Compilation compilation = compile(R"(
Coro<int> child() { co_return 1; }
Coro<> parent(Future<int> future) {
  Task<int> task = create_task(child());
  co_await sleep(1s);
  co_await child();
  co_await task;
  co_await future;
  get_running_loop().call_soon([] {});
}
)");
  EXPECT_TRUE(compilation.succeeded) << compilation.output;
}

TEST(CompileFail, ATaskAsTheReturnTypeOfACoroutineSaysWhatToWrite) {
  const Compilation compilation = compile("Task<int> wrong() { co_return 1; }");
  EXPECT_FALSE(compilation.succeeded);
  EXPECT_THAT(
      compilation.output,
      HasSubstr("a coroutine function returns rota::Coro<T>; give the Coro to create_task() "
                "to get a Task<T>"));
}

TEST(CompileFail, ATaskOfVoidAsTheReturnTypeSaysTheSame) {
  const Compilation compilation = compile("Task<> wrong() { co_return; }");
  EXPECT_FALSE(compilation.succeeded);
  EXPECT_THAT(compilation.output, HasSubstr("a coroutine function returns rota::Coro<T>"));
}

// TA39 "Awaiting the same coroutine twice is an error": so an lvalue cannot be awaited at all.
TEST(CompileFail, TA39AwaitOfAnLvalueCoro) {
  const Compilation compilation = compile(R"(
Coro<int> child() { co_return 1; }
Coro<> wrong() {
  auto coro = child();
  co_await coro;
}
)");
  EXPECT_FALSE(compilation.succeeded);
  EXPECT_THAT(compilation.output,
              AnyOf(HasSubstr("std::move"), HasSubstr("rvalue"), HasSubstr("&&")));
}

TEST(CompileFail, AwaitOfWhatCannotBeAwaited) {
  const Compilation compilation = compile("Coro<> wrong() { co_await 5; }");
  EXPECT_FALSE(compilation.succeeded);
  EXPECT_THAT(compilation.output, AnyOf(HasSubstr("Awaitable"), HasSubstr("await")));
}

// LO27 "Passing a coroutine where a callback is wanted is an error."
TEST(CompileFail, LO27ACoroutineFunctionAsACallback) {
  const Compilation compilation = compile(R"(
Coro<> coroutine() { co_return; }
void wrong(EventLoop& loop) { loop.call_soon(coroutine); }
)");
  EXPECT_FALSE(compilation.succeeded)
      << "a Coro that call_soon makes is dropped, silently: its body never runs";
  EXPECT_THAT(compilation.output, HasSubstr("create_task"));
}

TEST(CompileFail, LO27ACoroutineFunctionForATimerOrAnotherThread) {
  const Compilation later = compile(R"(
Coro<> coroutine() { co_return; }
void wrong(EventLoop& loop) { loop.call_later(1s, coroutine); }
)");
  EXPECT_FALSE(later.succeeded);
  const Compilation threadsafe = compile(R"(
Coro<> coroutine() { co_return; }
void wrong(EventLoop& loop) { loop.call_soon_threadsafe(coroutine); }
)");
  EXPECT_FALSE(threadsafe.succeeded);
}

TEST(CompileFail, LO27ACoroObjectAsACallback) {
  const Compilation compilation = compile(R"(
Coro<> coroutine() { co_return; }
void wrong(EventLoop& loop) { loop.call_soon(coroutine()); }
)");
  EXPECT_FALSE(compilation.succeeded);
}

// TA33 "create_task of a non-coroutine is rejected."
TEST(CompileFail, TA33ATaskOfWhatIsNoCoroutine) {
  const Compilation compilation = compile("void wrong() { create_task(5); }");
  EXPECT_FALSE(compilation.succeeded);
  EXPECT_THAT(compilation.output, HasSubstr("create_task"));
}

// asyncio's "coroutine was never awaited".
TEST(CompileFail, ACoroThatIsDroppedIsAWarningThatExplainsItself) {
  const Compilation compilation = compile(R"(
Coro<> child() { co_return; }
Coro<> wrong() {
  child();
  co_return;
}
)");
  EXPECT_THAT(compilation.output,
              HasSubstr("a Coro does nothing until it is awaited or given to create_task()"));
}

TEST(CompileFail, ASleepThatIsDroppedIsAWarning) {
  const Compilation compilation = compile("Coro<> wrong() { sleep(1s); co_return; }");
  EXPECT_THAT(compilation.output, AnyOf(HasSubstr("nodiscard"), HasSubstr("unused-result")));
}

TEST(CompileFail, ADetachedTaskIsNoWarning) {
  const Compilation compilation = compile(R"(
Coro<> child() { co_return; }
void right() { create_task(child()); }
)");
  EXPECT_TRUE(compilation.succeeded);
  EXPECT_THAT(compilation.output, Not(HasSubstr("warning")));
}

}  // namespace
