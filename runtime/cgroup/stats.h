#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime/cgroup/cgroup.h"

// Reading of the kernel's counters.
namespace wherry::cgroup {

// The number behind `key` in a flat keyed file ("key value" lines); unset when it is not there.
std::optional<uint64_t> KeyedNumber(absl::string_view text, absl::string_view key);

// The number in a file; unset when the file is missing or says "max".
std::optional<uint64_t> ReadNumber(const std::string& dir, const char* file);

// Memory in use that the kernel cannot take back easily: usage less the inactive file pages, as the kubelet counts it.
uint64_t WorkingSet(uint64_t usage, uint64_t inactive_file);

// The counters of a v2 cgroup; what a missing controller would count is 0 or unset.
absl::StatusOr<Stats> ReadV2Stats(const std::string& dir);
CpuDetail ReadV2Cpu(const std::string& dir);

}  // namespace wherry::cgroup
