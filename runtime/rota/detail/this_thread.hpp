/// this_thread.hpp: which thread this is.
#pragma once

namespace rota::detail {

/// Different for every thread that lives.
inline const void* this_thread_token() noexcept {
  static constinit thread_local char token = 0;
  return &token;
}

}  // namespace rota::detail
