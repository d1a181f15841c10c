/// sanitizer.hpp: tells ThreadSanitizer about the hand-over that it cannot see, the one through the
/// kernel.
///
/// The kernel reads an SQE and writes a CQE without any instrumentation. Whatever was written
/// before the SQE was published happens before whatever is done at its CQE; these two calls say so,
/// and are nothing in other builds.
#pragma once

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ROTA_THREAD_SANITIZER 1
#endif
#elif defined(__SANITIZE_THREAD__)
#define ROTA_THREAD_SANITIZER 1
#endif

#ifdef ROTA_THREAD_SANITIZER
extern "C" void __tsan_acquire(void* address);
extern "C" void __tsan_release(void* address);
#endif

namespace rota::detail {

#ifdef ROTA_THREAD_SANITIZER
inline constexpr bool thread_sanitizer = true;
inline void annotate_given_to_kernel(void* object) noexcept { __tsan_release(object); }
inline void annotate_back_from_kernel(void* object) noexcept { __tsan_acquire(object); }
#else
inline constexpr bool thread_sanitizer = false;
inline void annotate_given_to_kernel(void* /*object*/) noexcept {}
inline void annotate_back_from_kernel(void* /*object*/) noexcept {}
#endif

}  // namespace rota::detail
