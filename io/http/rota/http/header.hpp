/// header.hpp: http::Header, one header line of a request.
#pragma once

#include <string_view>

namespace rota::http {

/// A header line. Both views point into the bytes that were received.
struct Header {
  std::string_view name;   ///< As it was sent; to be compared without regard to case.
  std::string_view value;  ///< Without the blanks around it. May hold bytes from 0x80 on.
};

}  // namespace rota::http
