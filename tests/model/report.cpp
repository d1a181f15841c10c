#include "model/report.hpp"

#include <array>
#include <charconv>
#include <string_view>

namespace rota::model {
namespace {

std::string place(const std::source_location& where) {
  std::string_view file = where.file_name();
  file.remove_prefix(file.rfind('/') + 1);  // npos + 1 is 0
  return std::string(file) + ':' + std::to_string(where.line());
}

std::string hexadecimal(std::uint64_t value) {
  std::array<char, 16> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value, 16).ptr;
  return "0x" + std::string(digits.data(), end);
}

/// One line of the table.
std::string row(std::string_view thread, std::string_view operation, std::string_view order,
                std::string_view location, std::string_view value, std::string_view line) {
  std::string text = "  ";
  const auto column = [&text](std::string_view cell, std::size_t width) {
    text += cell;
    text.append(cell.size() < width ? width - cell.size() : 1, ' ');
  };
  column(thread, 8);
  column(operation, 24);
  column(order, 9);
  column(location, 6);
  column(value, 28);
  text += line;
  return text + '\n';
}

std::string row_of(const Event& event) {
  const std::string thread = std::to_string(event.thread);
  const std::string line = place(event.where);
  if (event.order == nullptr) return row(thread, event.what, "", "", "", line);  // no operation
  const bool is_plain = std::string_view(event.order) == "plain";
  std::string value = is_plain ? "" : hexadecimal(event.value);
  if (event.behind > 0) value += " (" + std::to_string(event.behind) + " behind)";
  return row(thread, event.what, event.order, '#' + std::to_string(event.location), value, line);
}

}  // namespace

std::string describe(const Finding& finding) {
  std::string text = finding.what + '\n';
  text += row("thread", "operation", "order", "on", "value", "line");
  for (const Event& event : finding.events) text += row_of(event);
  for (const auto& [thread, where] : finding.waiting)
    text += "  thread " + std::to_string(thread) + " waits at " + place(where) + '\n';
  text += "  to have it again: ROTA_MODEL_REPLAY=" + finding.choices + " with this test alone";
  if (finding.seed != 0) text += " (random, seed " + std::to_string(finding.seed) + ')';
  return text + '\n';
}

}  // namespace rota::model
