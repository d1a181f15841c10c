/// io_stream_reader_test.cpp: StreamReader, fed by hand.

#include <rota/sleep.hpp>
#include <rota/streams.hpp>
#include <rota/task.hpp>

#include "support/io.hpp"
#include "support/loop_thread.hpp"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace rota {
namespace {

using namespace std::chrono_literals;
using testing_support::LoopThread;
using testing_support::run_alone;

/// Whether `awaitable` throws an Exception.
template <typename Exception, typename A>
Coro<bool> throws(A awaitable) {
  try {
    co_await std::move(awaitable);
  } catch (const Exception&) {
    co_return true;
  }
  co_return false;
}

template <typename A>
Coro<std::string> text_of(A awaitable) {
  const Bytes bytes = co_await std::move(awaitable);
  co_return bytes.str();
}

Coro<> steps(int count) {
  for (; count > 0; --count) co_await sleep(0s);
}

// --- StreamReader: read -----------------------------------------------------------------------

TEST(StreamReader, SR01ReadGivesWhatIsThereAtMostCount) {
  run_alone([]() -> Coro<> {
    StreamReader reader;
    reader.feed_data("hello");
    EXPECT_EQ(co_await text_of(reader.read(0)), "");
    EXPECT_EQ(co_await text_of(reader.read(2)), "he");
    EXPECT_EQ(co_await text_of(reader.read(100)), "llo");
    auto waiting = create_task(text_of(reader.read(100)));
    co_await steps(2);
    EXPECT_FALSE(waiting.done());
    reader.feed_data("more");
    EXPECT_EQ(co_await std::move(waiting), "more");
  }());
}

TEST(StreamReader, SR01ReadWithoutCountReadsToTheEnd) {
  run_alone([]() -> Coro<> {
    StreamReader reader;
    reader.feed_data("one ");
    auto all = create_task(text_of(reader.read(-1)));
    co_await steps(2);
    reader.feed_data("two");
    co_await steps(2);
    EXPECT_FALSE(all.done());
    reader.feed_eof();
    EXPECT_EQ(co_await std::move(all), "one two");
    EXPECT_EQ(co_await text_of(reader.read()), "");
  }());
}

TEST(StreamReader, SR02AtEofOnlyWithAnEmptyBuffer) {
  run_alone([]() -> Coro<> {
    StreamReader reader;
    reader.feed_data("x");
    reader.feed_eof();
    EXPECT_FALSE(reader.at_eof());
    EXPECT_EQ(co_await text_of(reader.read(10)), "x");
    EXPECT_TRUE(reader.at_eof());
    EXPECT_EQ(co_await text_of(reader.read(10)), "");
  }());
}

TEST(StreamReader, SR03FeedingNothingDoesNothing) {
  run_alone([]() -> Coro<> {
    StreamReader reader;
    auto waiting = create_task(text_of(reader.read(10)));
    co_await steps(2);
    reader.feed_data("");
    co_await steps(2);
    EXPECT_FALSE(waiting.done());
    reader.feed_eof();
    EXPECT_EQ(co_await std::move(waiting), "");
  }());
}

// --- readline, readuntil, readexactly ---------------------------------------------------------

TEST(StreamReader, SR04ReadlineGivesALineThenTheRestThenNothing) {
  run_alone([]() -> Coro<> {
    StreamReader reader;
    reader.feed_data("one\ntwo\nre");
    EXPECT_EQ(co_await text_of(reader.readline()), "one\n");
    EXPECT_EQ(co_await text_of(reader.readline()), "two\n");
    auto rest = create_task(text_of(reader.readline()));
    co_await steps(2);
    reader.feed_data("st");
    reader.feed_eof();
    EXPECT_EQ(co_await std::move(rest), "rest");
    EXPECT_EQ(co_await text_of(reader.readline()), "");
  }());
}

TEST(StreamReader, SR05ReadlineOverTheLimitKeepsTheBytes) {
  run_alone([]() -> Coro<> {
    StreamReader reader(3);
    reader.feed_data("line1\nline2\n");
    EXPECT_TRUE(co_await throws<ValueError>(reader.readline()));  // asyncio's type
    std::size_t consumed = 0;
    try {
      co_await reader.readline();
    } catch (const LimitOverrunError& error) {
      consumed = error.consumed();
    }
    EXPECT_EQ(consumed, 5u);
    EXPECT_EQ(co_await text_of(reader.read(100)), "line1\nline2\n");
  }());
}

TEST(StreamReader, SR05ReadlineOverTheLimitWithoutANewline) {
  run_alone([]() -> Coro<> {
    StreamReader reader(3);
    auto line = create_task(throws<LimitOverrunError>(reader.readline()));
    const std::array parts = {"12", "34", "56"};
    for (const char* part : parts) {
      co_await steps(2);
      reader.feed_data(part);
    }
    EXPECT_TRUE(co_await std::move(line));
  }());
}

TEST(StreamReader, SR06ExactlyLimitBytesAreFine) {
  run_alone([]() -> Coro<> {
    StreamReader reader(4);
    reader.feed_data("1234\n12345\n");
    EXPECT_EQ(co_await text_of(reader.readline()), "1234\n");
    EXPECT_TRUE(co_await throws<LimitOverrunError>(reader.readline()));
  }());
}

TEST(StreamReader, SR07ReadlineServesFromTheBufferWithoutWaiting) {
  run_alone([]() -> Coro<> {
    StreamReader reader;
    reader.feed_data("AB\nC\nrest");
    bool ran = false;
    get_running_loop().call_soon([&ran] { ran = true; });
    EXPECT_EQ(co_await reader.read(1), "A");
    EXPECT_EQ(co_await reader.readline(), "B\n");
    EXPECT_EQ(co_await reader.readline(), "C\n");
    EXPECT_FALSE(ran);
    EXPECT_EQ(co_await reader.readexactly(4), "rest");
  }());
}

TEST(StreamReader, SR08SeparatorsMayBeLongAndStraddleChunks) {
  run_alone([]() -> Coro<> {
    StreamReader reader;
    auto head = create_task(text_of(reader.readuntil("\r\n\r\n")));
    const std::array parts = {"GET / HTTP/1.1\r", "\nHost: x\r\n\r", "\n", "body"};
    for (const char* part : parts) {
      co_await steps(2);
      reader.feed_data(part);
    }
    EXPECT_EQ(co_await std::move(head), "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(co_await text_of(reader.read(10)), "body");
    reader.feed_data("a line\n");
    EXPECT_EQ(co_await text_of(reader.readuntil()), "a line\n");
  }());
}

TEST(StreamReader, SR09AnEmptySeparatorIsRefused) {
  const StreamReader reader;
  EXPECT_THROW((void)reader.readuntil(""), ValueError);
  EXPECT_THROW((void)reader.readuntil(std::vector<std::string>()), ValueError);
  EXPECT_THROW((void)reader.readuntil("x", ""), ValueError);
}

TEST(StreamReader, SR10ReaduntilOverTheLimitKeepsTheBytes) {
  run_alone([]() -> Coro<> {
    StreamReader reader(3);
    reader.feed_data("some dataAAA");
    std::size_t consumed = 0;
    try {
      co_await reader.readuntil("AAA");
    } catch (const LimitOverrunError& error) {
      consumed = error.consumed();
    }
    EXPECT_EQ(consumed, 9u);
    EXPECT_EQ(co_await text_of(reader.readexactly(consumed)), "some data");
    EXPECT_EQ(co_await text_of(reader.readuntil("AAA")), "AAA");
    reader.feed_data("dataAA");
    try {
      co_await reader.readuntil("AAA");
      ADD_FAILURE();
    } catch (const LimitOverrunError& error) {
      EXPECT_EQ(error.consumed(), 4u);  // the two last may be a separator's beginning
    }
  }());
}

TEST(StreamReader, SR11EofBeforeTheSeparatorGivesThePartialBytes) {
  run_alone([]() -> Coro<> {
    StreamReader reader;
    reader.feed_data("some data");
    reader.feed_eof();
    try {
      co_await reader.readuntil("\n");
      ADD_FAILURE();
    } catch (const IncompleteReadError& error) {
      EXPECT_EQ(error.partial(), "some data");
      EXPECT_FALSE(error.expected());
    }
    EXPECT_TRUE(reader.at_eof());
  }());
}

TEST(StreamReader, SR12OfSeveralSeparatorsTheOneThatEndsFirstWins) {
  run_alone([]() -> Coro<> {
    StreamReader reader;
    reader.feed_data("ABCD");
    EXPECT_EQ(co_await text_of(reader.readuntil("ABCD", "BC")), "ABC");
    EXPECT_EQ(co_await text_of(reader.readuntil("X", "D")), "D");
    auto waiting = create_task(text_of(reader.readuntil("--", "\r\n")));
    const std::array parts = {"data-", "\r", "\n-"};
    for (const char* part : parts) {
      co_await steps(2);
      reader.feed_data(part);
    }
    EXPECT_EQ(co_await std::move(waiting), "data-\r\n");
  }());
}

TEST(StreamReader, SR14ReadexactlyGivesExactlyThat) {
  run_alone([]() -> Coro<> {
    StreamReader reader(3);  // which it does not regard
    EXPECT_EQ(co_await text_of(reader.readexactly(0)), "");
    EXPECT_THROW((void)reader.readexactly(-1), ValueError);
    auto ten = create_task(text_of(reader.readexactly(10)));
    for (int i = 0; i < 4; ++i) {
      co_await steps(2);
      reader.feed_data("abc");
    }
    EXPECT_EQ(co_await std::move(ten), "abcabcabca");
    reader.feed_eof();
    try {
      co_await reader.readexactly(10);
      ADD_FAILURE();
    } catch (const IncompleteReadError& error) {
      EXPECT_EQ(error.partial(), "bc");
      EXPECT_EQ(error.expected(), 10u);
      EXPECT_STREQ(error.what(), "2 bytes read on a total of 10 expected bytes");
    }
  }());
}

// --- exceptions -------------------------------------------------------------------------------

std::exception_ptr failure() { return std::make_exception_ptr(std::logic_error("failure")); }

TEST(StreamReader, SR15AnExceptionComesAfterTheDataBeforeIt) {
  run_alone([]() -> Coro<> {
    StreamReader reader;
    reader.feed_data("line\nrest");
    reader.set_exception(failure());
    EXPECT_TRUE(reader.exception());
    EXPECT_EQ(co_await text_of(reader.readline()), "line\n");
    EXPECT_TRUE(co_await throws<std::logic_error>(reader.readline()));
    EXPECT_TRUE(co_await throws<std::logic_error>(reader.readexactly(5)));
    EXPECT_TRUE(co_await throws<std::logic_error>(reader.read()));
    EXPECT_EQ(co_await text_of(reader.read(100)), "rest");
    EXPECT_TRUE(co_await throws<std::logic_error>(reader.read(100)));
    EXPECT_TRUE(co_await throws<std::logic_error>(reader.readuntil("x")));
  }());
}

TEST(StreamReader, SR16AnExceptionWakesTheWaiter) {
  run_alone([]() -> Coro<> {
    StreamReader reader;
    auto waiting = create_task(throws<std::logic_error>(reader.read(1)));
    co_await steps(2);
    reader.set_exception(failure());
    EXPECT_TRUE(co_await std::move(waiting));
  }());
}

TEST(StreamReader, SR16AnExceptionAfterTheWaiterWasCancelledIsSafe) {
  run_alone([]() -> Coro<> {
    StreamReader reader;
    auto waiting = create_task(reader.read(1));
    co_await steps(2);
    waiting.cancel();
    reader.set_exception(failure());
    EXPECT_TRUE(co_await throws<CancelledError>(std::move(waiting)));
  }());
}

TEST(StreamReader, SR17ALimitOfZeroIsRefused) { EXPECT_THROW(StreamReader(0), ValueError); }

TEST(StreamReader, SR18ASecondReaderIsRefused) {
  run_alone([]() -> Coro<> {
    StreamReader reader;
    auto first = create_task(text_of(reader.read(1)));
    co_await steps(2);
    EXPECT_TRUE(co_await throws<RuntimeError>(reader.readline()));
    reader.feed_data("x");
    EXPECT_EQ(co_await std::move(first), "x");
  }());
}

TEST(StreamReader, ATaskThatTookTheBytesFirstLeavesTheOtherWaiting) {
  run_alone([]() -> Coro<> {
    StreamReader reader;
    auto first = create_task(text_of(reader.read(10)));
    co_await steps(2);
    reader.feed_data("a");  // the first is woken, and has not run yet
    EXPECT_EQ(co_await reader.read(10), "a");
    co_await steps(2);
    EXPECT_FALSE(first.done());  // asyncio gives it an empty result here, which looks like the end
    reader.feed_data("b");
    EXPECT_EQ(co_await std::move(first), "b");
  }());
}

TEST(StreamReader, SR20LinesEndAtEof) {
  run_alone([]() -> Coro<> {
    StreamReader reader;
    reader.feed_data("a\nb\nc");
    reader.feed_eof();
    std::vector<std::string> lines;
    for (Bytes line = co_await reader.readline(); !line.empty();
         line = co_await reader.readline()) {
      lines.push_back(line.str());
    }
    EXPECT_EQ(lines, (std::vector<std::string>{"a\n", "b\n", "c"}));
  }());
}

TEST(StreamReader, IsBoundToTheLoopOfItsFirstUse) {
  StreamReader reader;
  reader.feed_data("outside of every loop: not bound yet");
  run_alone([](StreamReader& used) -> Coro<> { co_await used.read(1); }(reader));
  LoopThread other;
  EXPECT_THROW(other.call([&] { reader.feed_data("x"); }), RuntimeError);
  EXPECT_THROW(other.call([&] { (void)reader.at_eof(); }), RuntimeError);
  auto reading = other.start([](StreamReader* used) -> Coro<> { co_await used->read(1); }, &reader);
  other.join(reading);
  EXPECT_THROW(reading.result(), RuntimeError);
}

}  // namespace
}  // namespace rota
