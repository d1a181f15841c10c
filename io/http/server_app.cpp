#include "server_app.hpp"

#include "connection.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

namespace rota::http::detail {
namespace {

constexpr std::chrono::nanoseconds longest_tick = std::chrono::seconds(1);  // the date's

std::chrono::nanoseconds tick_for(const ServerOptions& options) {
  return std::min({longest_tick, options.head_timeout / 4, options.idle_timeout / 4,
                   options.body_timeout / 4, options.write_timeout / 4});
}

/// "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n". Not strftime: that one speaks the user's language.
std::string date_line_of(std::time_t time) {
  static constexpr std::array days = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  std::array<char, 64> text{};
  const int length =
      std::snprintf(text.data(), text.size(), "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n",
                    days[static_cast<std::size_t>(parts.tm_wday)], parts.tm_mday,
                    months[static_cast<std::size_t>(parts.tm_mon)], parts.tm_year + 1900,
                    parts.tm_hour, parts.tm_min, parts.tm_sec);
  return std::string(text.data(), static_cast<std::size_t>(length));
}

}  // namespace

Share::Share(const ServerOptions& options, LoopHandle loop)
    : loop_(std::move(loop)), period_(tick_for(options)) {}

void Share::enter(const std::shared_ptr<const ServerApp>& app, Connection& connection) {
  if (!ticking_) tick(app);
  connection.next_ = first_;
  if (first_ != nullptr) first_->previous_ = &connection;
  first_ = &connection;
  opened.add(1);
}

void Share::leave(Connection& connection) noexcept {
  (connection.previous_ == nullptr ? first_ : connection.previous_->next_) = connection.next_;
  if (connection.next_ != nullptr) connection.next_->previous_ = connection.previous_;
  closed.add(1);
}

void Share::read_clocks() {
  now_ = get_running_loop().time().time_since_epoch().count();
  date_line_ = date_line_of(std::time(nullptr));
}

void Share::tick(const std::shared_ptr<const ServerApp>& app) {
  read_clocks();
  for (Connection* connection = first_; connection != nullptr; connection = connection->next_) {
    connection->check_deadline(now_);
  }
  ticking_ = first_ != nullptr || !ticking_;  // the first connection starts it, and is not in yet
  if (ticking_) get_running_loop().call_later(period_, [this, app] { tick(app); });
}

void Share::begin_drain(std::chrono::nanoseconds patience) {
  draining_ = true;
  if (first_ == nullptr) return;
  read_clocks();
  for (Connection* connection = first_; connection != nullptr; connection = connection->next_) {
    connection->begin_drain(patience);
  }
}

ServerStats Share::stats() const noexcept {
  ServerStats stats;
  stats.loop_id = loop_.id();
  stats.connections_total = opened.value();
  const std::uint64_t gone = closed.value();
  stats.connections = stats.connections_total > gone ? stats.connections_total - gone : 0;
  stats.requests_total = answered.value();
  stats.refused_total = refused.value();
  return stats;
}

ServerApp::ServerApp(Router router_, const ServerOptions& options_,
                     const std::vector<LoopHandle>& loops)
    : router(std::move(router_)), options(options_) {
  for (const LoopHandle& loop : loops) shares.push_back(std::make_unique<Share>(options, loop));
}

Share& ServerApp::share_here() const {
  const LoopHandle here = get_running_loop().handle();
  const auto mine =
      std::ranges::find_if(shares, [&](const auto& share) { return share->loop() == here; });
  return **mine;  // connections come only to the loops that the server was given
}

Coro<> serve_connection(std::shared_ptr<const ServerApp> app, StreamReader reader,
                        StreamWriter writer) {
  Share& share = app->share_here();
  Connection connection(app, share, std::move(reader), std::move(writer));
  co_await connection.serve();
}

}  // namespace rota::http::detail
