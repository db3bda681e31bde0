// "auto" is systemd where systemd owns the tree: kubelet and runtime have to agree, and a node with systemd is set up for it.
#include "cri/server/cgroup_driver.h"

#include <sys/stat.h>

#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "runtime/cgroup/systemd.h"
#include "runtime/cgroup/unit.h"
#include "runtime/sys/status.h"

namespace wherry::server {
namespace {

// With systemd the configured parent names a slice: "/wherry" and "wherry.slice" are both wherry.slice.
absl::Status NameParent(config::Config& config) {
  if (config.cgroup_driver != config::CgroupDriver::kSystemd) return absl::OkStatus();
  std::string parent = config.cgroup_parent;
  if (!cgroup::IsSlice(parent)) {
    parent = absl::StrReplaceAll(absl::StripPrefix(parent, "/"), {{"/", "-"}});
    parent += ".slice";
  }
  ASSIGN_OR_RETURN_CTX(config.cgroup_parent, cgroup::SlicePath(parent), "cgroup_parent");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<config::Config> ChooseCgroupDriver(config::Config config) {
  using config::CgroupDriver;
  if (config.cgroup_driver == CgroupDriver::kCgroupfs) return config;
  ASSIGN_OR_RETURN_CTX(auto host, cgroup::OpenCgroupfs(), "cgroups");
  const bool unified = host->layout() == "v2";
  if (config.cgroup_driver == CgroupDriver::kSystemd && !unified)
    return absl::FailedPreconditionError(
        absl::StrCat("cgroup_driver \"systemd\" needs cgroup v2; this host has the layout ", host->layout()));
  const bool systemd = unified && cgroup::IsBootedWithSystemd();
  if (config.cgroup_driver == CgroupDriver::kSystemd && !systemd)
    return absl::FailedPreconditionError("cgroup_driver \"systemd\": this host was not booted with systemd");
  config.cgroup_driver = systemd ? CgroupDriver::kSystemd : CgroupDriver::kCgroupfs;
  RETURN_IF_ERROR(NameParent(config));
  return config;
}

// A directory. One hierarchy is enough: what matters is that a pod's memory limit and the kubelet's kill do not reach its shim. Under
// systemd it is a part of wherryd's own service, if that is delegated (as manifests/wherryd.service has it), since systemd keeps its
// hands off that; a cgroup of its own otherwise.
absl::StatusOr<std::string> ShimsCgroup(const config::Config& config, cgroup::Cgroups& cgroups) {
  if (config.cgroup_driver == config::CgroupDriver::kSystemd) {
    if (auto own = cgroup::DelegatedCgroup(cgroups); own.ok()) {
      ASSIGN_OR_RETURN(cgroup::Membership members, cgroups.Members(*own + "/shims"));
      // No controllers: wherryd itself is in the cgroup above.
      if (::mkdir(members.unified_dir.c_str(), 0755) != 0 && errno != EEXIST)
        return sys::Errno(absl::StrCat("mkdir \"", members.unified_dir, "\""));
      return members.unified_dir;
    }
  }
  const std::string path = cgroup::IsSlice(config.cgroup_parent) ? "/wherry-shims" : config.cgroup_parent + "/shims";
  RETURN_IF_ERROR(cgroups.Create(path));
  ASSIGN_OR_RETURN(cgroup::Membership members, cgroups.Members(path));
  return members.memory_dir.empty() ? members.unified_dir : members.memory_dir;
}

}  // namespace wherry::server
