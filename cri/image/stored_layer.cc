#include "cri/image/stored_layer.h"

#include <fcntl.h>

#include "cri/image/store_dirs.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::image {

absl::StatusOr<OpenedLayer> OpenLayer(int store, const pb::StoredLayer& layer) {
  if (layer.index_digest().empty())
    return absl::FailedPreconditionError("was unpacked by a version that kept no index of it: pull the image again");
  OpenedLayer opened;
  ASSIGN_OR_RETURN(sys::UniqueFd layers, sys::OpenAt(store, kLayersDir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  ASSIGN_OR_RETURN(opened.tree, sys::OpenAt(layers.get(), layer.directory(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  ASSIGN_OR_RETURN(sys::UniqueFd indexes, sys::OpenAt(store, kIndexesDir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  ASSIGN_OR_RETURN(sys::UniqueFd file, sys::OpenAt(indexes.get(), layer.directory(), O_RDONLY | O_NOFOLLOW));
  ASSIGN_OR_RETURN(opened.index, IndexReader::Open(std::move(file), layer.index_digest()));
  return opened;
}

}  // namespace wherry::image
