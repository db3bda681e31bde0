#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "cni/iptables/forward.h"
#include "cni/plugins/call.h"

namespace wherry::plugins {

// The firewall plugin's part of a network configuration.
struct FirewallConfig {
  bool by_program = false;  // backend "iptables": the program writes the rules
  std::string admin_chain = "CNI-ADMIN";
  iptables::IngressPolicy policy = iptables::IngressPolicy::kOpen;
};

// InvalidConfig (7) for what is wrong; UnsupportedField (2) for firewalld, which is asked over D-Bus and keeps the rules itself. DEL
// takes that, so that what ADD refused can be cleaned up.
absl::StatusOr<FirewallConfig> ReadFirewallConfig(const Call& call);

}  // namespace wherry::plugins
