#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// The label of image layers. All containers that run from an image read its files through an overlay that has the container's label; but
// kernels look at a file's own label too where a program that is mapped changes its memory's protection. So the layers need one that every
// container may read. What is made in a directory later has the label from there.
namespace wherry::selinux {

// As the node's policy has it ("ro_file" where "process" and "file" are); FailedPrecondition as DefaultLabels.
absl::StatusOr<std::string> LayerLabel(const std::string& root = "");

// Gives it to all in the directories "layers" and "staging" of an image store, unless they themselves have it already.
absl::Status LabelLayers(const std::string& store, const std::string& label);

}  // namespace wherry::selinux
