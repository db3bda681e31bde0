#include "cri/image/pinned_names.h"

#include <fnmatch.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/oci/digest.h"
#include "cri/image/reference.h"
#include "runtime/sys/status.h"

namespace wherry::image {

absl::StatusOr<PinnedNames> PinnedNames::Parse(const std::vector<std::string>& patterns) {
  PinnedNames out;
  for (const std::string& pattern : patterns) {
    const std::string context = absl::StrCat("pinned image \"", pattern, "\"");
    if (pattern.find_first_of("*?[") != std::string::npos) {
      out.patterns_.push_back(pattern);
    } else if (absl::StartsWith(pattern, "sha256:")) {
      RETURN_IF_ERROR_CTX(oci::CheckDigest(pattern), context);
      out.patterns_.push_back(pattern);
    } else {
      ASSIGN_OR_RETURN_CTX(Reference ref, ParseReference(pattern), context);
      out.patterns_.push_back(ref.digest.empty() ? ref.Tagged() : ref.Digested());
    }
  }
  return out;
}

bool PinnedNames::Match(const std::string& name) const {
  return std::any_of(patterns_.begin(), patterns_.end(),
                     [&](const std::string& pattern) { return ::fnmatch(pattern.c_str(), name.c_str(), 0) == 0; });
}

}  // namespace wherry::image
