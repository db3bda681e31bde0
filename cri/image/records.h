#pragma once

#include "api/oci/image.h"
#include "cri/image/records.pb.h"

namespace wherry::image {

void ToProto(const oci::ImageConfig& from, pb::ImageConfig* to);
oci::ImageConfig FromProto(const pb::ImageConfig& from);

}  // namespace wherry::image
