/// request_head.hpp: what the head of an HTTP/1 request says, and why one was refused.
#pragma once

#include <rota/http/header.hpp>

#include <cstdint>
#include <string_view>
#include <vector>

namespace rota::http::detail {

/// How the end of the body is found.
enum class Framing : std::uint8_t { none, length, chunked };

/// One request without its body. Its views are good as long as the bytes that were parsed.
struct RequestHead {
  std::string_view method;  ///< Any token: who routes answers those that he does not know.
  /// Visible ASCII: "/...", "http://..." or "https://...", "*" of OPTIONS, "host:port" of CONNECT.
  std::string_view target;
  int minor_version = 1;          ///< Of HTTP/1: 0 or 1.
  std::vector<Header> headers;    ///< As the lines came. Its memory serves the next request too.
  bool keep_alive = false;        ///< The connection may be used for another request after it.
  bool expects_continue = false;  ///< The client waits for a 100 before it sends the body.
  bool upgrade = false;           ///< Another protocol is asked for, by Upgrade or by CONNECT.
  Framing framing = Framing::none;
  std::uint64_t content_length = 0;  ///< With Framing::length, and then not 0.
};

/// Why something is not served: what to answer before the connection is closed. False if it is.
struct Refusal {
  int status = 0;
  const char* reason = "";  ///< Of static storage; holds nothing of what was sent.

  explicit operator bool() const noexcept { return status != 0; }
};

}  // namespace rota::http::detail
