/// connection.hpp: open_connection(), a stream to somewhere else.
#pragma once

#include <rota/coro.hpp>
#include <rota/socket.hpp>
#include <rota/streams.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace rota {

/// The two halves of a connection: `auto [reader, writer] = co_await open_connection(...)`.
struct Connection {
  Connection(StreamReader reading, StreamWriter writing) noexcept
      : reader(std::move(reading)), writer(std::move(writing)) {}

  StreamReader reader;
  StreamWriter writer;
};

/// How a connection is to be made.
struct ConnectionOptions {
  std::size_t limit = default_stream_limit;  ///< Of the reader, in bytes.
};

/// Connects to `host` (a numeric address, "localhost", or "": this machine), the addresses one
/// after the other until one accepts.
///
/// Errors:   OSError of the last address tried (ConnectionRefusedError ...), or of a name;
///           CancelledError, with everything closed.
/// Suspends: always.
/// As:       asyncio.open_connection. (Names need a resolver.)
Coro<Connection> open_connection(std::string host, std::uint16_t port,
                                 ConnectionOptions options = {});
/// Takes over a connected stream socket. Thread: a loop's; the connection belongs to that loop.
/// As: open_connection(sock=socket).
Connection open_connection(Socket socket, ConnectionOptions options = {});

}  // namespace rota
