#pragma once

#include <linux/bpf.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/cgroup/cgroup.h"

namespace wherry::cgroup {

// InvalidArgument for a rule with an unknown type, an access letter other than r, w, m, or a number below -1.
absl::Status CheckDeviceRules(const std::vector<DeviceRule>& rules);

// The eBPF program of an allow list: returns 1 for an access that one rule allows whole, else 0.
std::vector<bpf_insn> DeviceProgram(const std::vector<DeviceRule>& rules);

// Attaches the program to the v2 cgroup `dir`, in place of one that an earlier call attached (in one step where the kernel
// has BPF_F_REPLACE, 5.6). Needs CAP_BPF or CAP_SYS_ADMIN, and CAP_NET_ADMIN.
absl::Status AttachDeviceProgram(const std::string& dir, const std::vector<bpf_insn>& program);

}  // namespace wherry::cgroup
