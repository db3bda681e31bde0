#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "runtime/cgroup/cgroup.h"

// What can be said of limits without touching a cgroup: what is absurd, and how v1 units become v2 ones.
namespace wherry::cgroup {

// InvalidArgument "FIELD VALUE: REASON" for values that no kernel takes or that contradict each other. Zero means
// "leave" (KUBELET 51) for shares, period, memory and pids; for the quota it means "none" (KUBELET 22).
absl::Status CheckResources(const Resources& resources);

// cpu.weight (1..10000) of cpu.shares (2..262144): 10^((log2(shares)^2 + 125·log2(shares))/612 − 7/34), rounded up. It
// maps 2, 1024 and 262144 to 1, 100 and 10000: both ends and both defaults. Runtimes and the kubelet agreed on it
// in 2025 (kubernetes#131216, opencontainers/cgroups#20, crun#1767); the older linear one gave the default a weight of 39.
uint64_t CpuWeight(uint64_t shares);

// io.weight (1..10000) of a v1 weight (10..1000), linear.
uint64_t IoWeight(uint16_t weight);

// "max" for -1, else the number.
std::string MaxText(int64_t limit);

// memory.swap.max, which counts swap alone, of v1's limit on memory plus swap. InvalidArgument when there is no memory limit to
// subtract, or when it is larger.
absl::StatusOr<std::string> SwapMax(int64_t memory_swap_limit, int64_t memory_limit);

// The numbers of a kernel list "0-3,8" (cpuset(7)), sorted. InvalidArgument when it is malformed or has more than 65,536.
absl::StatusOr<std::vector<int>> ParseList(absl::string_view text);

// True when all of `part` is in `whole`, both sorted.
bool Includes(const std::vector<int>& whole, const std::vector<int>& part);

// "FIELD VALUE: REASON" as InvalidArgument.
absl::Status Refuse(absl::string_view field, absl::string_view value, absl::string_view reason);

}  // namespace wherry::cgroup
