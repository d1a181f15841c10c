#include <rota/streams.hpp>

#include <string>

namespace rota {
namespace {

std::string incomplete_text(std::size_t partial, std::optional<std::size_t> expected) {
  return std::to_string(partial) + " bytes read on a total of " +
         (expected ? std::to_string(*expected) : "undefined") + " expected bytes";
}

void require_separator(std::string_view separator) {
  if (separator.empty()) throw ValueError("Separator should be at least one-byte string");
}

}  // namespace

IncompleteReadError::IncompleteReadError(Bytes partial, std::optional<std::size_t> expected)
    : std::runtime_error(incomplete_text(partial.size(), expected)),
      partial_(partial.view()),
      expected_(expected) {}

// --- StreamReader -----------------------------------------------------------------------------

StreamReader::StreamReader(std::size_t limit) : state_(new detail::ReaderState(nullptr, limit)) {}

detail::ReadUntilAwaiter StreamReader::readuntil(std::string_view separator) const {
  require_separator(separator);
  return detail::ReadUntilAwaiter(*state_, detail::Separators(separator));
}

detail::ReadUntilAwaiter StreamReader::readuntil(std::vector<std::string> separators) const {
  for (const std::string& separator : separators) require_separator(separator);
  return detail::ReadUntilAwaiter(*state_, detail::Separators(std::move(separators)));
}

bool StreamReader::at_eof() const {
  state_->use("StreamReader.at_eof");
  return state_->eof() && state_->buffered().empty();
}

void StreamReader::feed_data(std::span<const std::byte> data) const {
  state_->use("StreamReader.feed_data");
  if (state_->eof()) throw RuntimeError("feed_data after feed_eof");
  state_->feed(data);
}

void StreamReader::feed_eof() const {
  state_->use("StreamReader.feed_eof");
  state_->feed_eof();
}

void StreamReader::set_exception(std::exception_ptr exception) const {
  state_->use("StreamReader.set_exception");
  state_->fail(std::move(exception));
}

// --- StreamWriter -----------------------------------------------------------------------------

bool StreamWriter::writelines(std::span<const std::string_view> lines) const {
  bool kept = !is_closing();
  for (const std::string_view line : lines) kept = write(line);
  return kept;
}

bool StreamWriter::writelines(std::initializer_list<std::string_view> lines) const {
  return writelines(std::span(lines.begin(), lines.size()));
}

void StreamWriter::set_write_buffer_limits(std::size_t high, std::optional<std::size_t> low) const {
  const std::size_t lower = low.value_or(high / 4);
  if (lower > high) throw ValueError("high must be >= low");
  used("set_write_buffer_limits").set_limits(high, lower);
}

Address StreamWriter::get_extra_info(std::string_view name) const {
  if (name == "peername") return peername();
  if (name == "sockname") return sockname();
  return {};
}

}  // namespace rota
