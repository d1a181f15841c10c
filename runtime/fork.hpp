/// fork.hpp: notices that this process is a forked child.
///
/// An io_uring belongs to the process that made it. A forked child that went on with its parent's
/// loops would at best get errors; so a ring notes the generation it was made in and the child,
/// where it is another, ends with a message.
#pragma once

#include <rota/detail/atomic.hpp>

namespace rota::detail {

/// How many forks lie between the first process and this one. Written by fork()'s child handler,
/// when the process has one thread only; read by every ring. Relaxed is enough for both: thread
/// creation orders what follows.
extern atomic<unsigned> fork_generation;

/// Makes fork() count. Called before a ring is made; further calls do nothing. Thread: any.
void watch_forks() noexcept;

/// Says that a loop of the parent is used in a forked child, and aborts.
[[noreturn]] void die_in_forked_child() noexcept;

/// Writes `text` to standard error, by one system call and without locks, and aborts.
[[noreturn]] void die(const char* text) noexcept;

}  // namespace rota::detail
