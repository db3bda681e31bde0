#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "api/cni/address.h"
#include "api/cni/config.h"

// ipMasq with ipMasqBackend "iptables": the reference plugins' chains and rules, so that either deletes the other's. A chain of the
// container's own in the table "nat" lets through what stays in its network and masquerades the rest; POSTROUTING
// leads there what comes from the container's address.
namespace wherry::iptables {

absl::Status AddMasquerade(const std::string& network, const cni::Attachment& attachment,
                           const std::vector<cni::IpPrefix>& addresses);
// Finds the rules by the container's chain, whatever its addresses were. OK when there is none, or no iptables.
absl::Status DeleteMasquerade(const std::string& network, const cni::Attachment& attachment);
// NotFound unless all rules for `addresses` are there.
absl::Status CheckMasquerade(const std::string& network, const cni::Attachment& attachment,
                             const std::vector<cni::IpPrefix>& addresses);
// Deletes the rules of this network whose container is none of `valid`. The rules name no interface.
absl::Status CollectMasquerade(const std::string& network, const std::vector<cni::Attachment>& valid);

}  // namespace wherry::iptables
