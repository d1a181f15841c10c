#include <rota/wait.hpp>

namespace rota::detail {

EndNotice::EndNotice(Completable& inner) : FollowingFuture(inner) {
  inner.retain();  // the watch's
  start();
}

void EndNotice::settle() noexcept {
  emplace();
  finish(Outcome::value, 0);
}

}  // namespace rota::detail
