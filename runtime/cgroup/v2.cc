// One tree, all controllers: the layout of production nodes. Each verb is a few lines here, because the kernel does the
// work; what has an idea of its own is in a file of its own: controllers.cc, v2_limits.cc, settings.cc, device_filter.cc,
// kill.cc, tree.cc, stats.cc.

#include "runtime/cgroup/v2.h"

#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/cgroup/controllers.h"
#include "runtime/cgroup/device_filter.h"
#include "runtime/cgroup/kill.h"
#include "runtime/cgroup/limits.h"
#include "runtime/cgroup/pressure.h"
#include "runtime/cgroup/settings.h"
#include "runtime/cgroup/stats.h"
#include "runtime/cgroup/tree.h"
#include "runtime/cgroup/v2_limits.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/status.h"

namespace wherry::cgroup {
namespace {

class V2 : public Cgroups {
 public:
  explicit V2(std::string mount) : mount_(std::move(mount)) {}

  std::string layout() const override { return "v2"; }

  absl::Status Create(const std::string& path) override {
    RETURN_IF_ERROR(CheckPath(path));
    std::vector<std::string> made;
    absl::Status status = MakeDirs(mount_, path, made);
    if (status.ok()) status = EnableControllers(mount_, path, BasicControllers());
    if (status.ok()) return status;
    for (auto it = made.rbegin(); it != made.rend(); ++it) ::rmdir(it->c_str());
    return sys::Annotate(status, absl::StrCat("create cgroup \"", path, "\""));
  }

  absl::Status Apply(const std::string& path, const Resources& resources) override {
    RETURN_IF_ERROR(CheckPath(path));
    RETURN_IF_ERROR(CheckResources(resources));
    RETURN_IF_ERROR(EnableControllers(mount_, path, FurtherControllers(resources)));
    ASSIGN_OR_RETURN(std::vector<Setting> settings, V2Settings(Dir(path), resources));
    return WriteAllOrNone(settings);
  }

  absl::Status AllowDevices(const std::string& path, const std::vector<DeviceRule>& rules) override {
    RETURN_IF_ERROR(CheckPath(path));
    RETURN_IF_ERROR(CheckDeviceRules(rules));
    WHERRY_FAIL_POINT("cgroup.device_filter");
    return AttachDeviceProgram(Dir(path), DeviceProgram(rules));
  }

  absl::StatusOr<Membership> Members(const std::string& path) override {
    RETURN_IF_ERROR(CheckPath(path));
    return Membership{.v1_dirs = {}, .unified_dir = Dir(path), .memory_dir = Dir(path)};
  }

  absl::Status Kill(const std::string& path, int timeout_ms) override {
    RETURN_IF_ERROR(CheckBelowRoot(path));
    WHERRY_FAIL_POINT("cgroup.kill");
    const Deadline deadline(timeout_ms);
    RETURN_IF_ERROR(KillUnified(Dir(path)));
    return WaitUntilEmpty(Dir(path), deadline);
  }

  absl::Status Remove(const std::string& path) override {
    RETURN_IF_ERROR(CheckBelowRoot(path));
    return RemoveTree(Dir(path));
  }

  absl::StatusOr<Stats> Read(const std::string& path) override {
    RETURN_IF_ERROR(CheckPath(path));
    return ReadV2Stats(Dir(path));
  }

  Detail ReadDetail(const std::string& path) override { return ReadV2Detail(Dir(path)); }

  Pressures ReadPressures(const std::string& path) override { return ReadPressuresOf(Dir(path)); }

  absl::StatusOr<std::vector<int>> Processes(const std::string& path) override {
    RETURN_IF_ERROR(CheckPath(path));
    return ProcessesBelow(Dir(path));
  }

 private:
  std::string Dir(const std::string& path) const { return path == "/" ? mount_ : mount_ + path; }

  const std::string mount_;
};

}  // namespace

std::unique_ptr<Cgroups> MakeV2(std::string mount) { return std::make_unique<V2>(std::move(mount)); }

}  // namespace wherry::cgroup
