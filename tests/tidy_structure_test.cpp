/// tidy_structure_test.cpp: files belong together as they should. Each rule is also shown samples
/// that break it.

#include "support/tidy_structure.hpp"

#include "support/source.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace {

using namespace rota::testing_support;  // every name of it is meant
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

std::vector<Source> library() { return load_sources({"runtime", "sync", "io"}); }

void expect_none(const Complaints& complaints) {
  std::string text;
  for (const std::string& complaint : complaints) text += complaint + '\n';
  EXPECT_TRUE(text.empty()) << text;
}

void append(Complaints& complaints, const Complaints& more) {
  complaints.insert(complaints.end(), more.begin(), more.end());
}

// --- the sources ------------------------------------------------------------------------------

TEST(TidyStructure, HeaderNamesAreUnique) { expect_none(check_unique_headers(library())); }

TEST(TidyStructure, IncludesPointDownwards) {
  const HeaderIndex index = index_headers(load_sources({"runtime", "sync", "io", "examples"}));
  const auto sources = load_sources({"runtime", "sync", "io", "tests", "examples", "perf"});
  ASSERT_THAT(sources, Not(IsEmpty()));
  Complaints complaints;
  for (const Source& source : sources) append(complaints, check_includes(source, index));
  expect_none(complaints);
}

TEST(TidyStructure, HeadersIncludeNoCircle) {
  expect_none(check_cycles(library(), index_headers(library())));
}

TEST(TidyStructure, EveryFileHasItsTest) {
  std::set<std::string> tests;
  for (const Source& test : load_sources({"tests"})) tests.insert(test.stem());
  ASSERT_TRUE(tests.contains("tidy_structure_test"));
  Complaints complaints;
  for (const Source& source : library()) append(complaints, check_has_test(source, tests));
  expect_none(complaints);
}

TEST(TidyStructure, EverySourceIsBuilt) {
  Complaints complaints;
  for (const Source& source : library()) {
    append(complaints,
           check_is_built(source, load_text(component_of(source.path) + "/CMakeLists.txt")));
  }
  expect_none(complaints);
}

TEST(TidyStructure, TheReadmeQuotesTheExamples) {
  expect_none(check_quotes(load_text("README.md"), load_sources({"examples"})));
}

// --- the rules, on samples --------------------------------------------------------------------

const HeaderIndex& sample_index() {
  static const HeaderIndex index = {
      {"rota/task.hpp", "runtime/rota/task.hpp"},
      {"rota/detail/inbox.hpp", "runtime/rota/detail/inbox.hpp"},
      {"rota/detail/wait_queue.hpp", "runtime/rota/detail/wait_queue.hpp"},
      {"rota/lock.hpp", "sync/rota/lock.hpp"},
      {"rota/streams.hpp", "io/rota/streams.hpp"},
      {"rota/http/server.hpp", "io/http/rota/http/server.hpp"},
      {"request_parser.hpp", "io/http/request_parser.hpp"},
      {"listener.hpp", "io/listener.hpp"},
      {"ring.hpp", "runtime/ring.hpp"},
      {"worker.hpp", "runtime/worker.hpp"},
      {"picture.hpp", "examples/picture.hpp"},
  };
  return index;
}

Complaints includes_in(const char* path, const char* include) {
  return check_includes(parse(path, std::string("#include ") + include + "\n"), sample_index());
}

TEST(TidyIncludes, MayNotPointUpwards) {
  EXPECT_THAT(includes_in("sync/rota/lock.hpp", "<rota/streams.hpp>"),
              ElementsAre(HasSubstr("sync/ must not include io/")));
  EXPECT_THAT(includes_in("runtime/loop.cpp", "<rota/lock.hpp>"), SizeIs(1));
  EXPECT_THAT(includes_in("io/streams.cpp", "<rota/lock.hpp>"), IsEmpty());
  EXPECT_THAT(includes_in("examples/hello.cpp", "<rota/streams.hpp>"), IsEmpty());
}

TEST(TidyIncludes, FollowTheLayersOfTheRuntime) {
  EXPECT_THAT(includes_in("runtime/rota/loop.hpp", "<rota/task.hpp>"),
              ElementsAre(HasSubstr("layer 2 must not include layer 3")));
  EXPECT_THAT(includes_in("runtime/ring.cpp", "\"worker.hpp\""), SizeIs(1));
  EXPECT_THAT(includes_in("runtime/worker.cpp", "\"ring.hpp\""), IsEmpty());
  EXPECT_THAT(includes_in("runtime/rota/gather.hpp", "<rota/task.hpp>"), IsEmpty());
}

TEST(TidyIncludes, WantEveryFileOfTheRuntimeInTheTable) {
  EXPECT_THAT(includes_in("runtime/novelty.cpp", "<vector>"),
              ElementsAre(HasSubstr("add it to the table")));
}

TEST(TidyIncludes, OpenOnlyAFewDetailsToOtherFolders) {
  EXPECT_THAT(includes_in("sync/rota/lock.hpp", "<rota/detail/inbox.hpp>"), SizeIs(1));
  EXPECT_THAT(includes_in("sync/rota/lock.hpp", "<rota/detail/wait_queue.hpp>"), IsEmpty());
  EXPECT_THAT(includes_in("examples/hello.cpp", "<rota/detail/wait_queue.hpp>"), SizeIs(1));
  EXPECT_THAT(includes_in("tests/runtime_inbox_test.cpp", "<rota/detail/inbox.hpp>"), IsEmpty());
}

TEST(TidyIncludes, KeepPrivateHeadersPrivate) {
  EXPECT_THAT(includes_in("io/streams.cpp", "\"ring.hpp\""),
              ElementsAre(HasSubstr("private to runtime/")));
  EXPECT_THAT(includes_in("perf/a_bench.cpp", "\"ring.hpp\""), SizeIs(1));
  EXPECT_THAT(includes_in("examples/hello.cpp", "\"ring.hpp\""), SizeIs(1));
  EXPECT_THAT(includes_in("examples/hello.cpp", "\"helper.hpp\""), SizeIs(1));
  EXPECT_THAT(includes_in("examples/hello.cpp", "\"picture.hpp\""), IsEmpty());
  EXPECT_THAT(includes_in("perf/a_bench.cpp", "\"picture.hpp\""), SizeIs(1));
  EXPECT_THAT(includes_in("tests/runtime_ring_test.cpp", "\"ring.hpp\""), IsEmpty());
}

TEST(TidyIncludes, LetComponentsInsideIoStandOnIoAndNotTheOtherWay) {
  EXPECT_THAT(includes_in("io/streams.cpp", "<rota/http/server.hpp>"),
              ElementsAre(HasSubstr("io/ must not include io/http/")));
  EXPECT_THAT(includes_in("io/tls/tls.cpp", "<rota/http/server.hpp>"), SizeIs(1));
  EXPECT_THAT(includes_in("io/http/server.cpp", "<rota/http/server.hpp>"), IsEmpty());
  EXPECT_THAT(includes_in("io/http/rota/http/server.hpp", "<rota/streams.hpp>"), IsEmpty());
  EXPECT_THAT(includes_in("examples/hello.cpp", "<rota/http/server.hpp>"), IsEmpty());
  EXPECT_THAT(includes_in("io/http/server.cpp", "\"request_parser.hpp\""), IsEmpty());
  EXPECT_THAT(includes_in("io/streams.cpp", "\"request_parser.hpp\""),
              ElementsAre(HasSubstr("private to io/http/")));
  EXPECT_THAT(includes_in("io/http/server.cpp", "\"listener.hpp\""),
              ElementsAre(HasSubstr("private to io/")));
}

TEST(TidyIncludes, MustExist) {
  EXPECT_THAT(includes_in("io/streams.cpp", "<rota/nothing.hpp>"), SizeIs(1));
  EXPECT_THAT(includes_in("io/streams.cpp", "\"nothing.hpp\""), SizeIs(1));
}

TEST(TidyIncludes, KeepForeignHeadersOutOfPublicOnes) {
  EXPECT_THAT(includes_in("runtime/rota/task.hpp", "<liburing.h>"), SizeIs(1));
  EXPECT_THAT(includes_in("runtime/rota/task.hpp", "<iostream>"), SizeIs(1));
  EXPECT_THAT(includes_in("sync/wait_list.cpp", "<tbb/task_arena.h>"), SizeIs(1));
  EXPECT_THAT(includes_in("runtime/ring.cpp", "<liburing.h>"), IsEmpty());
}

TEST(TidyCycles, AreFound) {
  const std::vector<Source> circle = {
      parse("runtime/rota/task.hpp", "#include <rota/detail/inbox.hpp>\n"),
      parse("runtime/rota/detail/inbox.hpp", "#include <rota/task.hpp>\n")};
  EXPECT_THAT(check_cycles(circle, sample_index()), ElementsAre(HasSubstr("in a circle")));
  const std::vector<Source> line = {
      parse("runtime/rota/task.hpp", "#include <rota/detail/inbox.hpp>\n"),
      parse("sync/rota/lock.hpp", "#include <rota/task.hpp>\n")};
  EXPECT_THAT(check_cycles(line, sample_index()), IsEmpty());
}

TEST(TidyHeaderNames, MustDifferOverTheFolders) {
  EXPECT_THAT(check_unique_headers({parse("sync/rota/a.hpp", ""), parse("io/rota/a.hpp", "")}),
              SizeIs(1));
  EXPECT_THAT(
      check_unique_headers({parse("sync/rota/a.hpp", ""), parse("sync/rota/threadsafe/a.hpp", "")}),
      IsEmpty());
}

TEST(TidyTests, MustBeNamedAfterTheirFile) {
  const Source lock = parse("sync/rota/lock.hpp", "");
  EXPECT_THAT(check_has_test(lock, {"sync_lock_test"}), IsEmpty());
  EXPECT_THAT(check_has_test(lock, {"io_lock_test"}),
              ElementsAre(HasSubstr("tests/sync_lock_test.cpp")));
  EXPECT_THAT(check_has_test(parse("sync/rota/threadsafe/lock.hpp", ""), {"sync_lock_test"}),
              IsEmpty());
  EXPECT_THAT(check_has_test(parse("runtime/rota/runtime.hpp", ""), {"runtime_test"}), IsEmpty());
  EXPECT_THAT(check_has_test(parse("io/rota/rota.hpp", ""), {}), SizeIs(1));
  const Source server = parse("io/http/rota/http/server.hpp", "");
  EXPECT_THAT(check_has_test(server, {"http_server_test"}), IsEmpty());
  EXPECT_THAT(check_has_test(server, {"io_server_test"}), SizeIs(1));
}

TEST(TidyBuild, MustListEverySource) {
  EXPECT_THAT(check_is_built(parse("io/names.cpp", ""), "SOURCES names.cpp"), IsEmpty());
  EXPECT_THAT(check_is_built(parse("io/names.cpp", ""), "SOURCES filenames.cpp"), SizeIs(1));
}

TEST(TidyQuotes, MustEqualTheExample) {
  const std::vector<Source> examples = {
      parse("examples/a.cpp", "x\n// [readme\nint a;\n// readme]\ny\n")};
  EXPECT_THAT(check_quotes("text\n```cpp\nint a;\n```\n", examples), IsEmpty());
  EXPECT_THAT(check_quotes("text\n```cpp\nint b;\n```\n", examples), SizeIs(2));
  EXPECT_THAT(check_quotes("text\n", examples), SizeIs(1));
  EXPECT_THAT(check_quotes("text\n```sh\n./dev test\n```\n", {}), IsEmpty());
}

}  // namespace
