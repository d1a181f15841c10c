// rota_doctor: says whether rota can run on this machine and what to change. Exit code 0 if it can,
// else 1.
#include "doctor.hpp"

#include <cstdio>

int main() {
  const auto findings = rota::detail::diagnose(rota::detail::examine());
  std::fputs(rota::detail::report(findings).c_str(), stdout);
  return rota::detail::can_run(findings) ? 0 : 1;
}
