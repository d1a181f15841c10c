/// debug.hpp: the loops of this process, for whoever must look at them from outside.
#pragma once

namespace rota {
class EventLoop;
}

namespace rota::detail {

/// Thread: any. Each loop once, from its making to its end.
void register_loop(EventLoop& loop);
void unregister_loop(EventLoop& loop) noexcept;

/// Writes every loop's tasks, with the sites where they wait, and its operations in flight to `fd`.
/// For emergencies: it reads what running loops are changing, and waits for nothing. Thread: any.
void dump_all_loops(int fd) noexcept;

}  // namespace rota::detail
