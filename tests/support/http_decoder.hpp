/// http_decoder.hpp: feeds a RequestParser as a connection does, and writes down what it says.
///
/// Every feed hands over memory of its own and of exactly the size that it needs, so that
/// AddressSanitizer sees a read beyond it and a view that was kept too long.
#pragma once

#include "request_parser.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace rota::testing_support {

class HttpDecoder {
 public:
  explicit HttpDecoder(const http::detail::Limits& limits = {}) : parser_(limits) {}

  /// More bytes. After a refusal they are ignored.
  void feed(std::string_view bytes);

  /// The complete requests, each as
  ///     "METHOD target 1.minor keep|close [continue] [upgrade] | Name: value ... [= body|~
  ///     chunks]"
  const std::vector<std::string>& requests() const { return requests_; }
  /// Those and what there is of the next, which ends with "(incomplete)", one on each line.
  std::string transcript() const;
  const http::detail::Refusal& refusal() const { return refusal_; }
  /// Bytes that belong to complete requests and to what was consumed of the next.
  std::size_t consumed() const { return consumed_; }
  /// What the parser did that it must never do; empty if nothing.
  const std::string& fault() const { return fault_; }

 private:
  bool step();  ///< False if more bytes are needed, or none are wanted.
  bool step_head(std::string_view input);
  bool step_body(std::string_view input);
  void consume(std::size_t bytes);
  void check(bool holds, const char* law);

  http::detail::RequestParser parser_;
  std::vector<char> pending_;
  std::size_t begin_ = 0;  ///< In pending_, of what was not consumed.
  std::size_t consumed_ = 0;
  bool in_body_ = false;
  std::string current_;
  std::vector<std::string> requests_;
  http::detail::Refusal refusal_;
  std::string fault_;
};

/// Feeds `bytes` in pieces of `size`, the last of which may be shorter.
HttpDecoder decode_in_pieces(std::string_view bytes, std::size_t size,
                             const http::detail::Limits& limits = {});
/// Feeds the first `split` bytes, then the others.
HttpDecoder decode_split(std::string_view bytes, std::size_t split,
                         const http::detail::Limits& limits = {});

}  // namespace rota::testing_support
