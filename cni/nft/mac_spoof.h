#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "api/cni/config.h"

// macspoofchk: a container sends frames from its own hardware address only. Table, chains and comments are the reference plugins', so
// that either deletes the other's rules: in `bridge nat`, PREROUTING leads what comes from a container's port to a chain of its own
// (cni-br-iface-…), and that to another (…-mac), which returns what has the address and drops the rest.
namespace wherry::nft {

// Replaces what there is for the attachment. The rules tell their network where the reference does not look. `port` is the host's end of the veth pair; `mac` has six bytes.
absl::Status AddMacSpoofCheck(const std::string& network, const cni::Attachment& attachment, const std::string& port,
                              const void* mac);
// OK when there is none.
absl::Status DeleteMacSpoofCheck(const cni::Attachment& attachment);
// NotFound unless all rules are there.
absl::Status CheckMacSpoofCheck(const cni::Attachment& attachment);
// Deletes those of this network that belong to none of `valid`, and were made by us.
absl::Status CollectMacSpoofChecks(const std::string& network, const std::vector<cni::Attachment>& valid);

}  // namespace wherry::nft
