/// source.cpp: reads sources and tells code from comments. A lexer of the smallest kind: it knows
/// comments and literals.

#include "support/source.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

namespace rota::testing_support {
namespace {

namespace fs = std::filesystem;

bool is_name_char(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

/// Blanks `text` in place; new lines stay, so that line numbers do.
class Blanker {
 public:
  explicit Blanker(std::string text) : text_(std::move(text)) {}

  std::string run() {
    while (at_ < text_.size()) {
      if (starts("//")) {
        blank_until(text_.find('\n', at_));
      } else if (starts("/*")) {
        blank_until(after(text_.find("*/", at_ + 2), 2));
      } else if (starts("R\"") && (at_ == 0 || !is_name_char(text_[at_ - 1]))) {
        blank_raw_string();
      } else if (text_[at_] == '"' || (text_[at_] == '\'' && !is_digit_separator())) {
        blank_literal(text_[at_]);
      } else {
        ++at_;
      }
    }
    return std::move(text_);
  }

 private:
  bool starts(std::string_view prefix) const {
    return std::string_view(text_).substr(at_).starts_with(prefix);
  }
  bool is_digit_separator() const { return at_ > 0 && is_name_char(text_[at_ - 1]); }
  static std::size_t after(std::size_t found, std::size_t length) {
    return found == std::string::npos ? found : found + length;
  }

  void blank_until(std::size_t end) {
    for (end = std::min(end, text_.size()); at_ < end; ++at_) {
      if (text_[at_] != '\n') text_[at_] = ' ';
    }
  }

  void blank_literal(char quote) {
    std::size_t end = at_ + 1;
    while (end < text_.size() && text_[end] != quote && text_[end] != '\n')
      end += text_[end] == '\\' ? 2U : 1U;
    ++at_;  // the quotes stay: they still separate words
    blank_until(end);
    ++at_;
  }

  void blank_raw_string() {
    const std::size_t open = text_.find('(', at_);
    if (open == std::string::npos) return blank_until(open);
    const std::string close = ")" + text_.substr(at_ + 2, open - at_ - 2) + "\"";
    blank_until(after(text_.find(close, open), close.size()));
  }

  std::string text_;
  std::size_t at_ = 0;
};

std::vector<std::string> split_lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

fs::path root() { return ROTA_SOURCE_DIR; }

}  // namespace

std::string Source::folder() const { return path.substr(0, path.find('/')); }
std::string Source::name() const { return fs::path(path).filename(); }
std::string Source::stem() const { return fs::path(path).stem(); }
bool Source::is_header() const { return path.ends_with(".hpp"); }
bool Source::is_public() const { return path.find("/rota/") != std::string::npos; }

std::string complaint(const Source& source, std::size_t line, std::string_view what) {
  return source.path + ":" + std::to_string(line + 1) + ": " + std::string(what);
}

Source parse(std::string path, std::string_view text) {
  Source source;
  source.path = std::move(path);
  source.lines = split_lines(text);
  source.code = split_lines(Blanker(std::string(text)).run());
  return source;
}

std::string load_text(const std::string& path) {
  std::ifstream file(root() / path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<Source> load_sources(const std::vector<std::string>& folders) {
  std::vector<Source> sources;
  for (const std::string& folder : folders) {
    if (!fs::exists(root() / folder)) continue;
    for (const auto& entry : fs::recursive_directory_iterator(root() / folder)) {
      const auto extension = entry.path().extension();
      if (extension != ".hpp" && extension != ".cpp") continue;
      const std::string path = fs::relative(entry.path(), root());
      sources.push_back(parse(path, load_text(path)));
    }
  }
  std::ranges::sort(sources, {}, &Source::path);
  return sources;
}

std::string joined_code(const Source& source) {
  std::string text;
  for (const std::string& line : source.code) text += line + '\n';
  return text;
}

std::size_t line_of(std::string_view text, std::size_t position) {
  return static_cast<std::size_t>(std::ranges::count(text.substr(0, position), '\n'));
}

std::size_t after_closing(std::string_view text, std::size_t open) {
  const char opening = text[open];
  const char closing = opening == '(' ? ')' : opening == '{' ? '}' : ']';
  std::size_t depth = 0;
  for (std::size_t at = open; at < text.size(); ++at) {
    if (text[at] == opening) ++depth;
    if (text[at] == closing && --depth == 0) return at + 1;
  }
  return text.size();
}

bool is_word_at(std::string_view text, std::size_t position, std::string_view word) {
  if (!text.substr(position).starts_with(word)) return false;
  const std::size_t end = position + word.size();
  const bool free_left =
      position == 0 || !is_name_char(word.front()) || !is_name_char(text[position - 1]);
  const bool free_right =
      end >= text.size() || !is_name_char(word.back()) || !is_name_char(text[end]);
  return free_left && free_right;
}

}  // namespace rota::testing_support
