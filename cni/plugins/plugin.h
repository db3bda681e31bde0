#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/cni/result.h"
#include "cni/plugins/call.h"

// What a plugin is: one function a command of the CNI specification. VERSION is the same for all and is not here.
namespace wherry::plugins {

struct Plugin {
  const char* name;
  absl::StatusOr<cni::Result> (*add)(const Call& call);
  absl::Status (*del)(const Call& call);
  absl::Status (*check)(const Call& call);
  absl::Status (*status)(const Call& call);
  absl::Status (*gc)(const Call& call);
  // Whether the plugin can make sense of its configuration; touches nothing. STATUS begins with it.
  absl::Status (*read)(const Call& call);
};

extern const Plugin kBandwidth, kBridge, kFirewall, kHostLocal, kLoopback, kPortmap, kPtp, kStatic, kTuning;

}  // namespace wherry::plugins
