/// graceful_shutdown.cpp: a server that finishes what it has begun when it is told to stop (Ctrl-C,
/// or SIGTERM from a supervisor): it stops accepting, gives requests in progress five seconds, and
/// exits with 0.  --port N (0: any)
///
///     $ ./graceful_shutdown
///     listening on port ...
///     ^C
///     stopping: no new connections
///     answered 0 requests
#include <rota/rota.hpp>

#include <cstdlib>
#include <iostream>
#include <string_view>

using namespace std::chrono_literals;

int requests = 0;  // plain data: every handler runs on the same loop

rota::Coro<> answer(rota::StreamReader reader, rota::StreamWriter writer) {
  for (auto line = co_await reader.readline(); !line.empty(); line = co_await reader.readline()) {
    co_await rota::sleep(50ms);  // the work
    writer.write(line);
    co_await writer.drain();
    ++requests;
  }
  writer.close();
  co_await writer.wait_closed();
}

rota::Coro<> end_gracefully(rota::Server& server) {
  std::cout << "stopping: no new connections" << std::endl;
  server.close();
  server.close_clients();
  try {
    co_await rota::wait_for(server.wait_closed(), 5s);
  } catch (const rota::TimeoutError&) {
    server.abort_clients();
  }
  std::cout << "answered " << requests << " requests" << std::endl;
}

rota::Coro<> serve(unsigned short port) {
  rota::Server server = co_await rota::start_server(answer, "127.0.0.1", port);
  std::cout << "listening on port " << server.port() << std::endl;
  bool told_to_stop = false;
  try {
    co_await server.serve_forever();
  } catch (const rota::CancelledError&) {
    told_to_stop = true;  // by a signal: run() cancels this task
  }
  if (told_to_stop) co_await end_gracefully(server);
}

int main(int count, char** arguments) {
  const bool has_port = count == 3 && std::string_view(arguments[1]) == "--port";
  rota::run(serve(has_port ? static_cast<unsigned short>(std::atoi(arguments[2])) : 0),
            {.loops = 1});
}
