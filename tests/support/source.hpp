/// source.hpp: the repository's own sources as text, for the tests that check how they are written.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace rota::testing_support {

/// One file. Lines are counted from zero here and from one in complaints.
struct Source {
  std::string path;                ///< Relative to the repository: "runtime/rota/loop.hpp".
  std::vector<std::string> lines;  ///< As written.
  std::vector<std::string> code;   ///< The same, comments and the inside of literals blanked out.

  std::string folder() const;  ///< "runtime"
  std::string name() const;    ///< "loop.hpp"
  std::string stem() const;    ///< "loop"
  bool is_header() const;
  bool is_public() const;  ///< Lies below the folder's rota/.
};

using Complaints = std::vector<std::string>;

/// "path:line: what", as compilers write it.
std::string complaint(const Source& source, std::size_t line, std::string_view what);

Source parse(std::string path, std::string_view text);

/// The .hpp and .cpp files below `folders` (and not the folders' build leftovers), ordered by path.
std::vector<Source> load_sources(const std::vector<std::string>& folders);

/// The text of a file of the repository; empty if there is none.
std::string load_text(const std::string& path);

/// `code` with its line ends, and the line that a position in it belongs to.
std::string joined_code(const Source& source);
std::size_t line_of(std::string_view text, std::size_t position);

/// The position after the bracket that closes the one at `open`; the text's size if none does.
std::size_t after_closing(std::string_view text, std::size_t open);

/// Whether `word` stands at `position` and is not the middle of a longer name.
bool is_word_at(std::string_view text, std::size_t position, std::string_view word);

}  // namespace rota::testing_support
