// Where a response ends, whatever pieces it comes in.
#include "../perf/load_response.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace {

using load::Answer;
using load::EchoParser;
using load::ResponseParser;

std::string described(const Answer& answer) {
  if (answer.kind == Answer::Kind::malformed) return "malformed ";
  return std::string(answer.ok ? "ok" : "failed") + (answer.last ? "-last " : " ");
}

/// What a parser finds in `stream`, cut into pieces of `piece` bytes.
template <typename Parser = ResponseParser>
std::string parsed(std::string_view stream, std::size_t piece, Parser parser = {}) {
  std::string found;
  while (!stream.empty()) {
    std::string_view data = stream.substr(0, piece);
    stream.remove_prefix(data.size());
    Answer answer;
    while ((answer = parser.next(data)).kind == Answer::Kind::complete) found += described(answer);
    if (answer.kind == Answer::Kind::malformed) return found + described(answer);
  }
  if (const Answer last = parser.end(); last.kind == Answer::Kind::complete) {
    found += described(last);
  }
  return found;
}

/// However it is cut.
void expect_parsed(std::string_view stream, const std::string& expected) {
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    ASSERT_EQ(parsed(stream, piece), expected) << "in pieces of " << piece << ": " << stream;
  }
}

TEST(LoadResponse, EndsAfterContentLength) {
  expect_parsed("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "ok ");
  expect_parsed("HTTP/1.1 200 OK\r\nCONTENT-length:0\r\n\r\n", "ok ");
  expect_parsed("HTTP/1.1 200 \r\nContent-Length: 5 \r\n\r\nhell", "");
}

TEST(LoadResponse, MayBeFollowedByAnother) {
  expect_parsed(
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\r\n"
      "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nHTTP"
      "HTTP/1.1 299 Odd\r\nContent-Length: 0\r\n\r\n",
      "ok failed ok ");
}

TEST(LoadResponse, EndsAfterTheLastChunkAndItsTrailer) {
  expect_parsed(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\nhello\r\nA;name=value\r\n0123456789\r\n0\r\n\r\n"
      "HTTP/1.1 500 Oh\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n0\r\nTrailing: field\r\n\r\n",
      "ok failed ");
}

TEST(LoadResponse, HasNoBodyWhereTheStatusSaysSo) {
  expect_parsed(
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"
      "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n",
      "ok failed ");
}

TEST(LoadResponse, EndsWithTheConnectionIfNothingElseEndsIt) {
  expect_parsed("HTTP/1.1 200 OK\r\n\r\nsome text", "ok-last ");
  expect_parsed("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nxx", "ok-last ");
}

TEST(LoadResponse, SaysWhetherTheConnectionLivesOn) {
  expect_parsed("HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n", "ok-last ");
  expect_parsed("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "ok-last ");
  expect_parsed("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n\r\n", "ok ");
}

TEST(LoadResponse, IsMalformedWhenItIsSomethingElse) {
  for (const std::string_view stream :
       {"SSH-2.0-server\r\n", "HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "HTTP/1.1 20\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n"}) {
    expect_parsed(stream, "malformed ");
  }
}

TEST(LoadResponse, IsMalformedWhenItsHeadHasNoEnd) {
  const std::string head = "HTTP/1.1 200 OK\r\nA: " + std::string(100'000, 'a');
  EXPECT_EQ(parsed(head, 1000), "malformed ");
}

TEST(LoadResponse, StaysMalformed) {
  ResponseParser parser;
  std::string_view data = "nonsense";
  EXPECT_EQ(parser.next(data).kind, Answer::Kind::malformed);
  data = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  EXPECT_EQ(parser.next(data).kind, Answer::Kind::malformed);
}

TEST(LoadEcho, CountsBytes) {
  for (std::size_t piece = 1; piece < 20; ++piece) {
    EXPECT_EQ(parsed("abcdefghijklm", piece, EchoParser(4)), "ok ok ok ");
  }
}

}  // namespace
