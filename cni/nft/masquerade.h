#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "api/cni/address.h"
#include "api/cni/config.h"

// ipMasq: traffic of a container that leaves its own network gets the host's address. One rule an address, in the table, the
// chains and the form that the reference plugins' nftables backend uses; see label.h for how rules find their owner.
namespace wherry::nft {

// Replaces the attachment's rules by one for each of `addresses`, setting the table up where that is missing.
absl::Status AddMasquerade(const std::string& network, const cni::Attachment& attachment,
                           const std::vector<cni::IpPrefix>& addresses);
// OK when there is none.
absl::Status DeleteMasquerade(const std::string& network, const cni::Attachment& attachment);
// NotFound unless the attachment has `count` rules.
absl::Status CheckMasquerade(const std::string& network, const cni::Attachment& attachment, size_t count);
// Deletes the rules of this network that belong to none of `valid`.
absl::Status CollectMasquerade(const std::string& network, const std::vector<cni::Attachment>& valid);

}  // namespace wherry::nft
