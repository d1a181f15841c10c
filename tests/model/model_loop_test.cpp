/// call_soon_threadsafe against a whole loop: while it goes to sleep, while it runs, while it ends.
#include <rota/loop.hpp>

#include "model/counted.hpp"
#include "model/expect.hpp"
#include "model/loop_kernel.hpp"

#include <gtest/gtest.h>

#include <array>

namespace rota::model {
namespace {

TEST(ModelLoop, ACallThatComesWhileTheLoopGoesToSleepIsMade) {
  EXPECT_TRUE(holds([] {
    LoopKernel kernel;
    EventLoop loop(kernel.options());
    plain<int> alive(0);
    in_parallel({[&] {
                   loop.run_forever();
                   loop.close();
                 },
                 [&, handle = loop.handle()] {
                   handle.call_soon_threadsafe(
                       [&loop](const Counted& counted) {
                         counted.use();
                         loop.stop();
                       },
                       Counted(alive));
                 }});
    check(alive.read() == 0, "the call's counteds outlive it");
  }));
}

TEST(ModelLoop, ACallAgainstTheEndIsMadeOrDroppedOrRefused) {
  EXPECT_TRUE(holds([] {
    LoopKernel kernel;
    EventLoop loop(kernel.options());
    plain<int> alive(0);
    plain<int> made(0);
    plain<bool> ended(false);
    in_parallel({[&] {
                   loop.stop();
                   loop.run_forever();
                   ended.write(true);
                   loop.close();
                 },
                 [&, handle = loop.handle()] {
                   try {
                     handle.call_soon_threadsafe(
                         [&made](const Counted& counted) {
                           counted.use();
                           made.write(made.read() + 1);
                         },
                         Counted(alive));
                   } catch (const RuntimeError&) {
                     check(ended.read(), "refused by a loop that has not ended");
                   }
                 }});
    check(alive.read() == 0, "the call's counteds outlive it");
    check(made.read() <= 1, "made twice");
  }));
}

TEST(ModelLoop, ACallIsEitherMadeOrCancelled) {
  EXPECT_TRUE(holds([] {
    LoopKernel kernel;
    EventLoop loop(kernel.options());
    plain<int> alive(0);
    bool made = false;
    bool cancelled = false;
    in_parallel({[&] {
                   loop.run_forever();
                   loop.close();
                 },
                 [&, handle = loop.handle()] {
                   const Handle call = handle.call_soon_threadsafe(
                       [&made](const Counted& counted) {
                         counted.use();
                         made = true;
                       },
                       Counted(alive));
                   cancelled = call.cancel();
                   if (cancelled) check(call.cancelled() && alive.read() == 0);
                   handle.call_soon_threadsafe([&loop] { loop.stop(); });
                 }});
    check(made != cancelled);
    check(alive.read() == 0, "the call's counteds outlive it");
  }));
}

TEST(ModelLoop, WhoFindsACallCancelledSeesWhatTheCancellerDidBefore) {
  EXPECT_TRUE(holds([] {
    LoopKernel kernel;
    EventLoop loop(kernel.options());
    const Handle call = loop.call_soon([] {});
    plain<bool> decided;
    in_parallel({[&] {
                   decided.write(true);
                   check(call.cancel());
                 },
                 [&] {
                   if (call.cancelled()) check(decided.read());
                 }});
  }));
}

TEST(ModelLoop, OneOfTwoCancelsIsRefusedAndSeesWhatTheOtherDidBefore) {
  EXPECT_TRUE(holds([] {
    LoopKernel kernel;
    EventLoop loop(kernel.options());
    plain<int> alive(0);
    const Handle call = loop.call_soon([](const Counted&) {}, Counted(alive));
    std::array<plain<bool>, 2> decided;
    std::array<bool, 2> cancelled{};
    const auto cancel = [&](std::size_t own) {
      decided.at(own).write(true);
      cancelled.at(own) = call.cancel();
      check(cancelled.at(own) || decided.at(1 - own).read());
    };
    in_parallel({[&] { cancel(0); }, [&] { cancel(1); }});
    check(cancelled[0] != cancelled[1] && alive.read() == 0);
  }));
}

}  // namespace
}  // namespace rota::model
