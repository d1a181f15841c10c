/// SIGINT and SIGTERM while run() is at work; each case in a process of its own.
#include <rota/runtime.hpp>
#include <rota/sleep.hpp>

#include <gtest/gtest.h>

#include <csignal>
#include <functional>
#include <sys/wait.h>
#include <unistd.h>

namespace rota {
namespace {

using namespace std::chrono_literals;

/// Runs `body` in a forked child; its exit code, or 128 + the signal that killed it.
int in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

RuntimeOptions one_loop() {
  RuntimeOptions options;
  options.loops = 1;
  return options;
}

Coro<> raise_and_wait(int signal) {
  ::raise(signal);
  co_await sleep(1h);
}

// "First SIGINT cancels the main task (waiting on a future, or spinning on sleep(0)); run raises
// KeyboardInterrupt once the task ended cancelled."
TEST(Signals, RU11TheFirstSigintCancelsMainAndRunThrowsKeyboardInterrupt) {
  const int code = in_child([] {
    try {
      run(raise_and_wait(SIGINT), one_loop());
    } catch (const KeyboardInterrupt& interrupt) {
      return interrupt.signal() == SIGINT ? 7 : 1;
    }
    return 2;
  });
  EXPECT_EQ(code, 7);
}

TEST(Signals, RU11AMainThatSpinsOnSleepZeroIsCancelledToo) {
  const int code = in_child([] {
    auto spin = []() -> Coro<> {
      ::raise(SIGINT);
      for (;;) co_await sleep(0s);
    };
    try {
      run(spin(), one_loop());
    } catch (const KeyboardInterrupt&) {
      return 7;
    }
    return 2;
  });
  EXPECT_EQ(code, 7);
}

// "Second SIGINT raises KeyboardInterrupt immediately from the loop."
TEST(Signals, RU12TheSecondSigintLeavesAtOnce) {
  const int code = in_child([] {
    static int cancels = 0;
    auto stubborn = []() -> Coro<> {
      ::raise(SIGINT);
      for (;;) {
        try {
          co_await sleep(1h);
        } catch (const CancelledError&) {
          ++cancels;
          (void)std::current_exception();
          if (cancels == 1) ::raise(SIGINT);
        }
      }
    };
    RuntimeOptions options = one_loop();
    options.shutdown_timeout = 1ms;
    try {
      run(stubborn(), options);
    } catch (const KeyboardInterrupt&) {
      return cancels >= 1 ? 7 : 1;
    }
    return 2;
  });
  EXPECT_EQ(code, 7);
}

// "If the main task had been cancelled for another reason as well, CancelledError is raised."
TEST(Signals, RU13ACancelFromElsewhereBesideTheSignalStaysACancelledError) {
  const int code = in_child([] {
    auto both = []() -> Coro<> {
      ::raise(SIGINT);
      current_task().cancel();
      co_await sleep(1h);
    };
    try {
      run(both(), one_loop());
    } catch (const KeyboardInterrupt&) {
      return 1;
    } catch (const CancelledError&) {
      return 7;
    }
    return 2;
  });
  EXPECT_EQ(code, 7);
}

// "a task that swallowed the cancel gives its result."
TEST(Signals, RU15AMainThatSwallowsTheCancelGivesItsResult) {
  const int code = in_child([] {
    auto swallows = []() -> Coro<int> {
      ::raise(SIGINT);
      try {
        co_await sleep(1h);
      } catch (const CancelledError&) {
        (void)std::current_exception();
      }
      co_return 7;
    };
    return run(swallows(), one_loop());
  });
  EXPECT_EQ(code, 7);
}

TEST(Signals, AnUncaughtKeyboardInterruptEndsTheProcessWith130AndATerminationWith143) {
  EXPECT_EQ(in_child([]() noexcept {
              run(raise_and_wait(SIGINT), one_loop());
              return 0;
            }),
            130);
  EXPECT_EQ(in_child([]() noexcept {
              run(raise_and_wait(SIGTERM), one_loop());
              return 0;
            }),
            143);
}

TEST(Signals, TheDispositionsAreAsBeforeWhenRunHasEnded) {
  const int code = in_child([] {
    auto nothing = []() -> Coro<> { co_return; };
    run(nothing(), one_loop());
    struct sigaction action{};
    ::sigaction(SIGINT, nullptr, &action);
    return action.sa_handler == SIG_DFL ? 7 : 1;
  });
  EXPECT_EQ(code, 7);
}

TEST(Signals, AHandlerOfTheUsersOwnIsLeftAlone) {
  const int code = in_child([] {
    static volatile std::sig_atomic_t seen = 0;
    std::signal(SIGINT, [](int) { seen = 1; });
    auto raises = []() -> Coro<int> {
      ::raise(SIGINT);
      co_await sleep(0s);
      co_return seen == 1 ? 7 : 1;
    };
    return run(raises(), one_loop());
  });
  EXPECT_EQ(code, 7);
}

}  // namespace
}  // namespace rota
