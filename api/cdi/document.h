#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace wherry::cdi {

// A YAML document as the JSON value that it stands for: plain scalars are null, true, false, integers or, like quoted ones,
// strings. InvalidArgument for malformed text, nesting beyond 64 levels, more than 200,000 values once aliases are followed, and
// keys that are no strings or come twice.
absl::StatusOr<nlohmann::json> ParseYamlDocument(absl::string_view text, size_t max_bytes);

}  // namespace wherry::cdi
