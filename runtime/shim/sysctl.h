#pragma once

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// A pod's sysctls: which may be set, and how they are written.
namespace wherry::shim {

// Which namespaces the pod has of its own; the others are the host's.
struct OwnNamespaces {
  bool net = false;
  bool ipc = false;
  bool uts = false;
};

// Turns "net.ipv4.ip_forward" or "net/ipv4/ip_forward" into the path below /proc/sys, and checks name and value.
// InvalidArgument for anything but a parameter of a namespace that the pod owns (GHSA-w2j5-3rcx-vx7x: CVE-2022-0532) and
// a printable value (CVE-2022-0811). As in sysctl(8) the first separator decides: after a dot, a slash within the name
// stands for a dot ("net.ipv4.conf.eth0/1.rp_filter").
absl::StatusOr<std::string> SysctlPath(absl::string_view name, absl::string_view value, const OwnNamespaces& own);

using SysctlValues = std::map<std::string, std::string>;  // by path below /proc/sys

// Writes values through `procfs` (OpenProcfs) into the caller's namespaces.
absl::Status WriteSysctls(int procfs, const SysctlValues& values);

// Moves those of the UTS namespace out of `values`: only the host's root may write them, also where the namespace belongs to a
// user namespace. For all others that is the namespace's own root.
SysctlValues TakeUtsSysctls(SysctlValues& values);

}  // namespace wherry::shim
