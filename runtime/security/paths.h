#pragma once

#include <string>
#include <vector>

// What a container may not see (masked) or change (read-only) of the kernel's own file systems, when the request does not
// say. Paths that do not exist in a container are no error.
namespace wherry::security {

// The usual list and the power meters (RAPL reads let one guess another's secrets), and the thermal_throttle directory of
// each CPU of this host, which counts what other tenants do.
std::vector<std::string> DefaultMaskedPaths();

std::vector<std::string> DefaultReadonlyPaths();

}  // namespace wherry::security
