/// transcript.hpp: plays the terminal session that stands in an example's head comment, and
/// compares.
///
/// A session is the indented part of the head comment that begins with a `$`:
///
///     $ ./echo_server 8888 &
///     listening on 127.0.0.1:...
///     $ ./echo_client 8888
///     hello
///
/// Each `$` line is a command; what follows is what it writes, line by line. `...` stands for
/// anything within a line, or, alone on its line, for any number of lines. A line `^C` interrupts
/// the command. One that ends in `&` runs until the session is over and is then interrupted. All
/// must end with status 0, those that were interrupted too or by the signal.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace rota::testing_support {

struct Command {
  std::string line;  ///< Without "$ " and "&".
  bool in_background = false;
  bool interrupted = false;  ///< By ^C, which stands among the expected lines.
  std::vector<std::string> expected;
};

/// The session in the head comment of `source_lines`; empty if there is none.
std::vector<Command> parse_transcript(const std::vector<std::string>& source_lines);

bool matches(std::string_view pattern, std::string_view line);

/// Plays the session in `folder`. Returns what went wrong; empty if nothing did.
std::string play(const std::vector<Command>& session, const std::string& folder);

}  // namespace rota::testing_support
