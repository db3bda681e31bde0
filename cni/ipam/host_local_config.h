#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "api/cni/address.h"
#include "api/cni/result.h"
#include "cni/ipam/arguments.h"
#include "cni/ipam/range.h"

// What host-local reads from a network configuration: the "ipam" object in both its forms (a single range inline, or
// "ranges"), and the addresses and ranges that a runtime may add for one container.
namespace wherry::ipam {

struct HostLocalConfig {
  std::string directory;  // dataDir / network name
  std::vector<RangeSet> ranges;
  std::vector<cni::Route> routes;
  std::string resolv_conf;                // path, or empty
  std::vector<cni::IpAddress> requested;  // from CNI_ARGS, args.cni.ips and runtimeConfig.ips
};

inline constexpr char kDefaultDataDir[] = "/var/lib/cni/networks";

// `document` is the whole configuration with a valid "name"; of `arguments` only the addresses count. InvalidConfig (7) with
// the path of what is wrong.
absl::StatusOr<HostLocalConfig> ReadHostLocalConfig(const nlohmann::json& document, const Arguments& arguments);

}  // namespace wherry::ipam
