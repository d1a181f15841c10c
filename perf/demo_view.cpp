/// demo_view.cpp: columns, and the few words that a terminal understands.
#include "demo_view.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <string_view>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace demo {
namespace {

/// What a loop, or all of them, did per second, and what it has now.
struct Row {
  double requests = 0;
  double steps = 0;
  double wakes = 0;
  std::uint64_t tasks = 0;
  std::uint64_t connections = 0;
};

std::vector<Row> rows_of(const Moment& moment) {
  const auto rate = [&](std::uint64_t before, std::uint64_t now) {
    return static_cast<double>(now - std::min(before, now)) / moment.seconds;
  };
  std::vector<Row> rows;
  for (std::size_t i = 0; i < moment.now.loops.size(); ++i) {
    const LoopFigures& before = moment.before.loops.at(i);
    const LoopFigures& now = moment.now.loops[i];
    rows.push_back({rate(before.requests, now.requests), rate(before.steps, now.steps),
                    rate(before.wakes, now.wakes), now.tasks, now.connections});
  }
  return rows;
}

Row sum_of(const std::vector<Row>& rows) {
  Row sum;
  for (const Row& row : rows) {
    sum.requests += row.requests;
    sum.steps += row.steps;
    sum.wakes += row.wakes;
    sum.tasks += row.tasks;
    sum.connections += row.connections;
  }
  return sum;
}

std::string tiles_per_second(const Moment& moment) {
  const auto done = static_cast<double>(moment.now.finished - moment.before.finished);
  std::ostringstream text;
  text << std::fixed << std::setprecision(done < 100 ? 1 : 0) << done / moment.seconds;
  return std::move(text).str();
}

std::uint64_t errors_of(const Moment& moment) {
  return moment.plaintext.stats.errors_total() + moment.tiles.stats.errors_total();
}

std::string table_line(const std::string& name, const Row& row) {
  std::ostringstream line;
  line << std::setw(5) << name << std::setw(14) << with_commas(row.requests) << std::setw(12)
       << with_commas(row.steps) << std::setw(11) << with_commas(row.wakes) << std::setw(9)
       << row.tasks << std::setw(13) << row.connections << '\n';
  return std::move(line).str();
}

std::string table_of(const Moment& moment, std::size_t loops_max) {
  const std::vector<Row> rows = rows_of(moment);
  std::ostringstream table;
  table << " loop    requests/s     steps/s    wakes/s    tasks  connections\n";
  for (std::size_t i = 0; i < std::min(rows.size(), loops_max); ++i) {
    table << table_line(std::to_string(i), rows[i]);
  }
  if (rows.size() > loops_max) table << "  ... and " << rows.size() - loops_max << " more\n";
  table << table_line("all", sum_of(rows)) << "  CPU pool     " << tiles_per_second(moment)
        << " tiles/s, " << moment.now.running << " running, " << moment.now.queued << " queued\n"
        << "  /plaintext   p50 " << latency(moment.plaintext, 0.5) << ", p99 "
        << latency(moment.plaintext, 0.99) << '\n'
        << "  tiles        p50 " << latency(moment.tiles, 0.5) << ", p99 "
        << latency(moment.tiles, 0.99) << '\n'
        << "  " << static_cast<int>(std::lround(moment.elapsed)) << " s, " << errors_of(moment)
        << " errors; Ctrl-C ends\n";
  return std::move(table).str();
}

std::string line_of(const Moment& moment) {
  const std::vector<Row> rows = rows_of(moment);
  std::ostringstream line;
  line << static_cast<int>(std::lround(moment.elapsed))
       << " s: " << with_commas(sum_of(rows).requests) << " requests/s, p50 "
       << latency(moment.plaintext, 0.5) << ", p99 " << latency(moment.plaintext, 0.99) << ", "
       << tiles_per_second(moment) << " tiles/s, " << moment.now.queued << " queued, "
       << errors_of(moment) << " errors";
  for (std::size_t i = 0; i < rows.size(); ++i) {
    line << "; loop " << i << ": " << with_commas(rows[i].requests) << " requests/s, "
         << rows[i].tasks << " tasks, " << with_commas(rows[i].steps) << " steps/s, "
         << with_commas(rows[i].wakes) << " wakes/s";
  }
  line << '\n';
  return std::move(line).str();
}

}  // namespace

View::View() : on_terminal_(::isatty(STDOUT_FILENO) == 1) {}

void View::show(const Moment& moment) {
  if (!on_terminal_) {
    std::cout << line_of(moment) << std::flush;
    return;
  }
  constexpr std::size_t other_lines = 9;  // heads, sums, the prompt
  winsize size{};
  ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
  const std::size_t height = size.ws_row == 0 ? 24 : size.ws_row;
  draw(table_of(moment, std::max(height, other_lines + 1) - other_lines));
}

/// In the place of the table before: up to its first line, then each line anew. No line may wrap,
/// or there would be more of them than we count.
void View::draw(const std::string& table) {
  winsize size{};
  ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
  const std::size_t width = size.ws_col == 0 ? 80 : size.ws_col;
  std::string text;
  if (lines_drawn_ > 0) text += "\033[" + std::to_string(lines_drawn_) + "A";
  std::istringstream lines(table);
  lines_drawn_ = 0;
  for (std::string line; std::getline(lines, line); ++lines_drawn_) {
    text += line.substr(0, width - 1) + "\033[K\n";
  }
  std::cout << text << "\033[J" << std::flush;
}

std::string with_commas(double number) {
  std::string digits = std::to_string(std::llround(number));
  for (std::size_t at = digits.size(); at > 3; at -= 3) digits.insert(at - 3, 1, ',');
  return digits;
}

std::string latency(const load::Report& report, double fraction) {
  if (report.stats.requests_total() == 0) return "-";
  const double us = static_cast<double>(report.stats.latency.quantile(fraction)) / 1000;
  std::ostringstream text;
  text << std::setprecision(3) << (us < 1000 ? us : us / 1000) << (us < 1000 ? " us" : " ms");
  return std::move(text).str();
}

}  // namespace demo
