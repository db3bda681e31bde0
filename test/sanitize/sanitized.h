#pragma once

// Whether AddressSanitizer or ThreadSanitizer is built in: then a process' memory grows by their notes, for long.
namespace wherry::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace wherry::test
