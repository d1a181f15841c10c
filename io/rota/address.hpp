/// address.hpp: Address, where a socket is or connects to: IPv4 or IPv6 with a port.
///
/// Numeric text only; nothing here asks a name server.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct sockaddr;

namespace rota {

/// The address of a socket. A value: 32 bytes, compared by content.
class Address {
 public:
  Address() noexcept = default;  ///< Of nothing: empty().
  /// What the kernel gave. Of other families than IPv4 and IPv6 only the family is kept.
  Address(const sockaddr* address, std::size_t bytes) noexcept;

  /// `host` as "127.0.0.1", "::1" or "fe80::1%eth0". Returns: nothing if it is not numeric.
  static std::optional<Address> parse(std::string_view host, std::uint16_t port) noexcept;
  /// "127.0.0.1:80" or "[::1]:80". Returns: nothing if it is something else.
  static std::optional<Address> parse(std::string_view host_and_port) noexcept;

  bool empty() const noexcept { return size_ == 0; }
  int family() const noexcept;          ///< AF_INET, AF_INET6, ...; AF_UNSPEC when empty.
  std::uint16_t port() const noexcept;  ///< 0 for families without ports.
  std::string host() const;             ///< "127.0.0.1", "::1", "fe80::1%eth0"; "" when unknown.
  std::string to_string() const;        ///< "127.0.0.1:80", "[::1]:80".
  Address with_port(std::uint16_t port) const noexcept;

  const sockaddr* data() const noexcept { return reinterpret_cast<const sockaddr*>(storage_); }
  unsigned size() const noexcept { return size_; }  ///< Of what data() points to, in bytes.

  friend bool operator==(const Address& left, const Address& right) noexcept;

 private:
  static constexpr std::size_t capacity = 28;  ///< sizeof(sockaddr_in6), the largest that we keep.

  alignas(8) unsigned char storage_[capacity] = {};
  std::uint8_t size_ = 0;
};

namespace detail {

enum class AddressUse : std::uint8_t { connect, listen };

/// The addresses to try, in this order, for `host`: numeric, "localhost", or "" (to connect: this
/// machine; to listen: everywhere).
/// Errors: OSError for other names, which need a resolver.
std::vector<Address> numeric_addresses(std::string_view host, std::uint16_t port, AddressUse use);

}  // namespace detail
}  // namespace rota
