/// http_request_fuzz.cpp: any bytes, parsed as they are and in pieces; the answers must be the
/// same, and the parser must keep its own laws.

#include "support/http_decoder.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace {

using rota::http::detail::Limits;
using rota::testing_support::decode_in_pieces;
using rota::testing_support::decode_split;
using rota::testing_support::HttpDecoder;

/// So small that short inputs come to them.
constexpr Limits small_limits = {.head_bytes = 100,
                                 .line_bytes = 40,
                                 .headers = 3,
                                 .chunk_line_bytes = 8,
                                 .trailer_bytes = 30,
                                 .trailers = 2};

void expect_same(const HttpDecoder& cut, const HttpDecoder& whole, const char* how) {
  const std::string_view reason = cut.refusal().reason;
  if (cut.fault().empty() && whole.fault().empty() && cut.transcript() == whole.transcript() &&
      cut.consumed() == whole.consumed() && cut.refusal().status == whole.refusal().status &&
      reason == whole.refusal().reason)
    return;
  std::fprintf(stderr, "%s:\n%s\n%s\n%d %s\nwhole:\n%s\n%s\n%d %s\n", how, cut.fault().c_str(),
               cut.transcript().c_str(), cut.refusal().status, cut.refusal().reason,
               whole.fault().c_str(), whole.transcript().c_str(), whole.refusal().status,
               whole.refusal().reason);
  std::abort();
}

void check(std::string_view bytes, const Limits& limits) {
  const HttpDecoder whole = decode_in_pieces(bytes, bytes.size(), limits);
  // The last bytes say where to cut: so every file that holds a request is a good beginning.
  std::size_t split = 0;
  for (const char byte : bytes.substr(bytes.size() - 2)) {
    split = split * 256 + static_cast<unsigned char>(byte);
  }
  expect_same(decode_split(bytes, split % bytes.size(), limits), whole, "split");
  expect_same(decode_in_pieces(bytes, 1 + split % 5, limits), whole, "in pieces");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check(bytes, {});
  check(bytes, small_limits);
  return 0;
}
