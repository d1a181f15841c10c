/// The corpus through the parser, cut in every way that a network may cut it.
#include "support/http_corpus.hpp"
#include "support/http_decoder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <string_view>

namespace rota {
namespace {

using testing::ElementsAre;
using testing_support::decode_in_pieces;
using testing_support::decode_split;
using testing_support::http_bad_cases;
using testing_support::http_corpus;
using testing_support::http_good_cases;
using testing_support::HttpCase;
using testing_support::HttpDecoder;

using namespace std::string_literals;

std::string name_of(const testing::TestParamInfo<HttpCase>& info) { return info.param.name; }

// --- alone ------------------------------------------------------------------------------------

class HttpCorpus : public testing::TestWithParam<HttpCase> {
 protected:
  /// The verdict is the right one, and what else can be said is as for the whole.
  void expect_verdict(const HttpDecoder& decoder, const HttpDecoder& whole) const {
    EXPECT_EQ(decoder.fault(), "");
    EXPECT_EQ(decoder.refusal().status, GetParam().status) << decoder.refusal().reason;
    EXPECT_STREQ(decoder.refusal().reason, whole.refusal().reason);
    EXPECT_EQ(decoder.transcript(), whole.transcript());
    EXPECT_EQ(decoder.consumed(), whole.consumed());
  }
};

TEST_P(HttpCorpus, IsJudgedTheSameHoweverItIsCut) {
  const std::string& text = GetParam().text;
  const HttpDecoder whole = decode_in_pieces(text, text.size());
  expect_verdict(whole, whole);
  if (GetParam().status == 0) {
    EXPECT_EQ(whole.transcript(), GetParam().meaning);
  }
  for (std::size_t split = 1; split < text.size(); ++split) {
    SCOPED_TRACE("cut before byte " + std::to_string(split));
    expect_verdict(decode_split(text, split), whole);
  }
  for (const std::size_t size : {1U, 2U, 3U, 7U}) {
    SCOPED_TRACE("in pieces of " + std::to_string(size));
    expect_verdict(decode_in_pieces(text, size), whole);
  }
}

INSTANTIATE_TEST_SUITE_P(Case, HttpCorpus, testing::ValuesIn(http_corpus()), name_of);

TEST(HttpCorpusTables, AreLargeAndNameTheirCases) {
  std::set<std::string> names;
  for (const HttpCase& sample : http_corpus()) names.insert(sample.name);
  EXPECT_EQ(names.size(), http_corpus().size());
  EXPECT_GE(http_good_cases().size(), 80U);
  EXPECT_GE(http_bad_cases().size(), 120U);
}

// --- in company -------------------------------------------------------------------------------

HttpDecoder decode(const std::string& bytes) { return decode_in_pieces(bytes, bytes.size()); }

TEST(HttpPipeline, DecodesAnyTwoRequests) {
  for (const HttpCase& first : http_good_cases()) {
    SCOPED_TRACE(first.name);
    for (const HttpCase& second : http_good_cases()) {
      const HttpDecoder decoder = decode(first.text + second.text);
      EXPECT_EQ(decoder.fault(), "");
      EXPECT_THAT(decoder.requests(), ElementsAre(first.meaning, second.meaning)) << second.name;
    }
  }
}

TEST(HttpPipeline, DecodesARequestBeforeABadOne) {
  for (const HttpCase& first : http_good_cases()) {
    SCOPED_TRACE(first.name);
    for (const HttpCase& second : http_bad_cases()) {
      const HttpDecoder decoder = decode(first.text + second.text);
      EXPECT_EQ(decoder.fault(), "");
      EXPECT_THAT(decoder.requests(), ElementsAre(first.meaning)) << second.name;
      EXPECT_EQ(decoder.refusal().status, second.status) << second.name;
    }
  }
}

TEST(HttpPipeline, DecodesARequestBeforeGarbage) {
  for (const HttpCase& first : http_good_cases()) {
    SCOPED_TRACE(first.name);
    for (const std::string& garbage :
         {"\0"s, "\r"s, "\n"s, " "s, "\xff\xfe"s, "0\r\n\r\n"s, "garbage"s, std::string(9000, 'x'),
          std::string(9000, '\n'), "\r\n\r\n\r\n\r\n"s}) {
      const HttpDecoder decoder = decode(first.text + garbage);
      EXPECT_EQ(decoder.fault(), "");
      EXPECT_THAT(decoder.requests(), ElementsAre(first.meaning));
      EXPECT_GE(decoder.consumed(), first.text.size());
    }
  }
}

TEST(HttpPipeline, DecodesARequestThreeTimesByteByByte) {
  for (const HttpCase& sample : http_good_cases()) {
    SCOPED_TRACE(sample.name);
    const HttpDecoder decoder = decode_in_pieces(sample.text + sample.text + sample.text, 1);
    EXPECT_EQ(decoder.fault(), "");
    EXPECT_THAT(decoder.requests(), ElementsAre(sample.meaning, sample.meaning, sample.meaning));
    EXPECT_EQ(decoder.consumed(), 3 * sample.text.size());
  }
}

}  // namespace
}  // namespace rota
