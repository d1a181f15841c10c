/// task_group.cpp: tasks that begin and end together. If one fails, the others are cancelled, and
/// what was thrown comes out as one ExceptionGroup.
///
///     $ ./task_group
///     quick is done
///     slow is done
///     the first group has ended
///     endless is cancelled
///     the second group: ... (1 sub-exception)
#include <rota/rota.hpp>

#include <iostream>
#include <stdexcept>
#include <string>

using namespace std::chrono_literals;

rota::Coro<> work(std::string name, std::chrono::milliseconds duration) {
  try {
    co_await rota::sleep(duration);
  } catch (const rota::CancelledError&) {
    std::cout << name << " is cancelled" << std::endl;
    throw;  // whoever catches a CancelledError lets it pass when he has cleaned up
  }
  std::cout << name << " is done" << std::endl;
}

rota::Coro<> fail() {
  co_await rota::sleep(20ms);
  throw std::runtime_error("disk on fire");
}

rota::Coro<> all_succeed(rota::TaskGroup& group) {
  group.create_task(work("slow", 30ms));
  group.create_task(work("quick", 10ms));
  co_return;
}

rota::Coro<> one_fails(rota::TaskGroup& group) {
  group.create_task(work("endless", 1h));
  group.create_task(fail());
  co_return;
}

rota::Coro<> two_groups() {
  co_await rota::with(rota::TaskGroup(), all_succeed);
  std::cout << "the first group has ended" << std::endl;
  try {
    co_await rota::with(rota::TaskGroup(), one_fails);
  } catch (const rota::ExceptionGroup& group) {
    std::cout << "the second group: " << group.what() << std::endl;
  }
}

int main() { rota::run(two_groups()); }
