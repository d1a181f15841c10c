/// tidy_test.cpp: the sources keep the rules of the house. Each rule is also shown a sample that
/// breaks it.

#include "support/source.hpp"
#include "support/tidy_rules.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace {

using rota::testing_support::Complaints;
using rota::testing_support::load_sources;
using rota::testing_support::parse;
using rota::testing_support::Source;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

namespace rules = rota::testing_support;

using Rule = Complaints (*)(const Source&);

const std::vector<std::string> library = {"runtime", "sync", "io"};
const std::vector<std::string> everything = {"runtime", "sync", "io", "tests", "examples", "perf"};

void expect_kept(const std::vector<std::string>& folders, Rule rule) {
  const std::vector<Source> sources = load_sources(folders);
  ASSERT_THAT(sources, testing::Not(IsEmpty()));  // or nothing has been checked
  std::string complaints;
  for (const Source& source : sources) {
    for (const std::string& complaint : rule(source)) complaints += complaint + '\n';
  }
  EXPECT_TRUE(complaints.empty()) << complaints;
}

// --- the sources ------------------------------------------------------------------------------

TEST(Tidy, FilesSayFirstWhatTheyAreFor) { expect_kept(everything, rules::check_head); }
TEST(Tidy, FilesAndFunctionsAreShort) { expect_kept(everything, rules::check_budgets); }
TEST(Tidy, BannedWordsAreAbsent) { expect_kept(everything, rules::check_banned_words); }
TEST(Tidy, AtomicOperationsNameTheirOrder) { expect_kept(library, rules::check_explicit_orders); }
TEST(Tidy, OrdersNameTheirPartner) { expect_kept(library, rules::check_pairs_with); }
TEST(Tidy, NoExceptionIsSwallowed) { expect_kept(library, rules::check_catch_all); }

// --- the rules, on samples --------------------------------------------------------------------

std::string repeated(std::string_view line, std::size_t count) {
  std::string text;
  for (std::size_t i = 0; i < count; ++i) text += line;
  return text;
}

TEST(TidyHead, WantsTheFilesOwnNameAndASentence) {
  EXPECT_THAT(rules::check_head(parse("perf/a.cpp", "/// a.cpp: reads.\n")), IsEmpty());
  EXPECT_THAT(rules::check_head(parse("perf/a.cpp", "/// b.cpp: reads.\n")),
              ElementsAre(HasSubstr("perf/a.cpp:1:")));
  EXPECT_THAT(rules::check_head(parse("perf/a.cpp", "")), SizeIs(1));
  EXPECT_THAT(rules::check_head(parse("io/a.cpp", "")), IsEmpty());
}

TEST(TidyHead, WantsPragmaOnceInHeaders) {
  EXPECT_THAT(
      rules::check_head(parse("io/a.hpp", "/// a.hpp: reads.\n///\n/// More.\n#pragma once\n")),
      IsEmpty());
  EXPECT_THAT(
      rules::check_head(parse("io/a.hpp", "/// a.hpp: reads.\n#include <new>\n#pragma once\n")),
      SizeIs(1));
}

TEST(TidyBudgets, RefuseALongFile) {
  EXPECT_THAT(rules::check_budgets(parse("io/a.cpp", repeated("int a;\n", 600))), IsEmpty());
  EXPECT_THAT(rules::check_budgets(parse("io/a.cpp", repeated("int a;\n", 601))),
              ElementsAre(HasSubstr("601 lines")));
}

TEST(TidyBudgets, RefuseALongFunctionWhereverItStands) {
  const std::string body = repeated("  work();\n", 69);
  EXPECT_THAT(
      rules::check_budgets(parse("io/a.cpp", "void f() {\n" + repeated("  work();\n", 68) + "}\n")),
      IsEmpty());
  EXPECT_THAT(rules::check_budgets(parse("io/a.cpp", "int x;\nvoid f() {\n" + body + "}\n")),
              ElementsAre(HasSubstr("io/a.cpp:2: a function of 71 lines")));
  EXPECT_THAT(rules::check_budgets(parse(
                  "io/a.cpp", "namespace a {\ntemplate <class T>\nclass B {\n B() : a{1} {\n" +
                                  body + "}\n};\n}\n")),
              SizeIs(1));
}

TEST(TidyBudgets, AllowLongClassesAndTables) {
  EXPECT_THAT(rules::check_budgets(
                  parse("io/a.cpp", "class A {\n" + repeated("  void f() {}\n", 90) + "};\n")),
              IsEmpty());
  EXPECT_THAT(
      rules::check_budgets(parse("io/a.cpp", "int a[] = {\n" + repeated("  1,\n", 90) + "};\n")),
      IsEmpty());
}

struct BadSample {
  const char* path;
  const char* text;
};

TEST(TidyBannedWords, AreFoundInCode) {
  const std::vector<BadSample> samples = {
      {"runtime/a.cpp", "std::atomic_thread_fence(std::memory_order_seq_cst);"},
      {"runtime/a.cpp", "std::atomic<int> a;"},
      {"io/a.cpp", "std::mutex m;"},
      {"sync/a.cpp", "std::cout << 1;"},
      {"sync/a.cpp", "std::cerr << 1;"},
      {"tests/a_test.cpp", "std::this_thread::sleep_for(1s);"},
      {"tests/a_test.cpp", "std::this_thread::sleep_until(t);"},
      {"tests/a_test.cpp", "usleep(1);"},
      {"runtime/rota/a.hpp", "using namespace std;"},
      {"io/a.cpp", "handle.resume();"},
      {"io/a.cpp",
       "// FIX"
       "ME"},
  };
  for (const BadSample& sample : samples) {
    EXPECT_THAT(rules::check_banned_words(parse(sample.path, sample.text)), SizeIs(1))
        << sample.text;
  }
}

TEST(TidyBannedWords, AreAllowedInCommentsLiteralsAndLongerNames) {
  const std::string text =
      "// std::cout\n/* std::mutex\n std::cerr */ auto a = \"std::mutex\"; auto b = "
      "R\"x(std::cout)x\";\n"
      "int my_usleeper; char c = '\"'; int million = 1'000'000;  // std::cout\n";
  EXPECT_THAT(rules::check_banned_words(parse("runtime/a.cpp", text)), IsEmpty());
}

TEST(TidyBannedWords, AreAllowedWhereTheListSaysSo) {
  EXPECT_THAT(rules::check_banned_words(parse("runtime/debug.cpp", "std::cerr << 1;")), IsEmpty());
  EXPECT_THAT(rules::check_banned_words(parse("examples/a.cpp", "std::cout << 1;")), IsEmpty());
}

TEST(TidyOrders, MustBeExplicit) {
  EXPECT_THAT(rules::check_explicit_orders(parse("runtime/a.cpp", "x.load();")), SizeIs(1));
  EXPECT_THAT(rules::check_explicit_orders(parse("runtime/a.cpp", "x.store(\n  f(1));")),
              SizeIs(1));
  EXPECT_THAT(
      rules::check_explicit_orders(parse("runtime/a.cpp", "x.compare_exchange_weak(a, b);")),
      SizeIs(1));
  EXPECT_THAT(rules::check_explicit_orders(
                  parse("runtime/a.cpp", "x.store(f(1),\n  std::memory_order_relaxed);")),
              IsEmpty());
}

TEST(TidyPairsWith, WantsTheCommentNear) {
  EXPECT_THAT(rules::check_pairs_with(parse("runtime/a.cpp", "x.load(std::memory_order_acquire);")),
              SizeIs(1));
  EXPECT_THAT(
      rules::check_pairs_with(parse("runtime/a.cpp", "x.load(std::memory_order::seq_cst);")),
      SizeIs(1));
  EXPECT_THAT(rules::check_pairs_with(parse(
                  "runtime/a.cpp", "// pairs with f()\n\n\n\nx.load(std::memory_order_acquire);")),
              SizeIs(1));
  EXPECT_THAT(rules::check_pairs_with(parse(
                  "runtime/a.cpp", "auto s = \"pairs\";\nx.load(std::memory_order_acquire);")),
              SizeIs(1));
}

TEST(TidyPairsWith, AcceptsTheLineItselfAndThreeAboveTheStatement) {
  EXPECT_THAT(
      rules::check_pairs_with(parse(
          "runtime/a.cpp", "x.load(std::memory_order_acquire);  // pairs with the release in f()")),
      IsEmpty());
  EXPECT_THAT(rules::check_pairs_with(
                  parse("runtime/a.cpp",
                        "// release: pairs with f();\n// more\n// more\nx.exchange(a,\n  b,\n"
                        "  std::memory_order_release);")),
              IsEmpty());
  EXPECT_THAT(rules::check_pairs_with(parse("runtime/a.cpp", "x.load(std::memory_order_relaxed);")),
              IsEmpty());
}

TEST(TidyCatchAll, MustNotSwallow) {
  EXPECT_THAT(rules::check_catch_all(parse("io/a.cpp", "try {} catch (...) { log(); }")),
              SizeIs(1));
  EXPECT_THAT(rules::check_catch_all(parse("io/a.cpp", "try {} catch (...) { undo(); throw; }")),
              IsEmpty());
  EXPECT_THAT(rules::check_catch_all(
                  parse("io/a.cpp", "try {} catch (...) { e = std::current_exception(); }")),
              IsEmpty());
  EXPECT_THAT(rules::check_catch_all(
                  parse("io/a.cpp", "try { std::rethrow_exception(e); } catch (...) { f(); }")),
              IsEmpty());
  EXPECT_THAT(
      rules::check_catch_all(parse("io/a.cpp", "try { f(); } catch (...) { rethrow_exception; }")),
      SizeIs(1));
}

}  // namespace
