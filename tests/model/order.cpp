#include "model/order.hpp"

#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace rota::model {
namespace {

constexpr std::array<std::pair<std::memory_order, const char*>, 5> names = {{
    {std::memory_order_relaxed, "relaxed"},
    {std::memory_order_acquire, "acquire"},
    {std::memory_order_release, "release"},
    {std::memory_order_acq_rel, "acq_rel"},
    {std::memory_order_seq_cst, "seq_cst"},
}};

[[noreturn]] void reject(const char* variable, const char* value) {
  std::fprintf(stderr, "model: what is %s=%s?\n", variable, value);
  std::exit(2);
}

/// The one order that is made weaker.
class Weakening {
 public:
  Weakening() {
    const char* const given = std::getenv("ROTA_MODEL_WEAKEN");
    if (given == nullptr) return;
    std::string_view text = given;
    const auto cut = [&](char before) {
      const std::size_t at = text.rfind(before);
      if (at == text.npos) reject("ROTA_MODEL_WEAKEN", given);
      const std::string_view part = text.substr(at + 1);
      text.remove_suffix(part.size() + 1);
      return part;
    };
    const std::string_view order = cut('=');
    for (const auto& [value, name] : names) {
      if (order == name) to_ = value;
    }
    const std::string_view column = cut(':');
    std::from_chars(column.data(), column.data() + column.size(), column_);
    const std::string_view line = cut(':');
    std::from_chars(line.data(), line.data() + line.size(), line_);
    file_ = text;
  }
  bool concerns(const std::source_location& where) const noexcept {
    return where.line() == line_ && where.column() == column_ &&
           std::string_view(where.file_name()).ends_with(file_);
  }
  std::memory_order to() const noexcept { return to_; }

 private:
  std::string file_;
  unsigned line_ = 0;  // no line: nothing is made weaker
  unsigned column_ = 0;
  std::memory_order to_ = std::memory_order_relaxed;
};

/// All orders that were used.
class Sites {
 public:
  Sites() : path_(std::getenv("ROTA_MODEL_SITES")) {}
  Sites(const Sites&) = delete;
  Sites& operator=(const Sites&) = delete;
  ~Sites() {
    if (path_ == nullptr) return;
    std::FILE* const file = std::fopen(path_, "w");
    if (file == nullptr) reject("ROTA_MODEL_SITES", path_);
    for (const std::string& site : sites_) std::fprintf(file, "%s\n", site.c_str());
    std::fclose(file);
  }
  bool wanted() const noexcept { return path_ != nullptr; }
  void note(const std::source_location& where, Kind kind, std::memory_order order) {
    constexpr std::array kinds = {"load", "store", "rmw"};
    sites_.insert(std::string(where.file_name()) + ':' + std::to_string(where.line()) + ':' +
                  std::to_string(where.column()) + ' ' + kinds.at(std::to_underlying(kind)) + ' ' +
                  name_of(order));
  }

 private:
  const char* path_;
  std::set<std::string> sites_;
};

}  // namespace

const char* name_of(std::memory_order order) noexcept {
  for (const auto& [value, name] : names) {
    if (order == value) return name;
  }
  return "?";
}

std::memory_order Order::in_effect(Kind kind) const {
  static const Weakening weakening;
  static Sites sites;
  if (sites.wanted()) sites.note(where_, kind, order_);
  return weakening.concerns(where_) ? weakening.to() : order_;
}

}  // namespace rota::model
