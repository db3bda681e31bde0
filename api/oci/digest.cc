#include "api/oci/digest.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace wherry::oci {

absl::Status CheckDigest(absl::string_view text) {
  auto lower_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (text.size() == 71 && absl::StartsWith(text, "sha256:") && std::all_of(text.begin() + 7, text.end(), lower_hex))
    return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("\"", absl::CHexEscape(text.substr(0, 100)),
                                                 "\" is no digest: sha256: and 64 lower-case hex digits"));
}

}  // namespace wherry::oci
