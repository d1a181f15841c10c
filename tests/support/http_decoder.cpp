#include "support/http_decoder.hpp"

#include <algorithm>
#include <functional>

namespace rota::testing_support {
namespace {

using http::Header;
using http::detail::BodyResult;
using http::detail::Framing;
using http::detail::HeadResult;
using http::detail::RequestHead;

bool is_within(std::string_view part, std::string_view whole) {
  const std::less_equal<> before;
  return before(whole.data(), part.data()) &&
         before(part.data() + part.size(), whole.data() + whole.size());
}

bool is_within(const RequestHead& head, std::string_view whole) {
  return is_within(head.method, whole) && is_within(head.target, whole) &&
         std::ranges::all_of(head.headers, [&](const Header& header) {
           return is_within(header.name, whole) && is_within(header.value, whole);
         });
}

std::string describe(const RequestHead& head) {
  std::string text = std::string(head.method) + " " + std::string(head.target) + " 1." +
                     std::to_string(head.minor_version) + (head.keep_alive ? " keep" : " close");
  if (head.expects_continue) text += " continue";
  if (head.upgrade) text += " upgrade";
  for (const Header& header : head.headers) {
    text += " | " + std::string(header.name) + ": " + std::string(header.value);
  }
  if (head.framing == Framing::length) text += " = ";
  if (head.framing == Framing::chunked) text += " ~ ";
  return text;
}

}  // namespace

void HttpDecoder::feed(std::string_view bytes) {
  if (refusal_) return;
  std::vector<char> joined;
  joined.reserve(pending_.size() - begin_ + bytes.size());
  joined.insert(joined.end(), pending_.begin() + static_cast<std::ptrdiff_t>(begin_),
                pending_.end());
  joined.insert(joined.end(), bytes.begin(), bytes.end());
  pending_ = std::move(joined);
  begin_ = 0;
  while (step()) {
  }
}

std::string HttpDecoder::transcript() const {
  std::string text;
  for (const std::string& request : requests_) text += request + "\n";
  const bool is_incomplete = in_body_ || begin_ < pending_.size();
  if (is_incomplete) return text + current_ + "(incomplete)";
  if (!text.empty()) text.pop_back();
  return text;
}

bool HttpDecoder::step() {
  if (refusal_ || !fault_.empty()) return false;
  const std::string_view input(pending_.data() + begin_, pending_.size() - begin_);
  return in_body_ ? step_body(input) : step_head(input);
}

bool HttpDecoder::step_head(std::string_view input) {
  const HeadResult result = parser_.parse_head(input);
  check((result.kind == HeadResult::Kind::refused) == static_cast<bool>(result.refusal),
        "a refusal has a status, and nothing else has");
  if (result.kind == HeadResult::Kind::refused) refusal_ = result.refusal;
  if (result.kind != HeadResult::Kind::complete) return false;
  const RequestHead& head = parser_.head();
  check(result.bytes > 0 && result.bytes <= input.size(), "a head is within its input");
  check(is_within(head, input.substr(0, result.bytes)), "views point into the head");
  check(parser_.in_body() == (head.framing != Framing::none), "a body is awaited if there is one");
  check((head.content_length > 0) == (head.framing == Framing::length), "a length is not zero");
  current_ = describe(head);
  in_body_ = true;
  consume(result.bytes);
  return true;
}

bool HttpDecoder::step_body(std::string_view input) {
  const bool has_body = parser_.in_body();
  const BodyResult result = parser_.parse_body(input);
  check(result.consumed <= input.size(), "a body is within its input");
  check(result.data.empty() || is_within(result.data, input.substr(0, result.consumed)),
        "data is among the consumed bytes");
  check(!result.done || result.consumed > 0 || !has_body, "a body ends with a byte of its own");
  check(!result.done || !result.refusal, "what is refused is not done");
  check(!result.done || !parser_.in_body(), "after a body comes a head");
  current_ += result.data;
  consume(result.consumed);
  refusal_ = result.refusal;
  if (result.done) {
    requests_.push_back(std::move(current_));
    current_.clear();
    in_body_ = false;
  }
  return result.done || result.consumed > 0;
}

void HttpDecoder::consume(std::size_t bytes) {
  begin_ += bytes;
  consumed_ += bytes;
}

void HttpDecoder::check(bool holds, const char* law) {
  if (!holds) fault_ += std::string(law) + "\n";
}

HttpDecoder decode_in_pieces(std::string_view bytes, std::size_t size,
                             const http::detail::Limits& limits) {
  HttpDecoder decoder(limits);
  for (; !bytes.empty(); bytes.remove_prefix(std::min(size, bytes.size()))) {
    decoder.feed(bytes.substr(0, size));
  }
  return decoder;
}

HttpDecoder decode_split(std::string_view bytes, std::size_t split,
                         const http::detail::Limits& limits) {
  HttpDecoder decoder(limits);
  decoder.feed(bytes.substr(0, split));
  decoder.feed(bytes.substr(split));
  return decoder;
}

}  // namespace rota::testing_support
