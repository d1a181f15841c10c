#include <rota/address.hpp>
#include <rota/error.hpp>

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace rota {
namespace {

sockaddr_in ipv4_of(const sockaddr* address) noexcept {
  sockaddr_in result{};
  std::memcpy(&result, address, sizeof result);
  return result;
}

sockaddr_in6 ipv6_of(const sockaddr* address) noexcept {
  sockaddr_in6 result{};
  std::memcpy(&result, address, sizeof result);
  return result;
}

/// `text` with its end marked, as inet_pton(3) wants it. Empty if it is too long to be an address.
class Terminated {
 public:
  explicit Terminated(std::string_view text) noexcept {
    if (text.size() < sizeof text_) text.copy(text_, text.size());
  }
  const char* get() const noexcept { return text_; }

 private:
  char text_[INET6_ADDRSTRLEN + IF_NAMESIZE] = {};
};

std::optional<unsigned> parse_scope(std::string_view scope) noexcept {
  unsigned index = 0;
  const auto [end, error] = std::from_chars(scope.begin(), scope.end(), index);
  if (error == std::errc() && end == scope.end()) return index;
  index = ::if_nametoindex(Terminated(scope).get());
  return index == 0 ? std::nullopt : std::optional(index);
}

std::optional<std::uint16_t> parse_port(std::string_view text) noexcept {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.begin(), text.end(), port);
  return error == std::errc() && end == text.end() ? std::optional(port) : std::nullopt;
}

}  // namespace

Address::Address(const sockaddr* address, std::size_t bytes) noexcept {
  if (address == nullptr || bytes < sizeof address->sa_family) return;
  const bool kept = address->sa_family == AF_INET || address->sa_family == AF_INET6;
  const std::size_t size = kept ? std::min(bytes, capacity) : sizeof address->sa_family;
  std::memcpy(storage_, address, size);
  size_ = static_cast<std::uint8_t>(size);
}

std::optional<Address> Address::parse(std::string_view host, std::uint16_t port) noexcept {
  sockaddr_in ipv4{};
  if (::inet_pton(AF_INET, Terminated(host).get(), &ipv4.sin_addr) == 1) {
    ipv4.sin_family = AF_INET;
    ipv4.sin_port = htons(port);
    return Address(reinterpret_cast<const sockaddr*>(&ipv4), sizeof ipv4);
  }
  const std::size_t percent = host.find('%');
  sockaddr_in6 ipv6{};
  if (::inet_pton(AF_INET6, Terminated(host.substr(0, percent)).get(), &ipv6.sin6_addr) != 1) {
    return std::nullopt;
  }
  if (percent != std::string_view::npos) {
    const auto scope = parse_scope(host.substr(percent + 1));
    if (!scope) return std::nullopt;
    ipv6.sin6_scope_id = *scope;
  }
  ipv6.sin6_family = AF_INET6;
  ipv6.sin6_port = htons(port);
  return Address(reinterpret_cast<const sockaddr*>(&ipv6), sizeof ipv6);
}

std::optional<Address> Address::parse(std::string_view host_and_port) noexcept {
  const std::size_t colon = host_and_port.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto port = parse_port(host_and_port.substr(colon + 1));
  std::string_view host = host_and_port.substr(0, colon);
  if (!port) return std::nullopt;
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return std::nullopt;  // IPv6 without brackets: where the port begins is anybody's guess
  }
  return parse(host, *port);
}

int Address::family() const noexcept { return empty() ? AF_UNSPEC : data()->sa_family; }

std::uint16_t Address::port() const noexcept {
  if (family() == AF_INET) return ntohs(ipv4_of(data()).sin_port);
  if (family() == AF_INET6) return ntohs(ipv6_of(data()).sin6_port);
  return 0;
}

std::string Address::host() const {
  char text[INET6_ADDRSTRLEN] = {};
  if (family() == AF_INET) {
    const in_addr address = ipv4_of(data()).sin_addr;
    return ::inet_ntop(AF_INET, &address, text, sizeof text);
  }
  if (family() != AF_INET6) return {};
  const sockaddr_in6 ipv6 = ipv6_of(data());
  std::string host = ::inet_ntop(AF_INET6, &ipv6.sin6_addr, text, sizeof text);
  if (ipv6.sin6_scope_id != 0) {
    char name[IF_NAMESIZE] = {};
    const bool named = ::if_indextoname(ipv6.sin6_scope_id, name) != nullptr;
    host += '%' + (named ? std::string(name) : std::to_string(ipv6.sin6_scope_id));
  }
  return host;
}

std::string Address::to_string() const {
  if (family() == AF_INET) return host() + ':' + std::to_string(port());
  if (family() == AF_INET6) return '[' + host() + "]:" + std::to_string(port());
  return family() == AF_UNIX ? "unix" : "";
}

Address Address::with_port(std::uint16_t port) const noexcept {
  Address result = *this;
  // The port stands at the same place in both.
  static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
  const std::uint16_t network = htons(port);
  if (family() == AF_INET || family() == AF_INET6) {
    std::memcpy(result.storage_ + offsetof(sockaddr_in, sin_port), &network, sizeof network);
  }
  return result;
}

bool operator==(const Address& left, const Address& right) noexcept {
  return left.size_ == right.size_ && std::memcmp(left.storage_, right.storage_, left.size_) == 0;
}

namespace detail {

std::vector<Address> numeric_addresses(std::string_view host, std::uint16_t port, AddressUse use) {
  std::vector<std::string_view> hosts = {host};
  if (host.empty() && use == AddressUse::listen) {
    hosts = {"0.0.0.0", "::"};
  } else if (host.empty() || host == "localhost") {
    hosts = {"127.0.0.1", "::1"};
  }
  std::vector<Address> addresses;
  for (const std::string_view numeric : hosts) {
    const auto address = Address::parse(numeric, port);
    if (!address) {
      throw OSError(EADDRNOTAVAIL, '"' + std::string(host) +
                                       "\" is a name, and names need a resolver: give a numeric "
                                       "address or \"localhost\"");
    }
    addresses.push_back(*address);
  }
  return addresses;
}

}  // namespace detail
}  // namespace rota
