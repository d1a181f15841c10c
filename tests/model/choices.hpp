/// choices.hpp: what was decided in an execution, and which execution comes next.
///
/// An execution asks whenever it could go on in several ways: who runs, which store a load reads.
/// Its answers, in a row, are its name: with them it can be had again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rota::model {

class Choices {
 public:
  /// All of them, by depth-first search.
  static Choices all() { return Choices(Mode::all); }
  /// `count` of them at random; the same `seed` gives the same ones.
  static Choices random(std::uint64_t seed, std::size_t count);
  /// The one that name() named.
  static Choices named(std::string_view name);

  /// 0 to count - 1. 0 should be what changes least: random executions choose it more often.
  std::size_t choose(std::size_t count);
  /// After an execution. False: there is none left.
  bool next();

  std::string name() const;
  /// The seed of this execution; 0 when it is not a random one.
  std::uint64_t seed() const noexcept { return mode_ == Mode::random ? seed_ : 0; }
  /// This execution, which has ended, asked other questions than the one before it that had the
  /// same answers so far: something in it depends on more than the choices.
  bool inconsistent() const noexcept { return inconsistent_ || position_ < path_.size(); }

 private:
  enum class Mode : std::uint8_t { all, random, named };
  struct Choice {
    std::uint16_t taken;
    std::uint16_t count;  ///< 0: not known yet.
  };

  explicit Choices(Mode mode) noexcept : mode_(mode) {}
  std::uint64_t next_random() noexcept;
  std::size_t pick(std::size_t count) noexcept;

  Mode mode_;
  std::vector<Choice> path_;
  std::size_t position_ = 0;
  bool inconsistent_ = false;
  std::uint64_t seed_ = 0;
  std::uint64_t random_ = 0;  ///< State of the generator.
  std::size_t left_ = 0;      ///< Random executions after this one.
};

}  // namespace rota::model
