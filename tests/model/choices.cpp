#include "model/choices.hpp"

#include <charconv>

namespace rota::model {

Choices Choices::random(std::uint64_t seed, std::size_t count) {
  Choices choices(Mode::random);
  choices.seed_ = choices.random_ = seed;
  choices.left_ = count - 1;
  return choices;
}

Choices Choices::named(std::string_view name) {
  Choices choices(Mode::named);
  const char* at = name.data();
  const char* const end = name.data() + name.size();
  // "3x0,1": three zeros, then a one.
  while (at < end) {
    std::uint16_t number = 0;
    std::size_t times = 1;
    at = std::from_chars(at, end, number).ptr;
    if (at < end && *at == 'x') {
      times = number;
      at = std::from_chars(at + 1, end, number).ptr;
    }
    choices.path_.insert(choices.path_.end(), times, {number, 0});
    ++at;
  }
  return choices;
}

std::string Choices::name() const {
  std::string text;
  for (std::size_t i = 0; i < position_;) {
    std::size_t same = i;
    while (same < position_ && path_[same].taken == path_[i].taken) ++same;
    if (!text.empty()) text += ',';
    if (same - i > 1) text += std::to_string(same - i) + 'x';
    text += std::to_string(path_[i].taken);
    i = same;
  }
  return text;
}

std::size_t Choices::choose(std::size_t count) {
  if (count == 1) return 0;
  if (position_ == path_.size()) {
    path_.push_back({static_cast<std::uint16_t>(pick(count)), static_cast<std::uint16_t>(count)});
  }
  Choice& choice = path_[position_++];
  if (choice.count == 0) choice.count = static_cast<std::uint16_t>(count);
  if (choice.count != count || choice.taken >= count) {
    inconsistent_ = true;
    return 0;
  }
  return choice.taken;
}

bool Choices::next() {
  position_ = 0;
  switch (mode_) {
    case Mode::all:
      while (!path_.empty() && path_.back().taken + 1 == path_.back().count) path_.pop_back();
      if (path_.empty()) return false;
      ++path_.back().taken;
      return true;
    case Mode::random:
      if (left_ == 0) return false;
      --left_;
      random_ = ++seed_;
      path_.clear();
      return true;
    case Mode::named:
      break;
  }
  return false;
}

// splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators).
std::uint64_t Choices::next_random() noexcept {
  std::uint64_t z = random_ += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

std::size_t Choices::pick(std::size_t count) noexcept {
  if (mode_ != Mode::random || next_random() % 4 != 0) return 0;
  return 1 + next_random() % (count - 1);
}

}  // namespace rota::model
