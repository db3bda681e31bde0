#pragma once

#include "absl/status/status.h"
#include "cri/container/paths.h"
#include "cri/store/records.pb.h"

namespace wherry::container {

// The pod's /etc/hosts, made when the first container needs it: the kubelet mounts its own, other clients do not. Pods with
// the host's network get a copy of the host's file. No-op when the request mounts /etc/hosts.
absl::Status EnsureHosts(const Paths& paths, const store::PodRecord& pod, const store::ContainerRecord& container);

}  // namespace wherry::container
