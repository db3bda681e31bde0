#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "absl/status/statusor.h"
#include "api/cni/config.h"
#include "api/cni/result.h"
#include "cni/plugins/call.h"

// ipMasq of the main plugins, by either back end.
namespace wherry::plugins {

enum class MasqueradeBackend { kNftables, kIptables };

// ipMasqBackend. Without a name it is nftables, which is not the reference's default: iptables is a program that each ADD would
// run several times. UnsupportedField (2) for another name; DEL takes that for nftables, so that what ADD refused can be cleaned up.
absl::StatusOr<MasqueradeBackend> ReadMasqueradeBackend(const Call& call);

absl::Status AddMasquerade(MasqueradeBackend backend, const Call& call, const cni::Result& result);
absl::Status DeleteMasquerade(MasqueradeBackend backend, const Call& call);
absl::Status CheckMasquerade(MasqueradeBackend backend, const Call& call, const cni::Result& result);
absl::Status CollectMasquerade(MasqueradeBackend backend, const Call& call, const std::vector<cni::Attachment>& valid);

}  // namespace wherry::plugins
