/// What a caller of the parser relies on, apart from what it takes for a request.
#include "head_rules.hpp"
#include "line_syntax.hpp"
#include "llhttp_engine.hpp"
#include "request_parser.hpp"
#include "support/http_corpus.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>

namespace rota {
namespace {

using namespace http::detail;  // every name of it is meant
using testing::SizeIs;
using testing_support::http_field_samples;
using testing_support::http_framing_samples;
using testing_support::HttpSample;

const std::string get = "GET /a HTTP/1.1\r\nHost: b\r\nX: y\r\n\r\n";
const std::string chunked_head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

TEST(HttpRequestParser, PointsIntoTheCallersBytes) {
  RequestParser parser;
  const HeadResult result = parser.parse_head(get);
  ASSERT_EQ(result.kind, HeadResult::Kind::complete);
  EXPECT_EQ(result.bytes, get.size());
  EXPECT_EQ(parser.head().method.data(), get.data());
  EXPECT_EQ(parser.head().target.data(), get.data() + 4);
  ASSERT_THAT(parser.head().headers, SizeIs(2));
  EXPECT_EQ(parser.head().headers[1].value.data(), get.data() + get.find('y'));
}

TEST(HttpRequestParser, MayBeGivenMemoryThatMoved) {
  RequestParser parser;
  for (std::size_t size = 0; size < get.size(); ++size) {
    const std::string here = get.substr(0, size);
    EXPECT_EQ(parser.parse_head(here).kind, HeadResult::Kind::need_more);
  }
  const std::string there = get;
  ASSERT_EQ(parser.parse_head(there).kind, HeadResult::Kind::complete);
  EXPECT_EQ(parser.head().target.data(), there.data() + 4);
}

TEST(HttpRequestParser, AllocatesNothingOnceItHasSeenAsManyHeaders) {
  RequestParser parser;
  const std::string many = "GET / HTTP/1.1\r\nHost: b\r\n" + [] {
    std::string lines;
    for (int i = 0; i < 40; ++i) lines += "X: y\r\n";
    return lines;
  }() + "\r\n";
  ASSERT_EQ(parser.parse_head(many).kind, HeadResult::Kind::complete);
  const http::Header* const memory = parser.head().headers.data();
  for (const std::string& request : {get, many, get}) {
    ASSERT_EQ(parser.parse_head(request).kind, HeadResult::Kind::complete);
    EXPECT_EQ(parser.head().headers.data(), memory);
  }
}

TEST(HttpRequestParser, IsAtOnceDoneWithABodyThatIsNotThere) {
  RequestParser parser;
  ASSERT_EQ(parser.parse_head(get).kind, HeadResult::Kind::complete);
  EXPECT_FALSE(parser.in_body());
  const BodyResult body = parser.parse_body("GET");
  EXPECT_TRUE(body.done);
  EXPECT_EQ(body.consumed, 0U);
}

TEST(HttpRequestParser, GivesThePiecesOfABodyInPlace) {
  RequestParser parser;
  ASSERT_EQ(parser.parse_head(chunked_head).kind, HeadResult::Kind::complete);
  EXPECT_TRUE(parser.in_body());
  const std::string_view input = "5;a=b\r\nhello\r\n0\r\n\r\nGET";
  const BodyResult piece = parser.parse_body(input);
  EXPECT_EQ(piece.data, "hello");
  EXPECT_EQ(piece.data.data(), input.data() + 7);
  EXPECT_EQ(piece.consumed, 12U);
  EXPECT_FALSE(piece.done);
  const BodyResult end = parser.parse_body(input.substr(piece.consumed));
  EXPECT_TRUE(end.done);
  EXPECT_EQ(input.substr(piece.consumed + end.consumed), "GET");
  EXPECT_FALSE(parser.in_body());
}

TEST(HttpRequestParser, ConsumesNothingOfALineThatIsNotComplete) {
  RequestParser parser;
  ASSERT_EQ(parser.parse_head(chunked_head).kind, HeadResult::Kind::complete);
  for (const std::string_view input : {"", "5", "5;a", "5;a=b\r"}) {
    const BodyResult result = parser.parse_body(input);
    EXPECT_EQ(result.consumed, 0U);
    EXPECT_FALSE(result.done || result.refusal);
  }
  EXPECT_EQ(parser.parse_body("5;a=b\r\nh").data, "h");
}

TEST(HttpRequestParser, EndsAFixedBodyWithItsLastByte) {
  RequestParser parser;
  const std::string head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
  ASSERT_EQ(parser.parse_head(head).kind, HeadResult::Kind::complete);
  EXPECT_EQ(parser.parse_body("hel").data, "hel");
  const BodyResult rest = parser.parse_body("loGET");
  EXPECT_EQ(rest.data, "lo");
  EXPECT_EQ(rest.consumed, 2U);
  EXPECT_TRUE(rest.done);
}

TEST(HttpRequestParser, RepeatsItsRefusal) {
  RequestParser parser;
  const HeadResult first = parser.parse_head("GET / HTTP/2.0\r\n");
  ASSERT_EQ(first.kind, HeadResult::Kind::refused);
  EXPECT_EQ(first.refusal.status, 505);
  EXPECT_EQ(parser.parse_head(get).kind, HeadResult::Kind::refused);
  EXPECT_EQ(parser.parse_head(get).refusal.status, 505);
  EXPECT_EQ(parser.parse_body("x").refusal.status, 505);
  EXPECT_FALSE(parser.in_body());
}

TEST(HttpRequestParser, RefusesInABodyForEver) {
  RequestParser parser;
  ASSERT_EQ(parser.parse_head(chunked_head).kind, HeadResult::Kind::complete);
  EXPECT_EQ(parser.parse_body("x\r\n").refusal.status, 400);
  EXPECT_EQ(parser.parse_body("0\r\n\r\n").refusal.status, 400);
  EXPECT_EQ(parser.parse_head(get).refusal.status, 400);
}

TEST(HttpRequestParser, MayBeMovedInTheMiddleOfABody) {
  RequestParser first;
  ASSERT_EQ(first.parse_head(chunked_head).kind, HeadResult::Kind::complete);
  EXPECT_EQ(first.parse_body("5\r\nhel").data, "hel");
  RequestParser second = std::move(first);
  EXPECT_EQ(second.parse_body("lo\r\n").data, "lo");
  EXPECT_TRUE(second.parse_body("\r\n0\r\n\r\n").done);
}

// --- its parts --------------------------------------------------------------------------------

TEST(HttpLineFinder, LooksAtNoMoreThanTheLastBlockAgain) {
  LineFinder finder;
  EXPECT_EQ(finder.find("0123456789abcdef0123456789abcdef", 100), LineFinder::Found::nothing_yet);
  // Bytes that it would refuse, had it not seen others in their place.
  EXPECT_EQ(finder.find("\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n0123456789abcdefx\r\n", 100),
            LineFinder::Found::line);
  EXPECT_EQ(finder.size(), 33U);
}

TEST(HttpLineFinder, FindsEveryControlCharacterAtEveryPlace) {
  for (int byte = 0; byte < 256; ++byte) {
    const bool is_control = (byte < 0x20 && byte != '\t') || byte == 0x7f;
    for (std::size_t place = 0; place < 24; ++place) {
      std::string line(24, '\x80');  // the top bits must not hide it
      if (place % 2 == 0) line.assign(24, '\t');
      line[place] = static_cast<char>(byte);
      const auto found = LineFinder().find(line + "\r\n", 100);
      EXPECT_EQ(found == LineFinder::Found::line, !is_control) << byte << " at " << place;
    }
  }
}

/// What our own checks refuse these header lines with; llhttp is not asked.
int status_without_llhttp(std::string_view lines) {
  RequestHead head;
  head.method = "GET";
  const std::string text = "Host: a\r\n" + std::string(lines) + "\r\n\r\n";
  for (std::string_view rest = text;;) {
    LineFinder finder;
    if (finder.find(rest, 1000) != LineFinder::Found::line) return 400;
    const std::string_view line = rest.substr(0, finder.size());
    rest.remove_prefix(line.size() + 2);
    if (line.empty()) return apply_head_rules(head).status;
    if (const Refusal refusal = check_field_line(line)) return refusal.status;
    const std::size_t colon = line.find(':');
    head.headers.push_back({line.substr(0, colon), without_blanks(line.substr(colon + 1))});
  }
}

TEST(HttpHeadRules, NeedNoHelpOfLlhttp) {
  for (const auto samples : {http_field_samples(), http_framing_samples()}) {
    for (const HttpSample& sample : samples) {
      if (std::string_view(sample.name).ends_with("WithFinalTab")) continue;  // llhttp alone minds
      EXPECT_EQ(status_without_llhttp(sample.text), sample.status) << sample.name;
    }
  }
}

TEST(HttpHeadRules, ForbidTrailersThatWouldChangeTheRequest) {
  for (const std::string_view name :
       {"Content-Length", "transfer-encoding", "HOST", "Connection", "Upgrade", "TE", "Expect"}) {
    EXPECT_TRUE(is_forbidden_trailer(name)) << name;
  }
  for (const std::string_view name : {"Server-Timing", "Digest", "Content", "X-Host", "T"}) {
    EXPECT_FALSE(is_forbidden_trailer(name)) << name;
  }
}

// Our checks leave llhttp no occasion to disagree that we know of: here it gets some.

/// After a line end, as it has to be.
bool takes_head(LlhttpEngine& engine, std::string_view fields, std::size_t lines) {
  static RequestHead head;
  static std::string text;
  text = "\n" + std::string(fields);
  return engine.parse_head(std::string_view(text).substr(1), lines, head);
}

TEST(HttpLlhttpEngine, AgreesToAsManyHeadersAsThereAreLines) {
  LlhttpEngine engine;
  const std::string_view fields = "Host: a\r\nX: y\r\n\r\n";
  EXPECT_FALSE(takes_head(engine, fields, 1));
  EXPECT_TRUE(takes_head(engine, fields, 2));
  EXPECT_FALSE(takes_head(engine, fields, 3));
}

TEST(HttpLlhttpEngine, NoticesAHeadThatEndsElsewhere) {
  LlhttpEngine engine;
  EXPECT_FALSE(takes_head(engine, "Host: a\r\nX: y\r\n", 2));
  EXPECT_FALSE(takes_head(engine, "Host: a\r\n\r\nX: y\r\n\r\n", 2));
  EXPECT_FALSE(takes_head(engine, "Host: a\r\nX: y\r\n z\r\n\r\n", 3));
}

TEST(HttpLlhttpEngine, NoticesAChunkOfAnotherSize) {
  LlhttpEngine engine;
  ASSERT_TRUE(takes_head(engine, "Transfer-Encoding: chunked\r\n\r\n", 1));
  EXPECT_FALSE(engine.begin_chunk("5", 6));
}

TEST(HttpLlhttpEngine, NoticesDataBeyondTheChunk) {
  LlhttpEngine engine;
  ASSERT_TRUE(takes_head(engine, "Transfer-Encoding: chunked\r\n\r\n", 1));
  ASSERT_TRUE(engine.begin_chunk("2", 2));
  EXPECT_FALSE(engine.take_data("abc"));
}

TEST(HttpLlhttpEngine, NoticesAUnitInTheWrongPlace) {
  LlhttpEngine engine;
  ASSERT_TRUE(takes_head(engine, "Transfer-Encoding: chunked\r\n\r\n", 1));
  EXPECT_FALSE(engine.take_trailer("5\r\n"));  // it is a chunk's line to llhttp
  ASSERT_TRUE(takes_head(engine, "Transfer-Encoding: chunked\r\n\r\n", 1));
  ASSERT_TRUE(engine.begin_chunk("0", 0));
  EXPECT_FALSE(engine.take_trailer("\r\n"));  // it is the end
}

}  // namespace
}  // namespace rota
