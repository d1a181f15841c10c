/// http_hello.cpp: the smallest HTTP server. Try it with `curl localhost:8080/hello/you`.  --port N
///
///     $ ./http_hello --port 18885 &
///     listening on port 18885
#include <rota/http/server.hpp>
#include <rota/rota.hpp>

#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <utility>

// [readme
rota::http::Response greet(rota::http::Request& request) {
  return rota::http::Response("Hello, " + std::string(request.parameter("name")) + "!\n");
}

rota::Coro<> serve(std::uint16_t port) {
  rota::http::Router router;
  router.get("/hello/{name}", greet);
  const auto loops = rota::all_loops();  // each connection stays on one of them
  const auto server =
      co_await rota::http::start_server(std::move(router), "127.0.0.1", port, {.loops = loops});
  std::cout << "listening on port " << server.port() << std::endl;
  co_await server.serve_forever();
}
// readme]

int main(int count, char** values) {
  const bool has_port = count == 3 && std::string_view(values[1]) == "--port";
  rota::run(serve(has_port ? static_cast<std::uint16_t>(std::atoi(values[2])) : 8080));
}
