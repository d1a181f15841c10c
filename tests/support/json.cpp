/// json.cpp: a reader by recursive descent.
#include "support/json.hpp"

#include <cctype>
#include <charconv>
#include <utility>

namespace rota::testing_support {

class JsonReader {
 public:
  explicit JsonReader(std::string_view text) : rest_(text) {}

  Json read_all() {
    Json value = read_value();
    skip_space();
    return rest_.empty() ? value : Json();
  }

 private:
  void skip_space() {
    while (!rest_.empty() && std::string_view(" \t\r\n").contains(rest_.front())) {
      rest_.remove_prefix(1);
    }
  }
  bool take(std::string_view words) {
    skip_space();
    if (!rest_.starts_with(words)) return false;
    rest_.remove_prefix(words.size());
    return true;
  }

  Json read_value() {
    Json value;
    if (take("{")) return read_object();
    if (take("[")) return read_array();
    if (take("\"")) return read_text();
    if (take("null")) {
      value.kind_ = Json::Kind::null;
    } else if (take("true")) {
      value.kind_ = Json::Kind::boolean;
      value.number_ = 1;
    } else if (take("false")) {
      value.kind_ = Json::Kind::boolean;
    } else if (!rest_.empty() && (rest_.front() == '-' || std::isdigit(rest_.front()) != 0)) {
      const auto [end, error] =
          std::from_chars(rest_.data(), rest_.data() + rest_.size(), value.number_);
      if (error != std::errc()) return {};
      rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
      value.kind_ = Json::Kind::number;
    }
    return value;
  }

  Json read_text() {
    Json value;
    while (!rest_.empty() && rest_.front() != '"') {
      const std::size_t length = rest_.front() == '\\' && rest_.size() > 1 ? 2 : 1;
      value.text_ += rest_.substr(0, length);
      rest_.remove_prefix(length);
    }
    if (!take("\"")) return {};
    value.kind_ = Json::Kind::text;
    return value;
  }

  Json read_array() {
    Json array;
    array.kind_ = Json::Kind::array;
    if (take("]")) return array;
    do {
      array.elements_.push_back(read_value());
      if (!array.elements_.back().valid()) return {};
    } while (take(","));
    return take("]") ? array : Json();
  }

  Json read_object() {
    Json object;
    object.kind_ = Json::Kind::object;
    if (take("}")) return object;
    do {
      if (!take("\"")) return {};
      const Json name = read_text();
      if (!name.valid() || !take(":")) return {};
      Json value = read_value();
      if (!value.valid()) return {};
      object.members_.insert_or_assign(name.text_, std::move(value));
    } while (take(","));
    return take("}") ? object : Json();
  }

  std::string_view rest_;
};

const Json& Json::operator[](const std::string& name) const {
  static const Json nothing;
  const auto found = members_.find(name);
  return found == members_.end() ? nothing : found->second;
}

Json parse_json(std::string_view text) { return JsonReader(text).read_all(); }

}  // namespace rota::testing_support
