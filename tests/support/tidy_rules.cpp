/// tidy_rules.cpp: the rules, and the data of those that are lists.

#include "support/tidy_rules.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <vector>

namespace rota::testing_support {
namespace {

using Paths = std::vector<std::string_view>;

struct BannedWord {
  std::string_view word;
  std::string_view instead;
  Paths folders;       ///< Where it is banned.
  Paths allowed = {};  ///< Files (or beginnings of paths) that may use it.
  bool headers_only = false;
  bool in_comments = false;
};

const Paths library = {"runtime", "sync", "io"};
const Paths everywhere = {"runtime", "sync", "io", "tests", "examples", "perf"};

const std::vector<BannedWord>& banned_words() {
  static const std::vector<BannedWord> words = {
      {"atomic_thread_fence", "put the order on an operation: ThreadSanitizer cannot see a fence",
       everywhere},
      {"std::atomic",
       "say detail::atomic, so that the model explorer can stand in for it",
       library,
       {"runtime/rota/detail/atomic.hpp"}},
      // The places where a thread may block or where contention is rare enough not to matter.
      {"std::mutex",
       "loop-local state needs no lock; other code posts to the owner's inbox",
       library,
       {"runtime/worker", "runtime/inject", "runtime/rota/run_threadsafe.hpp",
        "runtime/thread_pool", "runtime/runtime.cpp", "runtime/signals", "runtime/debug",
        "runtime/frame_allocator", "sync/wait_list", "sync/rota/threadsafe/"}},
      {"std::cout",
       "a library does not talk; debug.cpp does",
       library,
       {"runtime/debug.cpp", "runtime/doctor"}},
      {"std::cerr",
       "a library does not talk; debug.cpp does",
       library,
       {"runtime/debug.cpp", "runtime/doctor"}},
      {"sleep_for", "tests wait for an event or move the virtual clock", {"tests"}},
      {"sleep_until", "tests wait for an event or move the virtual clock", {"tests"}},
      {"usleep", "tests wait for an event or move the virtual clock", {"tests"}},
      {"using namespace", "a header must not open a namespace for its users", everywhere, {}, true},
      {".resume()",
       "make it ready; only the loop resumes",
       library,
       {"runtime/loop.cpp", "runtime/rota/loop.hpp", "runtime/task.cpp", "runtime/worker.cpp",
        "runtime/rota/parallel.hpp", "runtime/rota/detail/promise.hpp"}},
      // In two parts, so that this line is not found.
      {"FIX"
       "ME",
       "write TODO(name) with a condition that can come true, or mend it",
       everywhere,
       {},
       false,
       true},
  };
  return words;
}

bool concerns(const BannedWord& banned, const Source& source) {
  if (banned.headers_only && !source.is_header()) return false;
  if (std::ranges::find(banned.folders, source.folder()) == banned.folders.end()) return false;
  return std::ranges::none_of(banned.allowed,
                              [&](auto prefix) { return source.path.starts_with(prefix); });
}

bool has_word(std::string_view line, std::string_view word) {
  for (std::size_t at = line.find(word); at != line.npos; at = line.find(word, at + 1)) {
    if (is_word_at(line, at, word)) return true;
  }
  return false;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\n");
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\n") - first + 1);
}

/// What kind of block the text before its `{` opens.
bool opens_container(std::string_view head) {
  head = trimmed(head);
  if (head.starts_with("template")) {  // skip its <...>
    int depth = 0;
    std::size_t at = head.find('<');
    for (; at < head.size(); ++at) {
      depth += head[at] == '<' ? 1 : head[at] == '>' ? -1 : 0;
      if (depth == 0) break;
    }
    return at < head.size() && opens_container(head.substr(at + 1));
  }
  constexpr std::array words = {"inline namespace", "namespace", "class", "struct", "union", "enum",
                                "extern \""};
  return std::ranges::any_of(words, [&](std::string_view word) { return head.starts_with(word); });
}

/// Reports the outermost blocks that are bodies of functions. `begin` is the first position of the
/// scope's inside.
void check_functions(const Source& source, std::string_view text, std::size_t begin,
                     std::size_t end, Complaints& complaints) {
  std::size_t head_begin = begin;
  for (std::size_t at = begin; at < end; ++at) {
    if (text[at] == ';') head_begin = at + 1;
    if (text[at] != '{') continue;
    const std::string_view head = trimmed(text.substr(head_begin, at - head_begin));
    const std::size_t block_end = std::min(after_closing(text, at), end);
    if (opens_container(head)) {
      check_functions(source, text, at + 1, block_end - 1, complaints);
    } else if (!head.ends_with('=')) {  // an initialiser is a table, not a function
      const std::size_t first = line_of(text, static_cast<std::size_t>(head.data() - text.data()));
      const std::size_t lines = line_of(text, block_end) - first + 1;
      if (lines > function_lines_max) {
        complaints.push_back(complaint(
            source, first, "a function of " + std::to_string(lines) + " lines: split it"));
      }
    }
    at = block_end - 1;
    head_begin = block_end;
  }
}

/// The line on which the statement that covers `line` begins.
std::size_t statement_begin(const Source& source, std::size_t line) {
  while (line > 0) {
    const std::string_view before = trimmed(source.code[line - 1]);
    if (before.empty() || before.ends_with(';') || before.ends_with('{') || before.ends_with('}'))
      break;
    --line;
  }
  return line;
}

bool names_strong_order(std::string_view line) {
  constexpr std::array orders = {"acquire", "release", "acq_rel", "seq_cst"};
  return std::ranges::any_of(orders, [&](std::string_view order) {
    return has_word(line, "memory_order_" + std::string(order)) ||
           has_word(line, "memory_order::" + std::string(order));
  });
}

}  // namespace

Complaints check_head(const Source& source) {
  Complaints complaints;
  const std::string wanted = "/// " + source.name() + ": ";
  const bool wants_head =
      source.is_header() || source.folder() == "examples" || source.folder() == "perf";
  if (!wants_head) return complaints;
  if (source.lines.empty() || !source.lines.front().starts_with(wanted)) {
    complaints.push_back(
        complaint(source, 0, "begin with '" + wanted + "' and one sentence: what the file is for"));
  }
  if (source.is_header()) {
    const auto first_code =
        std::ranges::find_if(source.code, [](const auto& line) { return !trimmed(line).empty(); });
    if (first_code == source.code.end() || trimmed(*first_code) != "#pragma once") {
      complaints.push_back(
          complaint(source, 0, "#pragma once must be the first line after the head comment"));
    }
  }
  return complaints;
}

Complaints check_budgets(const Source& source) {
  Complaints complaints;
  if (source.lines.size() > file_lines_max) {
    complaints.push_back(complaint(source, file_lines_max,
                                   std::to_string(source.lines.size()) + " lines: split it"));
  }
  std::string text = joined_code(source);
  for (std::size_t at = text.find('#'); at != text.npos; at = text.find('#', at + 1)) {
    const std::size_t line_end = text.find('\n', at);
    std::fill(text.begin() + static_cast<long>(at), text.begin() + static_cast<long>(line_end),
              ' ');
  }
  check_functions(source, text, 0, text.size(), complaints);
  return complaints;
}

Complaints check_banned_words(const Source& source) {
  Complaints complaints;
  for (const BannedWord& banned : banned_words()) {
    if (!concerns(banned, source)) continue;
    const auto& lines = banned.in_comments ? source.lines : source.code;
    for (std::size_t i = 0; i < lines.size(); ++i) {
      if (!has_word(lines[i], banned.word)) continue;
      complaints.push_back(
          complaint(source, i, std::string(banned.word) + ": " + std::string(banned.instead)));
    }
  }
  return complaints;
}

Complaints check_explicit_orders(const Source& source) {
  constexpr std::array operations = {
      ".load(",      ".store(",     ".exchange(", ".compare_exchange_weak(",
      ".fetch_add(", ".fetch_sub(", ".fetch_or(", ".compare_exchange_strong(",
      ".fetch_and(", ".fetch_xor("};
  Complaints complaints;
  const std::string text = joined_code(source);
  for (const std::string_view operation : operations) {
    for (std::size_t at = text.find(operation); at != text.npos;
         at = text.find(operation, at + 1)) {
      const std::size_t open = at + operation.size() - 1;
      const std::string_view arguments =
          std::string_view(text).substr(open, after_closing(text, open) - open);
      if (arguments.find("order") != arguments.npos) continue;
      complaints.push_back(complaint(source, line_of(text, at),
                                     std::string(operation) + ") without an explicit order"));
    }
  }
  return complaints;
}

Complaints check_pairs_with(const Source& source) {
  constexpr std::size_t lines_above = 3;
  Complaints complaints;
  for (std::size_t i = 0; i < source.code.size(); ++i) {
    if (!names_strong_order(source.code[i])) continue;
    const std::size_t statement = statement_begin(source, i);
    const auto first =
        source.lines.begin() + static_cast<long>(statement - std::min(statement, lines_above));
    const auto last = source.lines.begin() + static_cast<long>(i) + 1;
    if (std::any_of(first, last,
                    [](const auto& line) { return line.find("pairs with") != line.npos; }))
      continue;
    complaints.push_back(
        complaint(source, i, "say with which operation this order \"pairs with\""));
  }
  return complaints;
}

Complaints check_catch_all(const Source& source) {
  Complaints complaints;
  const std::string text = joined_code(source);
  for (std::size_t at = text.find("catch (...)"); at != text.npos;
       at = text.find("catch (...)", at + 1)) {
    const std::size_t open = text.find('{', at);
    if (open == text.npos) break;
    const std::string_view body =
        std::string_view(text).substr(open, after_closing(text, open) - open);
    if (has_word(body, "throw") || has_word(body, "current_exception")) continue;
    // A try block that begins with rethrow_exception() asks a kept exception for its type.
    const std::size_t try_begin = std::min(text.rfind("try {", at), at);
    if (has_word(std::string_view(text).substr(try_begin, at - try_begin), "rethrow_exception"))
      continue;
    complaints.push_back(complaint(source, line_of(text, at),
                                   "catch (...) must rethrow or keep current_exception()"));
  }
  return complaints;
}

}  // namespace rota::testing_support
