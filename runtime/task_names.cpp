#include <rota/task.hpp>

#include <cstdio>

namespace rota::detail {

// What people see of a task: its name, and its line in a dump.

std::string TaskBase::name() const {
  return name_ != nullptr ? *name_ : "Task-" + std::to_string(id_);
}

void TaskBase::set_name(std::string name) {
  delete std::exchange(name_, new std::string(std::move(name)));
}

void TaskBase::dump(int fd) const noexcept {
  static constexpr const char* phases[] = {"new", "ready", "running", "waiting", "done"};
  dprintf(fd, "  task %s (Task-%lu), %s", name_ != nullptr ? name_->c_str() : "",
          static_cast<unsigned long>(id_), phases[static_cast<int>(phase_)]);
  constexpr int depth_max = 16;
  std::coroutine_handle<> frame = phase_ == Phase::fresh ? nullptr : resume_;
  for (int depth = 0; frame && depth < depth_max; ++depth) {
    const PromiseBase& promise = promise_of(frame);
    dprintf(fd, "%s %s:%u", depth == 0 ? " at" : " <-", promise.await_site.file_name(),
            promise.await_site.line());
    if (frame.address() == const_cast<TaskBase*>(this)->root().address()) break;
    frame = promise.continuation;
  }
  dprintf(fd, "; created at %s:%u\n", created_at_.file_name(), created_at_.line());
}

}  // namespace rota::detail
