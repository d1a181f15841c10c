/// examples_test.cpp: every example does what the terminal session in its head comment shows.

#include "support/source.hpp"
#include "support/transcript.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace {

using rota::testing_support::Command;
using rota::testing_support::load_sources;
using rota::testing_support::matches;
using rota::testing_support::parse_transcript;
using rota::testing_support::play;
using rota::testing_support::Source;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// --- the examples -----------------------------------------------------------------------------

class Example : public testing::TestWithParam<Source> {};

/// Every .cpp file is one, but for those that have a header: they are parts of programs.
std::vector<Source> programs() {
  std::vector<Source> sources = load_sources({"examples"});
  std::set<std::string> parts;
  for (const Source& source : sources) {
    if (source.is_header()) parts.insert(source.stem());
  }
  std::erase_if(sources, [&](const Source& source) { return parts.contains(source.stem()); });
  return sources;
}

TEST_P(Example, DoesWhatItsHeadCommentShows) {
  const std::string left_out = " " ROTA_EXAMPLES_LEFT_OUT " ";
  if (left_out.find(" " + GetParam().stem() + " ") != std::string::npos) {
    GTEST_SKIP() << "it was not built, since what it needs is not installed";
  }
  const std::vector<Command> session = parse_transcript(GetParam().lines);
  ASSERT_THAT(session, testing::Not(IsEmpty()))
      << GetParam().path << ": show in the head comment how it is run and what "
      << "it prints (see tests/support/transcript.hpp)";
  EXPECT_EQ(play(session, ROTA_EXAMPLES_DIR), "");
}

// Every file is one test; there may be none yet while the library is young.
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Example);
INSTANTIATE_TEST_SUITE_P(Examples, Example, testing::ValuesIn(programs()),
                         [](const auto& file) { return file.param.stem(); });

// --- the player -------------------------------------------------------------------------------

std::vector<Command> session_of(const std::string& text) {
  return parse_transcript(rota::testing_support::parse("examples/a.cpp", text).lines);
}

std::string play_text(const std::string& text) { return play(session_of(text), "/"); }

TEST(Transcript, IsTheIndentedPartOfTheHeadComment) {
  const auto session = session_of(
      "/// a.cpp: b.\n///\n///     $ ./a 1 &\n///     one\n///     $ ./b\n///     ^C\n///\n"
      "///     $ ./c\n#include <new>\n");
  ASSERT_THAT(session, SizeIs(2));
  EXPECT_EQ(session[0].line, "./a 1");
  EXPECT_TRUE(session[0].in_background);
  EXPECT_THAT(session[0].expected, ElementsAre("one"));
  EXPECT_EQ(session[1].line, "./b");
  EXPECT_TRUE(session[1].interrupted);
}

TEST(Transcript, TakesThreeDotsForAnything) {
  EXPECT_TRUE(matches("took ... ms", "took 12 ms"));
  EXPECT_FALSE(matches("took ... ms", "took 12 s"));
  EXPECT_FALSE(matches("took", "took 1"));
}

TEST(Transcript, PassesWhenTheOutputIsTheSame) {
  EXPECT_EQ(play_text("///     $ printf 'one\\ntwo\\n'\n///     one\n///     two\n"), "");
  EXPECT_EQ(play_text("///     $ printf 'one\\ntwo\\nthree\\n'\n///     ...\n///     three\n"), "");
}

TEST(Transcript, FailsWhenTheOutputDiffers) {
  EXPECT_THAT(play_text("///     $ printf 'one\\n'\n///     two\n"), HasSubstr("it wrote 'one'"));
  EXPECT_THAT(play_text("///     $ printf 'one\\n'\n///     one\n///     two\n"),
              HasSubstr("nothing more came"));
  EXPECT_THAT(play_text("///     $ printf 'one\\ntwo\\n'\n///     one\n"),
              HasSubstr("more than it should: two"));
}

TEST(Transcript, FailsWhenTheCommandFails) {
  EXPECT_THAT(play_text("///     $ false\n"), HasSubstr("status 1"));
  EXPECT_THAT(play_text("///     $ ./no_such_program\n///     ...\n"), HasSubstr("status 127"));
}

TEST(Transcript, InterruptsWhatRunsOn) {
  EXPECT_EQ(play_text("///     $ cat /dev/zero >/dev/null\n///     ^C\n"), "");
  EXPECT_EQ(play_text("///     $ cat /dev/zero >/dev/null &\n///     $ echo done\n///     done\n"),
            "");
}

}  // namespace
