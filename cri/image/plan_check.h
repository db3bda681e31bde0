#pragma once

#include <string>

#include "absl/status/status.h"
#include "cri/image/records.pb.h"
#include "cri/image/reference.h"
#include "cri/image/store.h"

namespace wherry::image {

// InvalidArgument or Internal unless all digests, names and media types of `plan` are what they should be.
absl::Status CheckPlan(const pb::PullMessage::Plan& plan);

// Gives the plan's only image `options`' names in place of its own, if there are any, and marks what is to be pinned.
absl::Status NameWith(const ImageStore::ImportOptions& options, pb::PullMessage::Plan& plan);

// A pulled image is called what was asked for, whatever mirror served it; by tag, or by digest if there was one.
absl::Status NameAs(const Reference& reference, pb::PullMessage::Plan& plan);

// Appends `item` if it is not there.
void AddUnique(google::protobuf::RepeatedPtrField<std::string>* list, const std::string& item);

}  // namespace wherry::image
