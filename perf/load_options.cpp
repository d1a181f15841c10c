/// load_options.cpp: the command line of rota_load, and what is said about a wrong one.
#include "load_options.hpp"

#include <rota/address.hpp>

#include <algorithm>
#include <charconv>
#include <getopt.h>
#include <optional>
#include <sstream>
#include <type_traits>
#include <utility>

namespace load {
namespace {

constexpr std::string_view usage_text =
    R"(usage: rota_load tcp HOST:PORT [OPTION...]     messages to an echo server
       rota_load http URL [URL...] [OPTION...]  HTTP/1.1 GET, the URLs of one server in turn

  --connections N   connections at once (64)
  --pipeline N      requests in flight on a connection (1)
  --duration S      measure for S seconds (10)
  --warmup S        run S seconds before that, not measured (1)
  --rate R          open loop: R requests per second over all connections, each with its planned
                    start; latency counts from there, also when it could only be sent later.
                    Without it closed loop: a connection sends when it has all its answers
  --size BYTES      tcp: of a message (64)
  --timeout S       a connection that owes an answer and gives none for S seconds has failed (10)
  --loops N         event loops, each a thread with its share of the connections (1)
  --spin US         a loop looks for work for US microseconds before it sleeps (0). With a CPU of
                    its own for each loop it then sends on time, and does not make the server pay
                    for waking it
  --json FILE       write the figures as JSON too; - is stdout, and the summary goes to stderr
  --quiet           no line per second, only the summary
  --help            this text

HOST is a numeric address or localhost. Latencies are of answers: with --pipeline, each from when
its batch was sent. Ctrl-C ends the measurement early.
Exit status: 0; 1 when a request failed or none was answered; 2 for a wrong command line.

  rota_load http http://127.0.0.1:8080/ --connections 256 --duration 30
  rota_load tcp 127.0.0.1:8888 --rate 20000 --json result.json
)";

/// "what", "why" and "do", as the user reads them.
std::string complaint(std::string_view what, std::string_view why, std::string_view remedy) {
  std::ostringstream text;
  text << "rota_load: " << what << "\n  why: " << why << "\n  do:  " << remedy
       << "\n       rota_load --help explains everything\n";
  return std::move(text).str();
}

/// Thrown inside this file only.
struct WrongUsage {
  std::string text;
};
[[noreturn]] void reject(std::string_view what, std::string_view why, std::string_view remedy) {
  throw WrongUsage{complaint(what, why, remedy)};
}

/// All of `text` as a number.
template <typename T>
std::optional<T> parsed(std::string_view text) {
  T value{};
  const char* const begin = text.data();
  const char* const end = begin + text.size();
  const auto [stop, error] = std::from_chars(begin, end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

template <typename T>
struct Range {
  T least;
  T most;
};

/// The value of `option`, all of which must be a number in `range`.
template <typename T>
T number(const option& option, Range<T> range) {
  const std::string_view text = optarg;
  const std::optional<T> value = parsed<T>(text);
  if (value && *value >= range.least && *value <= range.most) return *value;
  std::ostringstream why, remedy;
  why.precision(15);
  why << "it wants a " << (std::is_integral_v<T> ? "whole number" : "number") << " from "
      << range.least << " to " << range.most;
  remedy << "rota_load ... --" << option.name << ' ' << std::clamp<T>(10, range.least, range.most);
  reject("--" + std::string(option.name) + " '" + std::string(text) + "' cannot be used", why.str(),
         remedy.str());
}

Seconds seconds(const option& option, Range<double> range) {
  return Seconds(number(option, range));
}

const option known_options[] = {{"connections", required_argument, nullptr, 'c'},
                                {"pipeline", required_argument, nullptr, 'p'},
                                {"duration", required_argument, nullptr, 'd'},
                                {"warmup", required_argument, nullptr, 'w'},
                                {"size", required_argument, nullptr, 's'},
                                {"rate", required_argument, nullptr, 'r'},
                                {"loops", required_argument, nullptr, 'l'},
                                {"timeout", required_argument, nullptr, 't'},
                                {"spin", required_argument, nullptr, 'u'},
                                {"json", required_argument, nullptr, 'j'},
                                {"quiet", no_argument, nullptr, 'q'},
                                {"help", no_argument, nullptr, 'h'},
                                {}};

void read_option(Options& result, int letter, const option& option) {
  constexpr double day = 24 * 60 * 60;
  switch (letter) {
    case 'c':
      result.connections = number<unsigned>(option, {1, 1'000'000});
      break;
    case 'p':
      result.pipeline = number<unsigned>(option, {1, 4096});
      break;
    case 'd':
      result.duration = seconds(option, {0.01, day});
      break;
    case 'w':
      result.warmup = seconds(option, {0, day});
      break;
    case 's':
      result.size = number<std::size_t>(option, {1, std::size_t{16} << 20});
      break;
    case 'r':
      result.rate = number<double>(option, {0.001, 1e8});
      break;
    case 'l':
      result.loops = number<unsigned>(option, {1, 1024});
      break;
    case 't':
      result.timeout = seconds(option, {0.01, day});
      break;
    case 'u':
      result.spin = std::chrono::microseconds(number<unsigned>(option, {0, 1'000'000}));
      break;
    case 'j':
      result.json = optarg;
      break;
    case 'q':
      result.quiet = true;
      break;
    default:
      result.help = true;
      break;
  }
}

/// Gives the words that are no options.
std::vector<std::string_view> read_options(Options& result, int count, char** values) {
  optind = 0;  // from the start, also when called again
  opterr = 0;
  int index = 0;
  for (int letter; (letter = getopt_long(count, values, ":", known_options, &index)) != -1;) {
    if (letter != '?' && letter != ':') {
      read_option(result, letter, known_options[index]);
      continue;
    }
    const std::string given = values[std::max(optind - 1, 1)];
    if (letter == ':')
      reject(given + " has no value", "it needs one", "rota_load ... " + given + " 10");
    reject("unknown option " + given, "there is none of that name", "leave it out");
  }
  return {values + optind, values + count};
}

/// "127.0.0.1:80", "[::1]:80" or "localhost:80", into host and port. `default_port` 0: it must be
/// there.
void read_authority(Options& result, std::string_view text, std::uint16_t default_port) {
  const std::size_t colon = text.rfind(':');
  const bool has_port = colon != text.npos && text.find(']', colon) == text.npos;
  std::string_view host = text.substr(0, has_port ? colon : text.npos);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  result.host = host;
  result.port = default_port;
  if (has_port) result.port = parsed<std::uint16_t>(text.substr(colon + 1)).value_or(0);
  if (result.port == 0) {
    reject("'" + std::string(text) + "' names no port", "a port is a number from 1 to 65535",
           "write it behind the address: 127.0.0.1:8080");
  }
  if (result.host != "localhost" && !rota::Address::parse(result.host, result.port)) {
    reject("'" + std::string(host) + "' is no address",
           "host names are not looked up; a numeric address or localhost is needed",
           "getent hosts NAME gives the address of a name");
  }
}

void read_url(Options& result, std::string_view url) {
  constexpr std::string_view scheme = "http://";
  if (!url.starts_with(scheme)) {
    reject("'" + std::string(url) + "' is no URL that can be used",
           "only plain HTTP is spoken, and a URL for it begins with http://",
           "rota_load http http://127.0.0.1:8080/");
  }
  const bool is_plain = std::ranges::all_of(url, [](char c) { return c > ' ' && c < 127; });
  if (!is_plain) {
    reject("'" + std::string(url) + "' has a space or another character that no URL has",
           "it would not be one request any more", "write it as %20 and so on");
  }
  url.remove_prefix(scheme.size());
  url = url.substr(0, url.find('#'));  // the fragment is not sent
  const std::size_t path_at = std::min(url.find_first_of("/?"), url.size());
  const std::string_view authority = url.substr(0, path_at);
  const std::string_view path = url.substr(path_at);
  if (!result.paths.empty() && authority != result.authority) {
    reject("the URLs are of two servers, " + result.authority + " and " + std::string(authority),
           "a connection asks for all of them in turn", "start rota_load once for each server");
  }
  read_authority(result, authority, 80);
  result.authority = authority;
  result.paths.push_back((path.starts_with('/') ? "" : "/") + std::string(path));
}

void read_targets(Options& result, const std::vector<std::string_view>& words) {
  if (words.size() < 2 || (words[0] != "tcp" && words[0] != "http")) {
    reject("there is nothing to measure", "the first words say what to talk to",
           "rota_load tcp HOST:PORT, or rota_load http URL");
  }
  result.mode = words[0] == "tcp" ? Mode::tcp : Mode::http;
  if (result.mode == Mode::http) {
    for (std::size_t i = 1; i < words.size(); ++i) read_url(result, words[i]);
  } else if (words.size() == 2) {
    read_authority(result, words[1], 0);
  } else {
    reject("'" + std::string(words[2]) + "' is too much", "tcp talks to one server",
           "start rota_load once for each server");
  }
}

void check_together(const Options& options) {
  constexpr std::size_t batch_max = std::size_t{64} << 20;  // each connection may hold one
  if (options.mode == Mode::tcp && options.size * options.pipeline > batch_max) {
    reject("--size times --pipeline is more than 64 MiB",
           "every connection may have to hold that much", "make one of them smaller");
  }
  if (options.loops > options.connections) {
    reject("there are more loops than connections", "a loop without a connection has no work",
           "make --loops smaller, or --connections larger");
  }
}

}  // namespace

std::expected<Options, std::string> parse_options(int count, char** values) {
  try {
    Options result;
    const std::vector<std::string_view> words = read_options(result, count, values);
    if (result.help) return result;
    read_targets(result, words);
    check_together(result);
    return result;
  } catch (const WrongUsage& wrong) {
    return std::unexpected(wrong.text);
  }
}

std::string_view usage() noexcept { return usage_text; }

}  // namespace load
