#include "llhttp_engine.hpp"

#include "line_syntax.hpp"

#include <algorithm>
#include <array>

namespace rota::http::detail {

constinit const llhttp_settings_t LlhttpEngine::settings = [] {
  llhttp_settings_t callbacks{};
  callbacks.on_header_field = on_name;
  callbacks.on_header_value = on_value;
  callbacks.on_headers_complete = on_head;
  callbacks.on_chunk_header = on_chunk;
  callbacks.on_body = on_data;
  callbacks.on_message_complete = on_message;
  return callbacks;
}();

LlhttpEngine& LlhttpEngine::of(llhttp_t* parser) noexcept {
  return *static_cast<LlhttpEngine*>(parser->data);
}

int LlhttpEngine::on_name(llhttp_t* parser, const char* data, std::size_t size) noexcept {
  LlhttpEngine& engine = of(parser);
  if (engine.head_ == nullptr) return 0;  // a trailer: dropped
  // As many as there are lines, each at the beginning of one: so none is skipped, split or joined.
  auto& headers = engine.head_->headers;
  if (headers.size() == engine.lines_ || data[-1] != '\n' || data[size] != ':') return HPE_USER;
  const std::string_view name(data, size);
  const std::string_view no_value = std::string_view(data, size + 1).substr(size + 1);
  headers.push_back({name, no_value});
  return 0;
}

int LlhttpEngine::on_value(llhttp_t* parser, const char* data, std::size_t size) noexcept {
  LlhttpEngine& engine = of(parser);
  if (engine.head_ == nullptr || size == 0) return 0;  // of an empty one llhttp gives no place
  if (data[size] != '\r') return HPE_USER;
  engine.head_->headers.back().value = without_blanks({data, size});
  return 0;
}

int LlhttpEngine::on_head(llhttp_t* parser) noexcept {
  LlhttpEngine& engine = of(parser);
  engine.events_ |= Event::head_done;
  engine.framing_ = Framing::none;
  if ((parser->flags & F_CONTENT_LENGTH) != 0 && parser->content_length > 0)
    engine.framing_ = Framing::length;
  if ((parser->flags & F_CHUNKED) != 0) engine.framing_ = Framing::chunked;
  engine.content_length_ = parser->content_length;
  if (parser->http_major != 1 || parser->http_minor != engine.head_->minor_version ||
      engine.head_->headers.size() != engine.lines_)
    engine.events_ |= Event::disagreement;
  // What an upgraded connection carries is the caller's business: without this llhttp would stop.
  parser->upgrade = 0;
  return 0;
}

int LlhttpEngine::on_chunk(llhttp_t* parser) noexcept {
  LlhttpEngine& engine = of(parser);
  engine.events_ |= Event::chunk_begun;
  engine.content_length_ = parser->content_length;
  return 0;
}

int LlhttpEngine::on_data(llhttp_t* parser, const char* data, std::size_t size) noexcept {
  LlhttpEngine& engine = of(parser);
  const bool is_same = data == engine.data_.data() && size == engine.data_.size();
  engine.events_ |= is_same ? Event::data : Event::disagreement;
  return 0;
}

int LlhttpEngine::on_message(llhttp_t* parser) noexcept {
  of(parser).events_ |= Event::message_done;
  return 0;
}

bool LlhttpEngine::run(std::string_view bytes) noexcept {
  llhttp_.data = this;  // each time: we may have been moved
  events_ = Event::none;
  return llhttp_execute(&llhttp_, bytes.data(), bytes.size()) == HPE_OK;
}

bool LlhttpEngine::feed(std::string_view bytes, unsigned events) noexcept {
  return run(bytes) && events_ == events;
}

llhttp_t LlhttpEngine::after_request_line(std::string_view line) noexcept {
  llhttp_t parser;
  llhttp_init(&parser, HTTP_REQUEST, &settings);
  llhttp_execute(&parser, line.data(), line.size());
  return parser;
}

bool LlhttpEngine::parse_head(std::string_view fields, std::size_t lines, RequestHead& head) {
  // A state is plain data: copying one is half of the price of coming to it.
  static const std::array<llhttp_t, 2> states = {after_request_line("GET / HTTP/1.0\r\n"),
                                                 after_request_line("GET / HTTP/1.1\r\n")};
  head.headers.clear();
  // Here and not in on_name(): an exception must not pass through llhttp.
  if (head.headers.capacity() < lines) head.headers.reserve(std::max(lines, std::size_t{16}));
  lines_ = lines;
  head_ = &head;
  llhttp_ = states.at(static_cast<std::size_t>(head.minor_version));
  const bool takes_all = run(fields);
  head_ = nullptr;
  const unsigned body = framing_ == Framing::none ? Event::message_done : Event::none;
  return takes_all && events_ == (Event::head_done | body);
}

bool LlhttpEngine::begin_chunk(std::string_view digits, std::uint64_t size) noexcept {
  // Without the extensions: they mean nothing, and llhttp 8.1 misreads the second of two.
  return feed(digits, Event::none) && feed("\r\n", Event::chunk_begun) && content_length_ == size;
}

bool LlhttpEngine::take_data(std::string_view piece) noexcept {
  data_ = piece;
  return feed(piece, Event::data);
}

bool LlhttpEngine::end_chunk() noexcept { return feed("\r\n", Event::none); }

bool LlhttpEngine::take_trailer(std::string_view line) noexcept { return feed(line, Event::none); }

bool LlhttpEngine::end_trailers() noexcept { return feed("\r\n", Event::message_done); }

}  // namespace rota::http::detail
