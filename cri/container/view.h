#pragma once

#include <string>

#include "cri/container/core.h"
#include "cri/store/records.pb.h"

// Records as CRI shows them. No system call, no lock but the stores' own.
namespace wherry::container {

// The state shown for a record's state; CREATING ones are not shown at all.
::runtime::v1::ContainerState StateOf(const store::ContainerRecord& record);

::runtime::v1::ContainerStatus StatusOf(const Core& core, const store::ContainerRecord& record);
::runtime::v1::Container ListItem(const store::ContainerRecord& record);

// What crictl inspect and agents look for: {"info": a JSON object}.
std::string VerboseInfo(const store::ContainerRecord& record);

// True when all of `selector` are among `labels`.
bool LabelsMatch(const google::protobuf::Map<std::string, std::string>& selector,
                 const google::protobuf::Map<std::string, std::string>& labels);

absl::StatusOr<::runtime::v1::ContainerStatusResponse> Status(const Core& core, const std::string& id, bool verbose);
std::vector<::runtime::v1::Container> List(const Core& core, const ::runtime::v1::ContainerFilter& filter);
std::vector<::runtime::v1::ContainerStatus> StatusesOf(const Core& core, const std::string& pod_id);

}  // namespace wherry::container
