#include <rota/clock.hpp>
#include <rota/error.hpp>

namespace rota::detail {

void reject_nan() { throw ValueError("Invalid delay: NaN (not a number)"); }

}  // namespace rota::detail
