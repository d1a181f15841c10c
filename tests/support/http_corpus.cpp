/// http_corpus.cpp: the tables of http_corpus_*.cpp, made whole.

#include "support/http_corpus.hpp"

#include <algorithm>
#include <iterator>

namespace rota::testing_support {
namespace {

/// What stands around the text, and before the meaning, of the rows of a table.
struct Frame {
  std::string name;
  std::string before;
  std::string after;
  std::string meaning_before = {};
  std::string meaning_after = {};
};

void add(std::vector<HttpCase>& corpus, std::span<const HttpSample> samples, const Frame& frame) {
  for (const HttpSample& sample : samples) {
    HttpCase whole{frame.name + sample.name, frame.before + std::string(sample.text) + frame.after,
                   sample.status, ""};
    if (sample.status == 0) {
      whole.meaning = frame.meaning_before + std::string(sample.meaning) + frame.meaning_after;
    }
    corpus.push_back(std::move(whole));
  }
}

std::vector<HttpCase> make_corpus() {
  const std::string get = "GET / HTTP/1.1\r\n";
  const std::string post = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string host = "\r\nHost: a\r\n\r\n";
  const std::string host_meant = " | Host: a";
  std::vector<HttpCase> corpus;
  add(corpus, http_line_samples(), {"Line", "", host, "", host_meant});
  add(corpus, http_target_samples(), {"Target", "", host, "", host_meant});
  add(corpus, http_field_samples(), {"Field", get + "Host: a\r\n", "\r\n\r\n", "GET / 1.1 "});
  add(corpus, http_framing_samples(), {"Framing", get + "Host: a\r\n", "\r\n\r\n", "GET / 1.1 "});
  add(corpus, http_host_samples(), {"Host", get + "Host: ", "\r\n\r\n", "GET / 1.1 keep | Host: "});
  add(corpus, http_chunk_samples(),
      {"Chunk", post, "", "POST / 1.1 keep | Host: a | Transfer-Encoding: chunked ~ "});
  add(corpus, http_whole_samples(), {"Whole", "", ""});
  return corpus;
}

}  // namespace

const std::vector<HttpCase>& http_corpus() {
  static const std::vector<HttpCase> corpus = make_corpus();
  return corpus;
}

std::vector<HttpCase> http_good_cases() {
  std::vector<HttpCase> good;
  std::ranges::copy_if(http_corpus(), std::back_inserter(good), [](const HttpCase& whole) {
    return whole.status == 0 && !whole.meaning.ends_with("(incomplete)");
  });
  return good;
}

std::vector<HttpCase> http_bad_cases() {
  std::vector<HttpCase> bad;
  std::ranges::copy_if(http_corpus(), std::back_inserter(bad),
                       [](const HttpCase& whole) { return whole.status != 0; });
  return bad;
}

}  // namespace rota::testing_support
