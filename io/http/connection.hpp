/// connection.hpp: one client: its requests in turn, and the end.
///
/// A connection is a coroutine that reads a head, has it answered, and begins anew. It is never
/// closed while what it has answered may still be unread: it says that it will send no more, reads
/// on for a moment, and then closes (else the kernel would throw the answer away with what the
/// client had sent).
#pragma once

#include <rota/coro.hpp>
#include <rota/detail/immovable.hpp>
#include <rota/http/request.hpp>
#include <rota/http/response.hpp>
#include <rota/streams.hpp>

#include "request_parser.hpp"
#include "server_app.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <string>
#include <string_view>

namespace rota::http::detail {

class Connection : rota::detail::Immovable {
 public:
  Connection(const std::shared_ptr<const ServerApp>& app, Share& share, StreamReader reader,
             StreamWriter writer);
  ~Connection();

  Coro<> serve();

  // --- for its request and its body writer ---
  Coro<std::string_view> read_body();
  Coro<> write_chunk(std::string_view data);
  const StreamWriter& writer() const noexcept { return writer_; }

  // --- for its share ---
  /// Ends it if its time is up at `now`.
  void check_deadline(std::int64_t now);
  void begin_drain(std::chrono::nanoseconds patience) noexcept;

 private:
  friend class Share;

  /// What its time limit is for.
  enum class Phase : std::uint8_t { idle, head, body, handling, writing, lingering };
  static constexpr std::int64_t no_deadline = std::numeric_limits<std::int64_t>::max();

  void enter(Phase phase, std::chrono::nanoseconds limit) noexcept;
  void leave_phase() noexcept;

  /// There will be no further request.
  bool ended() const noexcept { return !keep_alive_ || peer_ended_; }
  bool parse_head();
  void prepare_to_receive();
  void take_received(const Bytes& more);
  void begin_request(std::size_t head_bytes);
  void end_request();
  void refuse(int status, std::string_view reason);

  Coro<Response> call(const Handler& handler);
  Response call_plain(const Handler& handler);
  Response answer_to(const std::exception_ptr& error);
  void decide_keep_alive(const Response& response) noexcept;
  void write_response(const Response& response);
  void append_head(const Response& response);
  void send_answers();
  Coro<> stream(Response response);
  Coro<bool> discard_body();
  Coro<> receive_body();
  std::string_view unread() const noexcept;
  void consume(std::size_t count) noexcept;
  void extend_body_deadline() noexcept;

  Coro<> finish();
  Coro<> linger();

  const ServerApp& app_;
  Share& share_;
  Connection* next_ = nullptr;  ///< In the share's list.
  Connection* previous_ = nullptr;

  StreamReader reader_;
  StreamWriter writer_;
  RequestParser parser_;
  Request request_;

  std::string buffer_;     ///< What was received before the head was complete: the head's views.
  std::size_t begin_ = 0;  ///< Of what is not consumed in it.
  std::string body_;       ///< What was received after: body, and perhaps the next head.
  std::size_t body_begin_ = 0;  ///< Of what is not consumed in it.
  std::string out_;             ///< The answer being written.

  std::int64_t deadline_ = no_deadline;
  std::int64_t body_began_ = 0;
  std::size_t body_bytes_ = 0;
  std::size_t requests_ = 0;
  Phase phase_ = Phase::handling;
  bool keep_alive_ = true;
  bool body_done_ = true;
  bool continue_due_ = false;  ///< The client waits for "100 Continue".
  bool streaming_ = false;     ///< The answer has begun and has not ended.
  bool chunked_ = false;       ///< The streamed answer is.
  bool peer_ended_ = false;    ///< It will send no more.
};

}  // namespace rota::http::detail
