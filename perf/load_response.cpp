/// load_response.cpp: a state machine over whole heads and whole lines.
#include "load_response.hpp"

#include <algorithm>
#include <charconv>

namespace load {
namespace {

/// Of a head or line. No sane server sends more, and what comes without end must not fill memory.
constexpr std::size_t text_max = std::size_t{64} * 1024;

constexpr std::string_view line_end = "\r\n";
constexpr std::string_view head_end = "\r\n\r\n";
constexpr std::string_view version = "HTTP/1.";

char lower(char letter) noexcept {
  return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
}

/// `lower_case` must be.
bool same_word(std::string_view text, std::string_view lower_case) noexcept {
  return std::ranges::equal(text, lower_case, {}, lower);
}
bool contains_word(std::string_view text, std::string_view lower_case) noexcept {
  return !std::ranges::search(text, lower_case, {}, lower).empty();
}

std::string_view trimmed(std::string_view text) noexcept {
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// All of `text` as a number.
std::optional<std::uint64_t> number(std::string_view text, int base) noexcept {
  std::uint64_t value = 0;
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const auto [stop, error] = std::from_chars(begin, end, value, base);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

/// Whether this can become a response; so that a server of another protocol is noticed before
/// text_max.
bool begins_well(std::string_view head) noexcept {
  const std::size_t count = std::min(head.size(), version.size());
  return head.substr(0, count) == version.substr(0, count);
}

}  // namespace

Answer ResponseParser::next(std::string_view& data) {
  while (!data.empty() && state_ != State::malformed) {
    if (state_ == State::body || state_ == State::chunk) {
      skip(data);
    } else if (state_ == State::until_end) {
      data = {};
    } else if (const auto text = take_until(state_ == State::head ? head_end : line_end, data)) {
      state_ == State::head ? read_head(*text) : read_line(*text);
    } else if (kept_.size() > text_max || (state_ == State::head && !begins_well(kept_))) {
      state_ = State::malformed;
    }
    if (state_ == State::complete) {
      state_ = State::head;
      return {Answer::Kind::complete, status_ / 100 == 2, last_};
    }
  }
  return {.kind = state_ == State::malformed ? Answer::Kind::malformed : Answer::Kind::incomplete};
}

Answer ResponseParser::end() noexcept {
  if (state_ != State::until_end) return {};
  state_ = State::head;
  return {Answer::Kind::complete, status_ / 100 == 2, true};
}

/// Gives what comes up to `end` and with it. If it came in pieces it lies in whole_, else in what
/// `data` was; until it is whole, all of `data` is kept.
std::optional<std::string_view> ResponseParser::take_until(std::string_view end,
                                                           std::string_view& data) {
  const std::size_t before = kept_.size();
  if (before == 0) {
    if (const std::size_t at = data.find(end); at != data.npos) {
      const std::string_view text = data.substr(0, at + end.size());
      data.remove_prefix(text.size());
      return text;
    }
  }
  kept_.append(data);
  const std::size_t at = kept_.find(end, before - std::min(before, end.size() - 1));
  if (at == kept_.npos) {
    data = {};
    return std::nullopt;
  }
  kept_.resize(at + end.size());
  data.remove_prefix(kept_.size() - before);
  whole_.swap(kept_);
  kept_.clear();
  return whole_;
}

void ResponseParser::skip(std::string_view& data) noexcept {
  const std::uint64_t taken = std::min<std::uint64_t>(missing_, data.size());
  data.remove_prefix(taken);
  missing_ -= taken;
  if (missing_ == 0) state_ = state_ == State::body ? State::complete : State::chunk_end;
}

/// `head` ends with an empty line.
void ResponseParser::read_head(std::string_view head) noexcept {
  chunked_ = coded_ = false;
  length_.reset();
  head.remove_suffix(line_end.size());
  for (bool first = true; !head.empty(); first = false) {
    const std::size_t end = head.find(line_end);
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(end + line_end.size());
    if (first ? !read_status(line) : !read_field(line)) {
      state_ = State::malformed;
      return;
    }
  }
  missing_ = length_.value_or(0);
  state_ = after_head();
}

/// "HTTP/1.1 200 OK": the last word, or even the space before it, may be missing.
bool ResponseParser::read_status(std::string_view line) noexcept {
  constexpr std::size_t code_at = version.size() + 2;
  if (!line.starts_with(version) || line.size() < code_at + 3) return false;
  last_ = line[version.size()] == '0';  // HTTP/1.0, unless it says keep-alive
  const auto status = number(line.substr(code_at, 3), 10);
  status_ = static_cast<int>(status.value_or(0));
  return line[code_at - 1] == ' ' && status_ >= 100 && status_ != 101;
}

bool ResponseParser::read_field(std::string_view line) noexcept {
  const std::size_t colon = line.find(':');
  if (colon == line.npos) return false;
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (same_word(name, "content-length")) {
    length_ = number(value, 10);
    return length_.has_value();
  }
  if (same_word(name, "transfer-encoding")) {
    coded_ = true;
    chunked_ = value.size() >= 7 && same_word(value.substr(value.size() - 7), "chunked");
  } else if (same_word(name, "connection")) {
    if (contains_word(value, "close")) last_ = true;
    if (contains_word(value, "keep-alive")) last_ = false;
  }
  return true;
}

ResponseParser::State ResponseParser::after_head() const noexcept {
  if (status_ / 100 == 1) return State::head;  // "100 Continue": the response is still to come
  if (status_ == 204 || status_ == 304) return State::complete;
  if (chunked_) return State::chunk_size;
  if (coded_ || !length_) return State::until_end;
  return missing_ == 0 ? State::complete : State::body;
}

void ResponseParser::read_line(std::string_view line) noexcept {
  line.remove_suffix(line_end.size());
  if (state_ == State::chunk_size) {
    read_chunk_size(line);
  } else if (state_ == State::chunk_end) {
    state_ = line.empty() ? State::chunk_size : State::malformed;
  } else if (line.empty()) {  // the end of the trailer
    state_ = State::complete;
  }
}

void ResponseParser::read_chunk_size(std::string_view line) noexcept {
  const auto size = number(trimmed(line.substr(0, line.find(';'))), 16);
  missing_ = size.value_or(0);
  if (!size) {
    state_ = State::malformed;
  } else {
    state_ = missing_ == 0 ? State::trailer : State::chunk;
  }
}

}  // namespace load
