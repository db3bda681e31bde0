#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/cdi/spec.h"
#include "api/shim/v1/shim.pb.h"
#include "cri/container/host_files.h"
#include "cri/store/records.pb.h"

// Devices by CDI name, from a request to the container's specification.
namespace wherry::container {

// The names in a request: those of the field CDI_devices, then those of the annotations "cdi.k8s.io/…" (device plugins' older
// way; a list with commas), each once. InvalidArgument for what is no device name.
absl::StatusOr<std::vector<std::string>> CdiNames(const ::runtime::v1::ContainerConfig& config);

// What the specifications in `directories` want done for the devices, in order; a specification's own edits once, before those
// of its first device. Later directories win over earlier ones. NotFound names a device that none has, with what was wrong
// with files on the way; FailedPrecondition one that two files of one directory have.
absl::StatusOr<cdi::Edits> ResolveCdi(const std::vector<std::string>& directories,
                                      const std::vector<std::string>& names);

// Changes a finished specification, and adds what the devices may be used for to `record`. Unimplemented for what wherry does
// not do: some hooks (hooks.h), RDT classes, network interfaces. `wanted` as for LookAtHost().
absl::Status ApplyCdi(const cdi::Edits& edits, Looks& looks, Wanted wanted, store::ContainerRecord& record,
                      shim::v1::StartContainerRequest& spec);

}  // namespace wherry::container
