#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace wherry::network {

// Kills plugins (and children of theirs) that an earlier wherryd started for one of these containers: they would interfere
// with ours. Those that do not die at once are named in the error.
absl::Status KillStrays(const std::vector<std::string>& container_ids);

}  // namespace wherry::network
