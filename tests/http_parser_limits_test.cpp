/// The limits of the parser: what is just within one is served, one byte or line more is refused,
/// and before the rest has come.
#include "request_parser.hpp"
#include "support/http_decoder.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace rota {
namespace {

using http::detail::Limits;
using testing_support::decode_in_pieces;
using testing_support::HttpDecoder;

/// The status of `text`, which must not depend on how it comes; 0 if it is one complete request.
int status_of(const std::string& text, const Limits& limits) {
  HttpDecoder whole(limits);
  whole.feed(text);
  const std::size_t size = text.size() < 2000 ? 1 : 61;  // every feed copies what is not consumed
  const HttpDecoder pieces = decode_in_pieces(text, size, limits);
  EXPECT_EQ(whole.fault() + pieces.fault(), "");
  EXPECT_EQ(whole.transcript(), pieces.transcript());
  EXPECT_EQ(whole.refusal().status, pieces.refusal().status);
  EXPECT_STREQ(whole.refusal().reason, pieces.refusal().reason);
  EXPECT_NE(whole.requests().empty(), whole.refusal().status == 0);
  return whole.refusal().status;
}

/// How many of the bytes it takes to be refused.
std::size_t bytes_until_refused(std::string_view text, const Limits& limits) {
  HttpDecoder decoder(limits);
  std::size_t count = 0;
  while (count < text.size() && !decoder.refusal()) decoder.feed(text.substr(count++, 1));
  return count;
}

std::string repeated(std::string_view text, std::size_t count) {
  std::string result;
  for (std::size_t i = 0; i < count; ++i) result += text;
  return result;
}

const std::string head_begin = "GET / HTTP/1.1\r\nHost: a\r\n";

/// A request whose head has `size` bytes, in lines of at most 1000.
std::string head_of(std::size_t size) {
  std::string head = head_begin;
  while (head.size() + 2 < size) {
    const std::size_t left = size - 2 - head.size();
    // At least "X:" and CRLF have to be left over.
    const std::size_t line = left <= 1000 ? left : left < 1004 ? 500 : 1000;
    head += "X:" + std::string(line - 4, 'x') + "\r\n";
  }
  return head + "\r\n";
}

TEST(HttpParserLimits, AreThoseThatAreDocumented) {
  EXPECT_EQ(status_of(head_of(32 * 1024), {}), 0);
  EXPECT_EQ(status_of(head_of(32 * 1024 + 1), {}), 431);
  EXPECT_EQ(
      status_of("GET /" + std::string(8 * 1024 - 14, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n", {}), 0);
  EXPECT_EQ(
      status_of("GET /" + std::string(8 * 1024 - 13, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n", {}),
      414);
  EXPECT_EQ(status_of(head_begin + repeated("X: y\r\n", 99) + "\r\n", {}), 0);
  EXPECT_EQ(status_of(head_begin + repeated("X: y\r\n", 100) + "\r\n", {}), 431);
}

TEST(HttpParserLimits, BoundTheHead) {
  const Limits limits{.head_bytes = 100};
  EXPECT_EQ(status_of(head_of(99), limits), 0);
  EXPECT_EQ(status_of(head_of(100), limits), 0);
  EXPECT_EQ(status_of(head_of(101), limits), 431);
  EXPECT_EQ(bytes_until_refused(head_begin + std::string(1000, 'x'), limits), 101U);
}

TEST(HttpParserLimits, CountTheEmptyLinesBeforeTheHead) {
  const Limits limits{.head_bytes = 100};
  EXPECT_EQ(status_of("\r\n\r\n" + head_of(96), limits), 0);
  EXPECT_EQ(status_of("\r\n\r\n" + head_of(97), limits), 431);
}

TEST(HttpParserLimits, DoNotCountWhatFollowsTheHead) {
  const Limits limits{.head_bytes = 100};
  HttpDecoder decoder(limits);
  decoder.feed(head_of(100) + head_of(100) + head_of(101));
  EXPECT_EQ(decoder.requests().size(), 2U);
  EXPECT_EQ(decoder.refusal().status, 431);
}

TEST(HttpParserLimits, BoundTheRequestLine) {
  const Limits limits{.line_bytes = 40};
  const auto request = [](std::size_t line) {
    return "GET /" + std::string(line - 14, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n";
  };
  EXPECT_EQ(status_of(request(39), limits), 0);
  EXPECT_EQ(status_of(request(40), limits), 0);
  EXPECT_EQ(status_of(request(41), limits), 414);
  EXPECT_EQ(bytes_until_refused("GET /" + std::string(1000, 'x'), limits), 41U);
}

TEST(HttpParserLimits, BoundAHeaderLine) {
  const Limits limits{.line_bytes = 40};
  const auto request = [](std::size_t line) {
    return head_begin + "X: " + std::string(line - 3, 'y') + "\r\n\r\n";
  };
  EXPECT_EQ(status_of(request(39), limits), 0);
  EXPECT_EQ(status_of(request(40), limits), 0);
  EXPECT_EQ(status_of(request(41), limits), 431);
  EXPECT_EQ(bytes_until_refused(request(1000), limits), head_begin.size() + 41);
}

TEST(HttpParserLimits, LetNoCarriageReturnsMakeALineLonger) {
  const Limits limits{.line_bytes = 40};
  EXPECT_EQ(status_of(head_begin + "X: " + std::string(36, 'y') + "\r\r\n\r\n", limits), 400);
  EXPECT_EQ(status_of(head_begin + "X: " + std::string(37, 'y') + "\r\r\n\r\n", limits), 400);
  EXPECT_EQ(status_of(head_begin + "X: " + std::string(38, 'y') + "\r\r\n\r\n", limits), 431);
}

TEST(HttpParserLimits, RefuseALineBeforeItsBadByteIfThatIsBeyondTheLimit) {
  const Limits limits{.line_bytes = 40};
  EXPECT_EQ(status_of("GET /" + std::string(35, 'x') + "\n", limits), 400);
  EXPECT_EQ(status_of("GET /" + std::string(36, 'x') + "\n", limits), 414);
}

TEST(HttpParserLimits, ApplyTheSmallerOneIfTheHeadMayBeShorterThanALine) {
  const Limits limits{.head_bytes = 60, .line_bytes = 80};
  EXPECT_EQ(status_of("GET /" + std::string(100, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n", limits),
            431);
}

TEST(HttpParserLimits, BoundTheNumberOfHeaders) {
  const Limits limits{.headers = 3};
  EXPECT_EQ(status_of(head_begin + "X: y\r\n\r\n", limits), 0);
  EXPECT_EQ(status_of(head_begin + "X: y\r\nX: y\r\n\r\n", limits), 0);
  EXPECT_EQ(status_of(head_begin + "X: y\r\nX: y\r\nX: y\r\n\r\n", limits), 431);
}

// --- bodies -----------------------------------------------------------------------------------

const std::string chunked_head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

TEST(HttpParserLimits, BoundAChunksLine) {
  const Limits limits{.chunk_line_bytes = 20};
  const auto request = [](std::size_t line) {
    return chunked_head + "1;" + std::string(line - 2, 'x') + "\r\na\r\n0\r\n\r\n";
  };
  EXPECT_EQ(status_of(request(19), limits), 0);
  EXPECT_EQ(status_of(request(20), limits), 0);
  EXPECT_EQ(status_of(request(21), limits), 400);
  EXPECT_EQ(bytes_until_refused(request(1000), limits), chunked_head.size() + 21);
}

TEST(HttpParserLimits, BoundTheLineOfEveryChunk) {
  const Limits limits{.chunk_line_bytes = 20};
  const std::string chunk = "1;" + std::string(18, 'x') + "\r\na\r\n";
  EXPECT_EQ(status_of(chunked_head + repeated(chunk, 50) + "0\r\n\r\n", limits), 0);
  EXPECT_EQ(status_of(chunked_head + chunk + "1;x" + chunk, limits), 400);
}

TEST(HttpParserLimits, BoundTheTrailers) {
  const Limits limits{.trailer_bytes = 100};
  const auto request = [](std::size_t last) {  // 50 bytes, then a line of `last` with its CRLF
    return chunked_head + "0\r\nX: " + std::string(45, 'y') +
           "\r\nX: " + std::string(last - 5, 'y') + "\r\n\r\n";
  };
  EXPECT_EQ(status_of(request(49), limits), 0);
  EXPECT_EQ(status_of(request(50), limits), 0);
  EXPECT_EQ(status_of(request(51), limits), 431);
}

TEST(HttpParserLimits, BoundATrailerLine) {
  const Limits limits{.line_bytes = 40};
  const auto request = [](std::size_t line) {
    return "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " +
           std::string(line - 3, 'y') + "\r\n\r\n";
  };
  EXPECT_EQ(status_of(request(39), limits), 0);
  EXPECT_EQ(status_of(request(40), limits), 0);
  EXPECT_EQ(status_of(request(41), limits), 431);
  EXPECT_EQ(bytes_until_refused(request(1000), limits), chunked_head.size() + 3 + 41);
}

TEST(HttpParserLimits, BoundTheNumberOfTrailers) {
  const Limits limits{.trailers = 2};
  EXPECT_EQ(status_of(chunked_head + "0\r\nX: y\r\n\r\n", limits), 0);
  EXPECT_EQ(status_of(chunked_head + "0\r\nX: y\r\nX: y\r\n\r\n", limits), 0);
  EXPECT_EQ(status_of(chunked_head + "0\r\nX: y\r\nX: y\r\nX: y\r\n\r\n", limits), 431);
}

TEST(HttpParserLimits, AreTheSameForEveryRequest) {
  const Limits limits{.trailer_bytes = 20, .trailers = 1};
  const std::string request = chunked_head + "0\r\nX: 012345678901234\r\n\r\n";
  HttpDecoder decoder(limits);
  decoder.feed(request + request + request);
  EXPECT_EQ(decoder.requests().size(), 3U);
  EXPECT_FALSE(decoder.refusal());
}

}  // namespace
}  // namespace rota
