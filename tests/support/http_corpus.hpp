/// http_corpus.hpp: HTTP/1 requests, good ones with what they mean and bad ones with how they are
/// refused.
///
/// Written from RFC 9112 and RFC 9110 and from what parsers have disagreed about.
#pragma once

#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rota::testing_support {

/// A row of a table. Some tables hold only a part of a request; http_corpus() puts the rest around.
struct HttpSample {
  const char* name;
  std::string_view text;
  int status;                  ///< What it is refused with; 0 if it is good.
  std::string_view meaning{};  ///< Of a good one, as HttpDecoder writes it.
};

/// A row made whole.
struct HttpCase {
  std::string name;  ///< Letters and digits, and no other has it.
  std::string text;
  int status = 0;
  std::string meaning;

  friend void PrintTo(const HttpCase& whole, std::ostream* out) { *out << whole.name; }
};

std::span<const HttpSample> http_line_samples();     ///< Request lines.
std::span<const HttpSample> http_target_samples();   ///< Request lines, for their targets.
std::span<const HttpSample> http_field_samples();    ///< Lines after a Host.
std::span<const HttpSample> http_framing_samples();  ///< The same, about the length.
std::span<const HttpSample> http_host_samples();     ///< Values of Host.
std::span<const HttpSample> http_chunk_samples();    ///< Chunked bodies; the meaning is the body.
std::span<const HttpSample> http_whole_samples();    ///< Whole requests.

/// All of them.
const std::vector<HttpCase>& http_corpus();
std::vector<HttpCase> http_good_cases();  ///< That are complete requests.
std::vector<HttpCase> http_bad_cases();

}  // namespace rota::testing_support
