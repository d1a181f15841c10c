/// head_rules.hpp: what the header lines of a request mean together: framing, Host, persistence.
///
/// Every rule of RFC 9112 about the end of a message is applied here in its strictest reading, with
/// nothing taken on trust from llhttp: RequestParser compares the two answers afterwards.
#pragma once

#include "request_head.hpp"

namespace rota::http::detail {

/// Sets what follows from the header lines: framing, content_length, keep_alive, expects_continue,
/// upgrade. Needs method, minor_version and headers.
Refusal apply_head_rules(RequestHead& head) noexcept;

/// Whether a trailer of this name could change where the message ends or whom it is for.
bool is_forbidden_trailer(std::string_view name) noexcept;

}  // namespace rota::http::detail
