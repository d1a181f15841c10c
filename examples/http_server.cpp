/// http_server.cpp: HTTP on every loop, pictures computed on the CPU pool, and a page that shows
/// both at work: open what it prints in a browser. Ctrl-C or SIGTERM: it answers what it was asked,
/// for five seconds at most, and exits with 0.
///
///     $ ./http_server --port 0
///     listening on http://127.0.0.1:...
///     ^C
///     stopped: every connection has ended; requests answered: 0
#include <rota/http/server.hpp>
#include <rota/rota.hpp>

#include "mandelbrot.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <getopt.h>
#include <http_server_page.hpp>  // made of http_server_page.html
#include <iostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
namespace http = rota::http;

struct Arguments {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8080;
  unsigned loops = 0;
};

using ServerSlot = std::atomic<const http::Server*>;  // set once by serve(), read on all loops

http::Response page(http::Request&) {
  return http::Response(std::string(http_server_page), "text/html; charset=utf-8");
}

http::Response plaintext(http::Request&) { return http::Response("Hello, World!"); }
http::Response json(http::Request&) {
  return http::Response(R"({"message":"Hello, World!"})", "application/json");
}

/// What was sent, back again.
rota::Coro<http::Response> echo(http::Request& request) {
  co_return http::Response(co_await request.read(), "application/octet-stream");
}

// --- pictures: the loop goes on with other requests while the pool computes ---

/// Whoever waits so long has gone. The call is cancelled then: tile_png() gets a stop token, and
/// ends before its next row.
rota::Coro<std::string> draw(mandelbrot::Tile place) {
  try {
    co_return co_await rota::wait_for(rota::run_in_executor(mandelbrot::tile_png, place), 20s);
  } catch (const rota::TimeoutError&) {
    throw http::HttpError(503, "there is too much to draw");
  }
}

rota::Coro<http::Response> tile(http::Request& request) {
  const auto place = mandelbrot::parse_tile(request.parameter("z"), request.parameter("x"),
                                            request.parameter("y"));
  if (!place) throw http::HttpError(404, "there is no such tile");
  http::Response response(co_await draw(*place), "image/png");
  response.add_header("Cache-Control", "max-age=3600");
  co_return response;
}

// --- what the loops do ---

using Numbers = std::vector<std::pair<std::string_view, std::uint64_t>>;

std::string to_json(const Numbers& numbers) {
  std::string text;
  for (const auto& [name, number] : numbers) {
    text += (text.empty() ? "{\"" : ",\"") + std::string(name) + "\":" + std::to_string(number);
  }
  return text + '}';
}

/// Runs on the loop whose numbers it gives.
rota::Coro<rota::LoopStats> stats_here() { co_return rota::get_running_loop().stats(); }

rota::Coro<std::vector<rota::LoopStats>> stats_of_all_loops() {
  std::vector<rota::Coro<rota::LoopStats>> answers;
  for (const rota::LoopHandle& loop : rota::all_loops()) {
    answers.push_back(rota::wrap_future(rota::run_coroutine_threadsafe(stats_here(), loop)));
  }
  co_return co_await rota::gather(std::move(answers));
}

Numbers numbers_of(const rota::LoopStats& loop, const std::vector<http::ServerStats>& servers) {
  const auto its = std::ranges::find(servers, loop.loop_id, &http::ServerStats::loop_id);
  const http::ServerStats server = its == servers.end() ? http::ServerStats() : *its;
  return {{"steps", loop.steps_total},        {"tasks", loop.tasks},
          {"cqes", loop.cqes_total},          {"enters", loop.enters_total},
          {"wakes", loop.wakes_total},        {"requests", server.requests_total},
          {"connections", server.connections}};
}

rota::Coro<http::Response> stats(const ServerSlot& slot) {
  // acquire: pairs with the release in serve()
  const http::Server* const server = slot.load(std::memory_order_acquire);
  if (server == nullptr) throw http::HttpError(503, "it has only just started");
  const std::vector<rota::LoopStats> loops = co_await stats_of_all_loops();
  const std::vector<http::ServerStats> servers = server->stats();
  Numbers totals = numbers_of({}, {});
  std::string text;
  for (const rota::LoopStats& loop : loops) {
    const Numbers numbers = numbers_of(loop, servers);
    for (std::size_t i = 0; i < numbers.size(); ++i) totals[i].second += numbers[i].second;
    text += (text.empty() ? "{\"loops\":[" : ",") + to_json(numbers);
  }
  const rota::ExecutorStats pool = rota::cpu_pool().stats();
  const auto run_time = static_cast<std::uint64_t>(pool.run_time / 1us);
  text += "],\"executor\":" + to_json({{"queued", pool.queued()},
                                       {"running", pool.running},
                                       {"finished", pool.finished_total},
                                       {"run_time_us", run_time}});
  co_return http::Response(text + ",\"totals\":" + to_json(totals) + '}', "application/json");
}

// --- the server ---

rota::Coro<> wait_for_signal() {
  try {
    co_await rota::Future<>();  // which nobody sets
  } catch (const rota::CancelledError&) {
    co_return;  // run() cancels the main task on SIGINT and SIGTERM
  }
}

rota::Coro<> serve(ServerSlot& slot, Arguments arguments) {
  http::Router router;
  router.get("/", page).get("/plaintext", plaintext).get("/json", json);
  router.post("/echo", echo);
  router.get("/mandelbrot/{z}/{x}/{y}.png", tile);
  router.get("/stats", [&slot](http::Request&) { return stats(slot); });
  const auto loops = rota::all_loops();
  const http::Server server = co_await http::start_server(std::move(router), arguments.host,
                                                          arguments.port, {.loops = loops});
  slot.store(&server, std::memory_order_release);  // pairs with the acquire in stats()
  for (const rota::Address& address : server.sockets()) {
    std::cout << "listening on http://" << address.to_string() << std::endl;
  }
  co_await wait_for_signal();
  co_await server.close(5s);
  std::uint64_t requests = 0;
  for (const http::ServerStats& loop : server.stats()) requests += loop.requests_total;
  std::cout << "stopped: every connection has ended; requests answered: " << requests << std::endl;
}

[[noreturn]] void end_with_usage(int status) {
  (status == 0 ? std::cout : std::cerr)
      << "usage: http_server [--host ADDRESS] [--port N] [--loops N]\n"
         "  --host ADDRESS  where to listen, a numeric address or localhost (127.0.0.1)\n"
         "  --port N        0: any that is free (8080)\n"
         "  --loops N       event loops, each a thread; 0: one for each CPU (0)\n";
  std::exit(status);
}

template <typename T>
void read_number(T& number) {
  const std::string_view text = optarg;
  const auto [stop, error] = std::from_chars(text.begin(), text.end(), number);
  if (error != std::errc() || stop != text.end()) end_with_usage(2);
}

Arguments parse(int count, char** values) {
  const option options[] = {{"host", required_argument, nullptr, 'h'},
                            {"port", required_argument, nullptr, 'p'},
                            {"loops", required_argument, nullptr, 'l'},
                            {"help", no_argument, nullptr, 'u'},
                            {}};
  Arguments arguments;
  for (int option; (option = getopt_long(count, values, "", options, nullptr)) != -1;) {
    if (option == 'h') arguments.host = optarg;
    if (option == 'p') read_number(arguments.port);
    if (option == 'l') read_number(arguments.loops);
    if (option == 'u' || option == '?') end_with_usage(option == 'u' ? 0 : 2);
  }
  return arguments;
}

std::string explain(const rota::OSError& error, const Arguments& arguments) {
  if (error.code().value() != EADDRINUSE) return error.what();
  const std::string port = std::to_string(arguments.port);
  return "port " + port + " of " + arguments.host + " is in use\n" +
         "  why: another program listens there: ss -ltnp 'sport = :" + port + "' tells which\n" +
         "  do:  end that one, or choose another with --port; --port 0 takes any that is free";
}

int main(int count, char** values) {
  const Arguments arguments = parse(count, values);
  ServerSlot slot{nullptr};
  try {
    rota::run(serve(slot, arguments), {.loops = arguments.loops});
  } catch (const rota::OSError& error) {
    std::cerr << "http_server: " << explain(error, arguments) << '\n';
    return 1;
  }
}
