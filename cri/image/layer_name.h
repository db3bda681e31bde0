#pragma once

#include <string>

#include "absl/strings/str_cat.h"
#include "api/oci/digest.h"

namespace wherry::image {

// The directory name of a layer: 32 of its diffID's 64 digits. Mount options of kernels before 6.8 have room for a page of
// lowerdirs, so each character counts; 128 bits still leave no way to make two layers of one name.
// `generation`: the layer's directory after the first one was found damaged, and so on.
inline std::string LayerDirName(absl::string_view diff_id, uint32_t generation = 0) {
  const absl::string_view hex = oci::DigestHex(diff_id).substr(0, 32);
  return generation == 0 ? std::string(hex) : absl::StrCat(hex, ".", generation);
}

// In a staging directory the layer's index lies beside it, under its name and this.
inline constexpr char kIndexSuffix[] = ".index";

}  // namespace wherry::image
