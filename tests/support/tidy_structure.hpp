/// tidy_structure.hpp: the rules about how files belong together: includes, names, tests, quotes.
#pragma once

#include "support/source.hpp"

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace rota::testing_support {

/// Where every header of the library lies: "rota/lock.hpp" -> "sync/rota/lock.hpp" for public ones,
/// "ring.hpp" -> "runtime/ring.hpp" for private ones.
using HeaderIndex = std::map<std::string, std::string>;
HeaderIndex index_headers(const std::vector<Source>& sources);

/// The folder of the component that a file belongs to: "io/http" for what lies in io/http/, "io"
/// for the rest of io/.
std::string component_of(std::string_view path);

/// Two headers that users or tests would include by the same words.
Complaints check_unique_headers(const std::vector<Source>& sources);

/// Includes point from examples to io to sync to runtime, and inside runtime to the same or a lower
/// layer. The components inside io/ stand on io/, and no library folder on them.
Complaints check_includes(const Source& source, const HeaderIndex& index);

/// No header includes itself by way of others.
Complaints check_cycles(const std::vector<Source>& sources, const HeaderIndex& index);

/// Every file has a test named after it, or is in the short list of those tested through another.
/// `tests` holds the stems of the test files.
Complaints check_has_test(const Source& source, const std::set<std::string>& tests);

/// Every .cpp file of a component is in the list of its CMakeLists.txt.
Complaints check_is_built(const Source& source, std::string_view cmake_text);

/// Every ```cpp block of the README is a part of an example between `// [readme` and `// readme]`,
/// and the other way.
Complaints check_quotes(std::string_view readme, const std::vector<Source>& examples);

}  // namespace rota::testing_support
