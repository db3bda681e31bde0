#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

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
Detail ReadV2Detail(const std::string& dir);

// The number in pids.max of either version, 0 for "max"; unset when the file is missing.
std::optional<uint64_t> ReadPidsLimit(const std::string& dir);

// The huge pages of the cgroup `dir` of either version, by size.
std::vector<HugetlbUse> ReadHugetlb(const std::string& dir);

// v2's io.stat: lines of "MAJOR:MINOR rbytes=N wbytes=N rios=N wios=N …".
std::vector<IoCounters> ParseIoStat(absl::string_view text);

// v1's two files: lines of "MAJOR:MINOR Read N" and "… Write N" in bytes and in operations.
std::vector<IoCounters> ParseBlkio(absl::string_view bytes, absl::string_view operations);

}  // namespace wherry::cgroup
