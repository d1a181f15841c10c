#include <rota/connection.hpp>

#include <cerrno>
#include <exception>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <vector>

namespace rota {
namespace {

/// The same error with the address in its text.
std::exception_ptr connect_error(int error, const Address& address) {
  try {
    detail::throw_os_error(error, ("connect to " + address.to_string()).c_str());
  } catch (...) {
    return std::current_exception();
  }
}

}  // namespace

Connection open_connection(Socket socket, ConnectionOptions options) {
  EventLoop& loop = get_running_loop();
  const detail::SocketState& state = socket.state();
  auto* const transport = new detail::StreamTransport(loop, state.fd, options.limit);
  socket.detach();
  // Small writes are collected here and sent when the task gives way: the kernel must not wait for
  // more. What is not TCP refuses, which is as good.
  const int on = 1;
  ::setsockopt(transport->fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  transport->retain();  // one reference to each half
  Connection connection(StreamReader(static_cast<detail::ReaderState&>(*transport)),
                        StreamWriter(*transport));
  transport->start();
  return connection;
}

Coro<Connection> open_connection(std::string host, std::uint16_t port, ConnectionOptions options) {
  std::exception_ptr error;
  for (const Address& address :
       detail::numeric_addresses(host, port, detail::AddressUse::connect)) {
    try {
      Socket socket = Socket::make(address.family());
      co_await sock_connect(socket, address);
      co_return open_connection(std::move(socket), options);
    } catch (const OSError& refusal) {
      error = connect_error(refusal.code().value(), address);
    }
  }
  std::rethrow_exception(error);
}

}  // namespace rota
