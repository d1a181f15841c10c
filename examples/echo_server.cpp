/// echo_server.cpp: sends back what it gets.  --host ADDRESS  --port N (0: any)  --loops N  --spin
/// MICROSECONDS
///
///     $ ./echo_server --port 18881 &
///     listening on 127.0.0.1:18881
///     $ ./echo_client --port 18881 hello world
///     hello
///     world
#include <rota/rota.hpp>

#include <chrono>
#include <cstdlib>
#include <getopt.h>
#include <iostream>
#include <string>

struct Arguments {
  std::string host = "127.0.0.1";
  unsigned short port = 8888;
  unsigned loops = 1;
  std::chrono::microseconds spin{0};  // look for work for so long before sleeping
};

// [readme
rota::Coro<> echo(rota::StreamReader reader, rota::StreamWriter writer) {
  for (auto data = co_await reader.read(65536); !data.empty(); data = co_await reader.read(65536)) {
    writer.write(std::move(data));
    co_await writer.drain();  // waits only while the peer does not read
  }
}
// readme]

rota::Coro<> serve(Arguments arguments) {
  const auto loops = rota::all_loops();  // each connection stays on one of them
  rota::Server server = co_await rota::start_server(echo, arguments.host, arguments.port,
                                                    {.backlog = 4096, .loops = loops});
  for (const rota::Address& address : server.sockets()) {
    std::cout << "listening on " << address.to_string() << std::endl;
  }
  co_await server.serve_forever();
}

Arguments parse(int count, char** values) {
  const option options[] = {{"host", required_argument, nullptr, 'h'},
                            {"port", required_argument, nullptr, 'p'},
                            {"loops", required_argument, nullptr, 'l'},
                            {"spin", required_argument, nullptr, 's'},
                            {}};
  Arguments arguments;
  for (int option; (option = getopt_long(count, values, "", options, nullptr)) != -1;) {
    if (option == 'h') arguments.host = optarg;
    if (option == 'p') arguments.port = static_cast<unsigned short>(std::atoi(optarg));
    if (option == 'l') arguments.loops = static_cast<unsigned>(std::atoi(optarg));
    if (option == 's') arguments.spin = std::chrono::microseconds(std::atoi(optarg));
    if (option == '?') std::exit(2);
  }
  return arguments;
}

int main(int count, char** values) {
  const Arguments arguments = parse(count, values);
  try {
    rota::run(serve(arguments), {.loops = arguments.loops, .spin = arguments.spin});
  } catch (const rota::OSError& error) {
    std::cerr << "echo_server: " << error.what() << '\n';
    return 1;
  }
}
