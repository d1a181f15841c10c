/// http_client.hpp: a client that says exactly what a test wants, and reads what comes.
#pragma once

#include <rota/connection.hpp>
#include <rota/coro.hpp>
#include <rota/error.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace rota::testing_support {

struct Reply {
  int status = 0;
  std::string head;  ///< With the status line, without the empty line.
  std::string body;  ///< Decoded.

  bool has(std::string_view line) const { return head.find(line) != std::string::npos; }
};

class HttpClient {
 public:
  explicit HttpClient(Connection connection) : connection_(std::move(connection)) {}

  static Coro<HttpClient> open(std::uint16_t port) {
    co_return HttpClient(co_await open_connection("127.0.0.1", port));
  }

  void send(std::string_view bytes) {
    connection_.writer.write(bytes);
    connection_.writer.flush();
  }
  void end() { connection_.writer.write_eof(); }
  void abort() { connection_.writer.abort(); }

  /// The next reply. Errors: IncompleteReadError when the connection ends before.
  Coro<Reply> receive(bool head_only = false) {
    Reply reply;
    reply.head = (co_await connection_.reader.readuntil("\r\n\r\n")).str();
    reply.head.resize(reply.head.size() - 4);
    reply.status = std::stoi(reply.head.substr(9, 3));
    if (head_only) co_return reply;
    if (reply.has("Transfer-Encoding: chunked")) {
      reply.body = co_await receive_chunks();
    } else if (const auto at = reply.head.find("Content-Length: "); at != std::string::npos) {
      const auto size = std::stoul(reply.head.substr(at + 16));
      reply.body = (co_await connection_.reader.readexactly(size)).str();
    }
    co_return reply;
  }
  Coro<Reply> ask(std::string_view request) {
    send(request);
    return receive();
  }
  /// What comes next, at once.
  Coro<std::string> receive_some() { co_return (co_await connection_.reader.read(65536)).str(); }
  /// What comes until the server closes, or resets.
  Coro<std::string> receive_all() {
    std::string all;
    try {
      for (;;) {
        const Bytes some = co_await connection_.reader.read(65536);
        if (some.empty()) break;
        all += some.view();
      }
    } catch (const ConnectionError&) {
      all += "(reset)";
    }
    co_return all;
  }

 private:
  Coro<std::string> receive_chunks() {
    std::string body;
    for (;;) {
      const auto line = (co_await connection_.reader.readuntil("\r\n")).str();
      const auto size = std::stoul(line, nullptr, 16);
      const auto data = (co_await connection_.reader.readexactly(size + 2)).str();
      if (size == 0) co_return body;
      body.append(data, 0, size);
    }
  }

  Connection connection_;
};

}  // namespace rota::testing_support
