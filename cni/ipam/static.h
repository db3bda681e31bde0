#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/cni/result.h"
#include "cni/ipam/arguments.h"

// static: the addresses that the configuration, CNI_ARGS or the runtime name, whoever else may have them. Nothing is kept,
// so there is nothing to give back; an address used twice is the administrator's mistake, which no lease could tell from one
// used again.
namespace wherry::ipam {

// The addresses, with their gateways, routes and DNS settings, as a result without interfaces; possibly with no address.
// `document` is the whole configuration. runtimeConfig.ips replace args.cni.ips, and these all other addresses, as in the reference
// plugin; a gateway of CNI_ARGS goes to the addresses there in whose network it is. InvalidConfig (7) with the path of what is wrong.
absl::StatusOr<cni::Result> ReadStatic(const nlohmann::json& document, const Arguments& arguments);

// Every address of `wanted` must be in `present`, with the same gateway where one was said.
absl::Status CheckStatic(const cni::Result& wanted, const cni::Result& present);

}  // namespace wherry::ipam
