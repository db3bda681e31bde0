#pragma once

#include "cri/store/records.pb.h"

namespace wherry::pod {

// A sandbox as CRI shows it, from its record alone.
::runtime::v1::PodSandboxStatus StatusOf(const store::PodRecord& pod);

}  // namespace wherry::pod
