/// this_thread.hpp: comes before runtime's header of this name where code is compiled for the
/// explorer.
#pragma once

#include "model/atomic.hpp"

namespace rota::detail {

inline const void* this_thread_token() noexcept { return model::this_thread(); }

}  // namespace rota::detail
