#include "cri/container/ids.h"

#include <sys/random.h>

#include <algorithm>
#include <cstdlib>

#include "absl/strings/escaping.h"

namespace wherry::container {

std::string NewId() {
  char bytes[32];
  // Up to 256 bytes are never cut short nor interrupted once the pool is seeded (getrandom(2)).
  if (::getrandom(bytes, sizeof bytes, 0) != sizeof bytes) std::abort();
  return absl::BytesToHexString(absl::string_view(bytes, sizeof bytes));
}

bool IsId(absl::string_view text) {
  return text.size() == 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

}  // namespace wherry::container
