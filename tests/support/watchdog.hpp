/// watchdog.hpp: ends a test executable that hangs, and says where it hangs.
///
/// A lost wake shows as silence: ctest would kill the process after its time limit and nobody would
/// know which task waited for what. The watchdog is quicker than ctest, names the test, calls every
/// registered dump function, prints the stack of every thread and leaves with exit code 99.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace rota::testing_support {

/// Writes the state of something to `fd`. Called from the watchdog's thread while all others are
/// stuck: it may wait for no lock that they could hold.
using Dump = void (*)(int fd);

/// Registers a dump function for the life of the process.
/// Thread: any.
void add_dump(Dump dump);

/// Fires when neither `test_started()` nor `test_ended()` was called for `limit`.
class Watchdog {
 public:
  explicit Watchdog(std::chrono::seconds limit);  ///< A limit of zero: never fires (for debuggers).
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  void test_started(std::string name);
  void test_ended();

 private:
  void watch();
  void restart(std::string name);

  const std::chrono::seconds limit_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::string test_ = "(none yet)";
  unsigned long changes_ = 0;
  bool stopping_ = false;
  std::thread thread_;  // last: it uses all of the above
};

/// The default limit, or what ROTA_WATCHDOG_SECONDS says.
std::chrono::seconds watchdog_limit();

}  // namespace rota::testing_support
