/// atomic.hpp: the atomics of all lock-free code, behind one name.
///
/// Code that shares memory between threads says `detail::atomic<T>`, never std::atomic, so that a
/// model checker can be put in its place without a change to the code that it checks.
#pragma once

#include <atomic>

namespace rota::detail {

template <typename T>
using atomic = std::atomic<T>;

}  // namespace rota::detail
