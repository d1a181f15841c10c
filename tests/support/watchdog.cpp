/// watchdog.cpp: the thread that waits, and the report that it writes.

#include "support/watchdog.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <dirent.h>
#include <execinfo.h>
#include <fstream>
#include <semaphore.h>
#include <signal.h>
#include <string_view>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace rota::testing_support {
namespace {

// Below ctest's 60 seconds, so that our report comes before ctest's kill.
constexpr std::chrono::seconds default_limit{50};
constexpr int exit_code = 99;
constexpr int frames_max = 64;

struct DumpList {
  std::mutex mutex;
  std::vector<Dump> dumps;
};

DumpList& dump_list() {
  static auto* list = new DumpList;  // never destroyed: the watchdog may fire while statics are
  return *list;
}

void print(std::string_view text) {
  // Nothing sensible can be done when standard error is gone.
  [[maybe_unused]] const auto written = write(STDERR_FILENO, text.data(), text.size());
}

// A realtime signal that no test uses; the first ones belong to the C library and to valgrind-like
// tools.
int stack_signal() { return SIGRTMIN + 7; }

sem_t stack_printed;

void print_own_stack(int /*signal*/) {
  const int saved_errno = errno;
  std::array<void*, frames_max> frames{};
  const int count = backtrace(frames.data(), frames_max);
  backtrace_symbols_fd(frames.data(), count, STDERR_FILENO);
  sem_post(&stack_printed);
  errno = saved_errno;
}

void install_stack_printer() {
  sem_init(&stack_printed, 0, 0);
  std::array<void*, 1> frame{};
  backtrace(frame.data(),
            1);  // loads its library now: that allocates, which a signal handler must not
  struct sigaction action{};
  action.sa_handler = print_own_stack;
  action.sa_flags = SA_RESTART;
  sigaction(stack_signal(), &action, nullptr);
}

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

bool wait_for_stack() {
  timespec deadline{};
  clock_gettime(CLOCK_REALTIME, &deadline);
  deadline.tv_sec += 1;
  while (sem_timedwait(&stack_printed, &deadline) != 0) {
    if (errno != EINTR) return false;
  }
  return true;
}

void print_thread(long thread) {
  const std::string folder = "/proc/self/task/" + std::to_string(thread);
  print("thread " + std::to_string(thread) + " '" + first_line(folder + "/comm") +
        "', in the kernel at " + first_line(folder + "/wchan") + ":\n");
  if (syscall(SYS_tgkill, getpid(), thread, stack_signal()) != 0 || !wait_for_stack()) {
    print("  (no answer: the signal is blocked, or the sanitizer holds it back)\n");
  }
}

void print_all_threads() {
  DIR* tasks = opendir("/proc/self/task");
  if (tasks == nullptr) return;
  const long self = syscall(SYS_gettid);
  while (const dirent* entry = readdir(tasks)) {
    const long thread = std::strtol(static_cast<const char*>(entry->d_name), nullptr, 10);
    if (thread != 0 && thread != self) print_thread(thread);
  }
  closedir(tasks);
}

[[noreturn]] void report_and_exit(const std::string& test, std::chrono::seconds limit) {
  print("rota: watchdog: test " + test + " hangs: nothing finished for " +
        std::to_string(limit.count()) + " s\n");
  {
    const std::lock_guard guard(dump_list().mutex);
    for (const Dump dump : dump_list().dumps) dump(STDERR_FILENO);
  }
  print_all_threads();
  _exit(exit_code);  // not exit(): destructors would wait for the threads that hang
}

}  // namespace

void add_dump(Dump dump) {
  const std::lock_guard guard(dump_list().mutex);
  dump_list().dumps.push_back(dump);
}

Watchdog::Watchdog(std::chrono::seconds limit) : limit_(limit) {
  if (limit_.count() == 0) return;
  install_stack_printer();
  thread_ = std::thread([this] { watch(); });
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Watchdog::test_started(std::string name) { restart(std::move(name)); }

void Watchdog::test_ended() { restart("(between two tests)"); }

void Watchdog::restart(std::string name) {
  {
    const std::lock_guard guard(mutex_);
    test_ = std::move(name);
    ++changes_;
  }
  changed_.notify_one();
}

void Watchdog::watch() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto seen = changes_;
    const bool in_time =
        changed_.wait_for(lock, limit_, [&] { return stopping_ || changes_ != seen; });
    if (!in_time) report_and_exit(test_, limit_);
  }
}

std::chrono::seconds watchdog_limit() {
  const char* text = std::getenv("ROTA_WATCHDOG_SECONDS");
  return text == nullptr ? default_limit : std::chrono::seconds(std::strtol(text, nullptr, 10));
}

}  // namespace rota::testing_support
