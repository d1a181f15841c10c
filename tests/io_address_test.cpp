#include <rota/address.hpp>
#include <rota/error.hpp>

#include <gtest/gtest.h>

#include <cerrno>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>

namespace rota {
namespace {

using detail::AddressUse;
using detail::numeric_addresses;

TEST(Address, ParsesAndFormatsIPv4) {
  const auto address = Address::parse("127.0.0.1", 80);
  ASSERT_TRUE(address);
  EXPECT_EQ(address->family(), AF_INET);
  EXPECT_EQ(address->host(), "127.0.0.1");
  EXPECT_EQ(address->port(), 80);
  EXPECT_EQ(address->to_string(), "127.0.0.1:80");
  EXPECT_EQ(address->size(), sizeof(sockaddr_in));
}

TEST(Address, ParsesAndFormatsIPv6) {
  const auto address = Address::parse("2001:db8::0:1", 65535);
  ASSERT_TRUE(address);
  EXPECT_EQ(address->family(), AF_INET6);
  EXPECT_EQ(address->host(), "2001:db8::1");
  EXPECT_EQ(address->to_string(), "[2001:db8::1]:65535");
}

TEST(Address, CN07KeepsIPv6ScopeIds) {
  const auto named = Address::parse("fe80::1%lo", 1);
  ASSERT_TRUE(named);
  EXPECT_EQ(named->host(), "fe80::1%lo");
  const auto numbered = Address::parse("fe80::1%987654", 1);
  ASSERT_TRUE(numbered);
  EXPECT_EQ(numbered->host(), "fe80::1%987654");
  EXPECT_FALSE(Address::parse("fe80::1%no-such-interface", 1));
}

TEST(Address, ParsesHostAndPort) {
  EXPECT_EQ(Address::parse("10.0.0.1:8080"), Address::parse("10.0.0.1", 8080));
  EXPECT_EQ(Address::parse("[::1]:8080"), Address::parse("::1", 8080));
}

TEST(Address, RefusesWhatIsNotNumeric) {
  for (const char* text : {"", "localhost", "1.2.3", "1.2.3.4.5", "::1::", "999.1.1.1"}) {
    EXPECT_FALSE(Address::parse(text, 1)) << text;
  }
  EXPECT_FALSE(Address::parse(std::string(1000, '1'), 1));
  for (const char* text : {"1.2.3.4", "1.2.3.4:", "1.2.3.4:65536", "1.2.3.4:-1", "::1:80", ":80"}) {
    EXPECT_FALSE(Address::parse(text)) << text;
  }
}

TEST(Address, AnEmptyOneIsOfNothing) {
  const Address none;
  EXPECT_TRUE(none.empty());
  EXPECT_EQ(none.family(), AF_UNSPEC);
  EXPECT_EQ(none.host(), "");
  EXPECT_EQ(none.port(), 0);
  EXPECT_EQ(none.to_string(), "");
  EXPECT_EQ(none, Address());
}

TEST(Address, ComparesByContent) {
  EXPECT_EQ(*Address::parse("1.2.3.4", 5), *Address::parse("1.2.3.4", 5));
  EXPECT_NE(*Address::parse("1.2.3.4", 5), *Address::parse("1.2.3.4", 6));
  EXPECT_NE(*Address::parse("::", 0), *Address::parse("0.0.0.0", 0));
}

TEST(Address, WithPortChangesOnlyThePort) {
  EXPECT_EQ(Address::parse("1.2.3.4", 5)->with_port(6), Address::parse("1.2.3.4", 6));
  EXPECT_EQ(Address::parse("::1", 5)->with_port(6), Address::parse("::1", 6));
}

TEST(Address, OfOtherFamiliesOnlyTheFamilyIsKept) {
  sockaddr_storage storage{};
  storage.ss_family = AF_UNIX;
  const Address address(reinterpret_cast<const sockaddr*>(&storage), sizeof storage);
  EXPECT_EQ(address.family(), AF_UNIX);
  EXPECT_EQ(address.port(), 0);
}

TEST(Address, EmptyHostMeansEverywhereOrThisMachine) {
  const auto listen = numeric_addresses("", 7, AddressUse::listen);
  ASSERT_EQ(listen.size(), 2u);
  EXPECT_EQ(listen[0].to_string(), "0.0.0.0:7");
  EXPECT_EQ(listen[1].to_string(), "[::]:7");
  EXPECT_EQ(numeric_addresses("", 7, AddressUse::connect)[0].to_string(), "127.0.0.1:7");
}

TEST(Address, LocalhostIsBothFamilies) {
  const auto addresses = numeric_addresses("localhost", 7, AddressUse::connect);
  ASSERT_EQ(addresses.size(), 2u);
  EXPECT_EQ(addresses[0].to_string(), "127.0.0.1:7");
  EXPECT_EQ(addresses[1].to_string(), "[::1]:7");
}

TEST(Address, ANameSaysThatItNeedsAResolver) {
  try {
    numeric_addresses("example.org", 80, AddressUse::connect);
    FAIL();
  } catch (const OSError& error) {
    EXPECT_NE(std::string(error.what()).find("\"example.org\" is a name"), std::string::npos);
  }
}

}  // namespace
}  // namespace rota
