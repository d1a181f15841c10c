/// immovable.hpp: base of every object that others point to.
#pragma once

namespace rota::detail {

/// Neither copied nor moved: its address is its identity.
class Immovable {
 public:
  Immovable(const Immovable&) = delete;
  Immovable& operator=(const Immovable&) = delete;
  Immovable(Immovable&&) = delete;
  Immovable& operator=(Immovable&&) = delete;

 protected:
  Immovable() = default;
  ~Immovable() = default;
};

}  // namespace rota::detail
