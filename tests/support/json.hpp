/// json.hpp: reads JSON, so that tests can look at what programs say in it.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace rota::testing_support {

/// A value of JSON. What is asked of one of another kind gives nothing: an invalid value, 0, "".
class Json {
 public:
  enum class Kind { invalid, null, boolean, number, text, array, object };

  bool valid() const { return kind_ != Kind::invalid; }
  bool is_number() const { return kind_ == Kind::number; }
  double number() const { return number_; }  ///< 1 for true.
  const std::string& text() const { return text_; }
  const std::vector<Json>& elements() const { return elements_; }
  const Json& operator[](const std::string& name) const;

 private:
  friend class JsonReader;

  Kind kind_ = Kind::invalid;
  double number_ = 0;
  std::string text_;
  std::vector<Json> elements_;
  std::map<std::string, Json> members_;
};

/// The value that `text` is; an invalid one if it is not JSON, or something follows. Escapes with
/// \u are kept as they are.
Json parse_json(std::string_view text);

}  // namespace rota::testing_support
