/// tidy_rules.hpp: the rules of the house that a machine can check, each from one file to its
/// complaints.
///
/// Every rule is a function without state, so that its test can hand it a bad sample as well as the
/// real sources.
#pragma once

#include "support/source.hpp"

namespace rota::testing_support {

/// Headers, examples and benchmarks begin with `/// name: `; headers then have `#pragma once`.
/// Other .cpp files may leave it to their header.
Complaints check_head(const Source& source);

/// At most `file_lines_max` lines; no function of more than `function_lines_max`.
inline constexpr std::size_t file_lines_max = 600;
inline constexpr std::size_t function_lines_max = 70;
Complaints check_budgets(const Source& source);

/// Words that have a better replacement.
Complaints check_banned_words(const Source& source);

/// Every atomic operation names its order.
Complaints check_explicit_orders(const Source& source);

/// An order above relaxed has a comment with "pairs with" on its line or on the three before its
/// statement.
Complaints check_pairs_with(const Source& source);

/// `catch (...)` rethrows or keeps the exception, or looks at one that was kept.
Complaints check_catch_all(const Source& source);

}  // namespace rota::testing_support
