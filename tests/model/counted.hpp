/// counted.hpp: an argument that must be destroyed exactly once, by somebody who may touch it.
#pragma once

#include "model/atomic.hpp"
#include "model/explorer.hpp"

#include <utility>

namespace rota::model {

/// As what a user binds to a call: moved along with it, used, destroyed. `alive` counts it.
class Counted {
 public:
  explicit Counted(plain<int>& alive) : alive_(&alive) { alive.write(alive.read() + 1); }
  Counted(Counted&& other) noexcept : alive_(std::exchange(other.alive_, nullptr)) {}
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  ~Counted() {
    if (alive_ != nullptr) alive_->write(alive_->read() - 1);
  }
  void use() const { check(alive_->read() == 1); }

 private:
  plain<int>* alive_;
};

}  // namespace rota::model
