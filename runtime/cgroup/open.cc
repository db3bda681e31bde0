// Which implementation a host gets.

#include "runtime/cgroup/cgroup.h"
#include "runtime/cgroup/layout.h"
#include "runtime/cgroup/v1.h"
#include "runtime/cgroup/v2.h"
#include "runtime/sys/status.h"

namespace wherry::cgroup {

absl::StatusOr<std::unique_ptr<Hold>> Cgroups::CreateLeaf(const std::string& path, const Resources& resources) {
  RETURN_IF_ERROR(Create(path));
  RETURN_IF_ERROR(Apply(path, resources));
  return nullptr;
}

absl::StatusOr<std::unique_ptr<Cgroups>> OpenCgroupfs(const std::string& root) {
  ASSIGN_OR_RETURN_CTX(Layout layout, DetectLayout(root), "cgroups");
  if (layout.v1.empty()) return MakeV2(layout.unified);
  return MakeV1(std::move(layout));
}

}  // namespace wherry::cgroup
