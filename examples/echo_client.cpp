/// echo_client.cpp: sends each word as a line and prints the line that comes back.
/// --host ADDRESS  --port N  WORD...
///
///     $ ./echo_server --port 18882 &
///     listening on ...
///     $ ./echo_client --port 18882 one two
///     one
///     two
#include <rota/rota.hpp>

#include <cstdlib>
#include <getopt.h>
#include <iostream>
#include <string>
#include <vector>

struct Arguments {
  std::string host = "127.0.0.1";
  unsigned short port = 8888;
  std::vector<std::string> words;
};

rota::Coro<> talk(Arguments arguments) {
  auto [reader, writer] = co_await rota::open_connection(arguments.host, arguments.port);
  for (const std::string& word : arguments.words) {
    writer.write(word + '\n');
    co_await writer.drain();
    const rota::Bytes line = co_await reader.readline();
    std::cout << line.view();
  }
  writer.close();
  co_await writer.wait_closed();
}

Arguments parse(int count, char** values) {
  const option options[] = {
      {"host", required_argument, nullptr, 'h'}, {"port", required_argument, nullptr, 'p'}, {}};
  Arguments arguments;
  for (int option; (option = getopt_long(count, values, "", options, nullptr)) != -1;) {
    if (option == 'h') arguments.host = optarg;
    if (option == 'p') arguments.port = static_cast<unsigned short>(std::atoi(optarg));
    if (option == '?') std::exit(2);
  }
  arguments.words.assign(values + optind, values + count);
  return arguments;
}

int main(int count, char** values) {
  try {
    rota::run(talk(parse(count, values)), {.loops = 1});
  } catch (const rota::OSError& error) {
    std::cerr << "echo_client: " << error.what() << '\n';
    return 1;
  }
}
