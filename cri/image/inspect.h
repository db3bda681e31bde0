#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cri/image/records.pb.h"
#include "cri/image/store.h"
#include "cri/image/store_dirs.h"

// wherryd's side of the wherry-pull processes that read layers: none of the layers' bytes is looked at here.
namespace wherry::image {

pb::StoredLayer StoredLayerOf(const pb::LayerRecord& record);

// Layer by layer in the order of `request`.
absl::StatusOr<std::vector<LayerFindings>> AskForCheck(const std::string& program, const StoreDirs& dirs,
                                                       const pb::CheckRequest& request);

// The archive's bytes go to `sink`.
absl::Status AskForExport(const std::string& program, const StoreDirs& dirs, const pb::ExportRequest& request,
                          const ImageStore::Sink& sink);

}  // namespace wherry::image
