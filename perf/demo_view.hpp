/// demo_view.hpp: the demo's figures as a table that is drawn anew in its place, or, where there is
/// no terminal, as a line for each second.
#pragma once

#include "demo_server.hpp"
#include "load_run.hpp"

#include <cstddef>
#include <string>

namespace demo {

/// What is shown at one moment: differences of the server's counts, and what the load has measured
/// since it began.
struct Moment {
  double elapsed = 0;  ///< Seconds since the load began.
  double seconds = 0;  ///< Between the two counts.
  ServerFigures before;
  ServerFigures now;
  load::Report plaintext;
  load::Report tiles;
};

class View {
 public:
  View();  ///< Of stdout.

  bool on_terminal() const noexcept { return on_terminal_; }
  void show(const Moment& moment);

 private:
  void draw(const std::string& table);

  bool on_terminal_;
  std::size_t lines_drawn_ = 0;
};

/// "41,203"
std::string with_commas(double number);
/// "850 us", "12.3 ms"; "-" when there is none.
std::string latency(const load::Report& report, double fraction);

}  // namespace demo
