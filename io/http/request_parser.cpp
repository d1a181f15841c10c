#include "request_parser.hpp"

#include "head_rules.hpp"

#include <algorithm>
#include <cassert>

namespace rota::http::detail {
namespace {

/// RFC 9112, 2.2: at least one is to be ignored; some old clients end a body with one.
constexpr std::size_t empty_lines_max = 2;
constexpr std::size_t crlf_bytes = 2;

}  // namespace

void RequestParser::begin_head() noexcept {
  state_ = State::head;
  line_begin_ = 0;
  method_size_ = 0;
  empty_lines_ = 0;
  fields_ = 0;
}

std::size_t RequestParser::refuse(Refusal refusal) noexcept {
  state_ = State::refused;
  refusal_ = refusal;
  return 0;
}

// --- the head ---------------------------------------------------------------------------------

HeadResult RequestParser::parse_head(std::string_view buffer) {
  assert(!in_body());
  if (state_ == State::refused) return refuse_head(refusal_);
  // Nothing beyond the limit is looked at: so the answer is the same if it has not come yet.
  const std::string_view window = buffer.substr(0, limits_.head_bytes);
  assert(line_begin_ <= window.size());
  for (;;) {
    const std::string_view text = window.substr(line_begin_);
    const auto found = line_.find(text, limits_.line_bytes);
    if (found == LineFinder::Found::nothing_yet && window.size() == buffer.size()) return {};
    if (found != LineFinder::Found::line) return refuse_head(refusal_of(found));
    const std::string_view line = text.substr(0, line_.size());
    line_begin_ += line.size() + crlf_bytes;
    line_.restart();
    if (line.empty() && method_size_ > 0) return finish_head(buffer.substr(0, line_begin_));
    if (const Refusal refusal = take_head_line(line)) return refuse_head(refusal);
  }
}

HeadResult RequestParser::refuse_head(Refusal refusal) noexcept {
  refuse(refusal);
  return {HeadResult::Kind::refused, 0, refusal};
}

/// Why there is no line, where the head has no room for more.
Refusal RequestParser::refusal_of(LineFinder::Found found) const noexcept {
  if (found == LineFinder::Found::control_character)
    return {400, "a control character, or CR or LF alone"};
  if (found == LineFinder::Found::nothing_yet) return {431, "the head of the request is too large"};
  return method_size_ == 0 ? Refusal{414, "the request line is too long"}
                           : Refusal{431, "a header line is too long"};
}

/// `line` is the one before line_begin_.
Refusal RequestParser::take_head_line(std::string_view line) noexcept {
  if (method_size_ > 0) {
    if (++fields_ > limits_.headers) return {431, "too many header lines"};
    return check_field_line(line);
  }
  if (line.empty()) {
    if (++empty_lines_ > empty_lines_max) return {400, "empty lines instead of a request"};
    return {};
  }
  const RequestLine request = parse_request_line(line);
  // Sizes, because the bytes may move before the head is complete.
  request_begin_ = line_begin_ - line.size() - crlf_bytes;
  fields_begin_ = line_begin_;
  method_size_ = request.method.size();
  target_size_ = request.target.size();
  head_.minor_version = request.minor_version;
  return request.refusal;
}

HeadResult RequestParser::finish_head(std::string_view whole) {
  if (const Refusal refusal = read_head(whole)) return refuse_head(refusal);
  begin_head();
  switch (head_.framing) {
    case Framing::none:
      break;
    case Framing::length:
      state_ = State::fixed_body;
      left_ = head_.content_length;
      break;
    case Framing::chunked:
      state_ = State::chunk_line;
      trailer_bytes_ = 0;
      break;
  }
  return {HeadResult::Kind::complete, whole.size(), {}};
}

Refusal RequestParser::read_head(std::string_view whole) {
  head_.method = whole.substr(request_begin_, method_size_);
  head_.target = whole.substr(request_begin_ + method_size_ + 1, target_size_);
  const bool llhttp_agrees = llhttp_.parse_head(whole.substr(fields_begin_), fields_, head_);
  if (head_.headers.size() == fields_) {  // first, because our reasons say more
    if (const Refusal refusal = apply_head_rules(head_)) return refusal;
  }
  if (!llhttp_agrees || llhttp_.framing() != head_.framing ||
      llhttp_.content_length() != head_.content_length) {
    return {400, "malformed request"};
  }
  return {};
}

// --- the body ---------------------------------------------------------------------------------

BodyResult RequestParser::parse_body(std::string_view input) noexcept {
  BodyResult result;
  while (!result.done && result.data.empty()) {
    const std::string_view rest = input.substr(result.consumed);
    std::size_t taken = 0;
    switch (state_) {
      case State::head:
        result.done = true;
        break;
      case State::fixed_body:
        taken = take_fixed(rest, result);
        break;
      case State::chunk_line:
        taken = take_chunk_line(rest);
        break;
      case State::chunk_data:
        taken = take_chunk_data(rest, result);
        break;
      case State::chunk_end:
        taken = take_chunk_end(rest);
        break;
      case State::trailers:
        taken = take_trailer(rest, result);
        break;
      case State::refused:
        result.refusal = refusal_;
        return result;
    }
    result.consumed += taken;
    if (taken == 0 && state_ != State::refused) break;
  }
  return result;
}

std::size_t RequestParser::end_body(std::size_t consumed, BodyResult& result) noexcept {
  begin_head();
  result.done = true;
  return consumed;
}

std::size_t RequestParser::take_fixed(std::string_view input, BodyResult& result) noexcept {
  result.data =
      input.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size())));
  left_ -= result.data.size();
  return left_ == 0 ? end_body(result.data.size(), result) : result.data.size();
}

std::size_t RequestParser::take_chunk_line(std::string_view input) noexcept {
  const auto found = line_.find(input, limits_.chunk_line_bytes);
  if (found == LineFinder::Found::nothing_yet) return 0;
  if (found == LineFinder::Found::too_long) return refuse({400, "a chunk's line is too long"});
  const ChunkLine chunk = found == LineFinder::Found::line
                              ? parse_chunk_line(input.substr(0, line_.size()))
                              : ChunkLine{};
  if (chunk.digits.empty()) return refuse({400, "malformed chunk size or extension"});
  if (!llhttp_.begin_chunk(chunk.digits, chunk.size)) return refuse({400, "malformed chunk"});
  left_ = chunk.size;
  state_ = left_ > 0 ? State::chunk_data : State::trailers;
  const std::size_t consumed = line_.size() + crlf_bytes;
  line_.restart();
  return consumed;
}

std::size_t RequestParser::take_chunk_data(std::string_view input, BodyResult& result) noexcept {
  const std::string_view piece =
      input.substr(0, static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size())));
  if (piece.empty()) return 0;
  if (!llhttp_.take_data(piece)) return refuse({400, "malformed chunk"});
  result.data = piece;
  left_ -= piece.size();
  if (left_ == 0) state_ = State::chunk_end;
  return piece.size();
}

std::size_t RequestParser::take_chunk_end(std::string_view input) noexcept {
  constexpr std::string_view crlf = "\r\n";
  if (input.substr(0, crlf.size()) != crlf.substr(0, input.size()))
    return refuse({400, "a chunk is longer than its size"});
  if (input.size() < crlf.size()) return 0;
  if (!llhttp_.end_chunk()) return refuse({400, "malformed chunk"});
  state_ = State::chunk_line;
  return crlf.size();
}

std::size_t RequestParser::take_trailer(std::string_view input, BodyResult& result) noexcept {
  const std::size_t room = limits_.trailer_bytes - trailer_bytes_;
  const auto found =
      line_.find(input, std::min(limits_.line_bytes, room - std::min(room, crlf_bytes)));
  if (found == LineFinder::Found::nothing_yet) return 0;
  if (found == LineFinder::Found::too_long) return refuse({431, "the trailers are too large"});
  if (found == LineFinder::Found::control_character)
    return refuse({400, "a control character, or CR or LF alone"});
  const std::string_view line = input.substr(0, line_.size());
  const std::size_t consumed = line.size() + crlf_bytes;
  line_.restart();
  if (line.empty()) {
    if (!llhttp_.end_trailers()) return refuse({400, "malformed trailers"});
    return end_body(consumed, result);
  }
  if (++fields_ > limits_.trailers) return refuse({431, "too many trailers"});
  if (const Refusal refusal = check_field_line(line)) return refuse(refusal);
  if (is_forbidden_trailer(line.substr(0, line.find(':'))))
    return refuse({400, "a trailer that must be a header"});
  if (!llhttp_.take_trailer(input.substr(0, consumed))) return refuse({400, "malformed trailers"});
  trailer_bytes_ += consumed;
  return consumed;
}

}  // namespace rota::http::detail
