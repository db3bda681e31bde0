#pragma once

#include <string>

#include "api/oci/digest.h"

namespace wherry::image {

// The directory name of a layer: 32 of its diffID's 64 digits. Mount options of kernels before 6.8 have room for a page of
// lowerdirs, so each character counts; 128 bits still leave no way to make two layers of one name.
inline std::string LayerDirName(absl::string_view diff_id) {
  return std::string(oci::DigestHex(diff_id).substr(0, 32));
}

}  // namespace wherry::image
