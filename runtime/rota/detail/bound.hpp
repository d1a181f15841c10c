/// bound.hpp: objects of one loop: bound at first use, checked at every use.
#pragma once

#include <rota/detail/loop_state.hpp>

namespace rota::detail {

/// Throws RuntimeError "<what> is bound to a different event loop", naming both loops and the await
/// site.
[[noreturn]] void throw_wrong_loop(const char* what, const LoopCore* owner);

}  // namespace rota::detail
