#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "api/cni/config.h"
#include "cri/network/network.h"

namespace wherry::network {

// Capability → value as JSON. What runtimes tell plugins beyond the configuration (CNI's CONVENTIONS.md).
using Capabilities = std::map<std::string, std::string>;

// Those that some plugin of the chain declares: portMappings, bandwidth, dns, cgroupPath, aliases (the pod's name), ipRanges (the node's
// pod CIDRs), ips and mac (annotations wherry.run/ips, a list with commas, and wherry.run/mac) and, as containerd and CRI-O name
// them, io.kubernetes.cri.pod-annotations. InvalidArgument for a bandwidth annotation that is no quantity of 1k to 1P, or for what
// is no address. A pod may choose its addresses only where the administrator's plugin declares that it takes them.
absl::StatusOr<Capabilities> CapabilitiesOf(const PodNetwork& pod, const cni::ConfigList& list);

// A Kubernetes quantity ("1500", "10M", "1.5Gi", "2e6"), rounded up.
absl::StatusOr<uint64_t> ParseQuantity(const std::string& text);

}  // namespace wherry::network
