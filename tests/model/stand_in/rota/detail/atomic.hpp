/// atomic.hpp: comes before runtime's header of this name where code is compiled for the explorer.
#pragma once

#include "model/atomic.hpp"

namespace rota::detail {

template <typename T>
using atomic = model::atomic<T>;

}  // namespace rota::detail
