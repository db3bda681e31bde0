// Cgroups where systemd owns the tree. Whoever makes a cgroup inside of a slice behind systemd's back loses its controllers at the next
// daemon-reload, so a container is a scope of its own (wherry-<id>.scope, Delegate=yes) in the pod's slice: one call to systemd at a
// container's start, with its limits as properties, and one at its end. (One delegated scope for a whole pod would save calls for pods of several containers, but
// it would need a process that lives as long as the pod in the pod's cgroup, where the kubelet kills; and tools find containers by their
// scopes.) Nothing else needs systemd: execs are born in the scope, cgroup.kill ends it, and files say what it uses.
//
// A scope needs a first process. The container's own is born inside by CLONE_INTO_CGROUP, so a Holder is the first one, until that is done.
//
// Limits are written as files, as without systemd, since that is checked, immediate and all or nothing; systemd is told the same values as
// properties, because it writes all those it knows at a daemon-reload. Devices are ours alone: systemd detaches nothing that it has not
// attached, and told of rules it would take away at a reload what was allowed since.
#include "runtime/cgroup/systemd.h"

#include <fcntl.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "runtime/cgroup/holder.h"
#include "runtime/cgroup/limits.h"
#include "runtime/cgroup/settings.h"
#include "runtime/cgroup/tree.h"
#include "runtime/cgroup/unit.h"
#include "runtime/cgroup/unit_bus.h"
#include "runtime/cgroup/v2_limits.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::cgroup {
namespace {

struct HeldScope final : Hold {
  explicit HeldScope(Holder first) : holder(std::move(first)) {}
  Holder holder;
};

using Properties = std::vector<UnitProperty>;

Properties Accounting(const std::string& description) {
  // Without default dependencies: a shutdown leaves the containers to the kubelet, and what is left to the very end.
  return {{"Description", description}, {"DefaultDependencies", false}, {"CPUAccounting", true},
          {"MemoryAccounting", true},   {"TasksAccounting", true},      {"IOAccounting", true}};
}

class Systemd final : public Cgroups {
 public:
  Systemd(std::unique_ptr<Cgroups> v2, std::string holder_program)
      : v2_(std::move(v2)), holder_program_(std::move(holder_program)) {}

  std::string layout() const override { return v2_->layout(); }

  absl::Status Create(const std::string& path) override {
    RETURN_IF_ERROR(CheckPath(path));
    if (IsScope(path)) return absl::InvalidArgumentError(absl::StrCat("\"", path, "\": a scope needs a process"));
    if (!IsSlice(path)) return v2_->Create(path);
    ASSIGN_OR_RETURN(std::string known, Dir(path));
    if (::access(known.c_str(), F_OK) == 0) return absl::OkStatus();
    Properties properties = Accounting("wherry pod");
    return StartUnit(UnitOf(path), properties);
  }

  absl::StatusOr<std::unique_ptr<Hold>> CreateLeaf(const std::string& path, const Resources& resources) override {
    if (!IsScope(path)) return v2_->CreateLeaf(path, resources);
    RETURN_IF_ERROR(CheckPath(path));
    RETURN_IF_ERROR(CheckResources(resources));
    ASSIGN_OR_RETURN(std::string dir, Dir(path));
    ASSIGN_OR_RETURN(std::vector<Setting> settings, V2Settings(dir, resources));
    WHERRY_FAIL_POINT("scope.hold");
    ASSIGN_OR_RETURN_CTX(Holder holder, Holder::Start(holder_program_), "the first process of a scope");
    RETURN_IF_ERROR(StartUnit(UnitOf(path), ScopeProperties(path, settings, holder.pid())));
    WHERRY_FAIL_POINT("scope.started");
    // Controllers that systemd does not know (hugetlb), and the files that it does not.
    RETURN_IF_ERROR(v2_->Create(path));
    RETURN_IF_ERROR(v2_->Apply(path, resources));
    return std::make_unique<HeldScope>(std::move(holder));
  }

  absl::Status Apply(const std::string& path, const Resources& resources) override {
    if (!IsScope(path) && !IsSlice(path)) return v2_->Apply(path, resources);
    RETURN_IF_ERROR(CheckPath(path));
    RETURN_IF_ERROR(CheckResources(resources));
    ASSIGN_OR_RETURN(std::string dir, Dir(path));
    ASSIGN_OR_RETURN(std::vector<Setting> settings, V2Settings(dir, resources));
    const std::vector<Setting> before = Present(settings);
    RETURN_IF_ERROR(v2_->Apply(path, resources));
    WHERRY_CRASH_POINT("scope.limited");
    // systemd writes it with the rest, and has no property for it in a scope before version 253.
    for (Setting& kept : Present({UnitOomGroup(dir)})) settings.push_back(std::move(kept));
    const Properties properties = UnitProperties(settings);
    if (properties.empty()) return absl::OkStatus();
    absl::Status status = SetUnitProperties(UnitOf(path), properties);
    if (status.ok()) return WriteAllOrNone(settings);  // what systemd has rounded or reset
    if (absl::Status back = WriteAllOrNone(before); !back.ok())
      return absl::Status(status.code(), absl::StrCat(status.message(), "; and back: ", back.message()));
    return status;
  }

  absl::Status Remove(const std::string& path) override {
    RETURN_IF_ERROR(v2_->Remove(path));
    // A slice stays until it is told, and a scope too when its cgroup was gone before systemd looked whether it is empty.
    return IsSlice(path) || IsScope(path) ? StopUnit(UnitOf(path)) : absl::OkStatus();
  }

  absl::Status AllowDevices(const std::string& path, const std::vector<DeviceRule>& rules) override {
    return v2_->AllowDevices(path, rules);
  }
  absl::StatusOr<Membership> Members(const std::string& path) override { return v2_->Members(path); }
  absl::Status Kill(const std::string& path, int timeout_ms) override { return v2_->Kill(path, timeout_ms); }
  absl::StatusOr<Stats> Read(const std::string& path) override { return v2_->Read(path); }
  Detail ReadDetail(const std::string& path) override { return v2_->ReadDetail(path); }
  Pressures ReadPressures(const std::string& path) override { return v2_->ReadPressures(path); }
  absl::StatusOr<std::vector<int>> Processes(const std::string& path) override { return v2_->Processes(path); }

 private:
  absl::StatusOr<std::string> Dir(const std::string& path) {
    ASSIGN_OR_RETURN(Membership members, v2_->Members(path));
    return std::move(members.unified_dir);
  }

  static Properties ScopeProperties(const std::string& path, const std::vector<Setting>& settings, pid_t first) {
    const std::string slice = UnitOf(ParentOf(path));
    Properties out = Accounting("wherry container");
    out.push_back({"Slice", slice.empty() ? "-.slice" : slice});
    out.push_back({"Delegate", true});
    out.push_back({"CollectMode", std::string("inactive-or-failed")});
    out.push_back({"PIDs", std::vector<uint32_t>{static_cast<uint32_t>(first)}});
    Properties limits = UnitProperties(settings);
    const bool has_pids = std::any_of(limits.begin(), limits.end(), [](auto& p) { return p.name == "TasksMax"; });
    // Otherwise it has systemd's default, some 15 % of what the host can.
    if (!has_pids) out.push_back({"TasksMax", std::numeric_limits<uint64_t>::max()});
    out.insert(out.end(), std::make_move_iterator(limits.begin()), std::make_move_iterator(limits.end()));
    return out;
  }

  static Setting UnitOomGroup(const std::string& dir) { return UnifiedSetting(dir, "memory.oom.group", ""); }

  // The same settings with what their files hold now.
  static std::vector<Setting> Present(const std::vector<Setting>& settings) {
    std::vector<Setting> out;
    for (Setting setting : settings) {
      auto now = sys::ReadFileAt(AT_FDCWD, absl::StrCat(setting.dir, "/", setting.file));
      if (!now.ok() || setting.keyed) continue;
      setting.value = std::string(absl::StripAsciiWhitespace(*now));
      out.push_back(std::move(setting));
    }
    return out;
  }

  const std::unique_ptr<Cgroups> v2_;
  const std::string holder_program_;
};

}  // namespace

bool IsBootedWithSystemd() {
  if (::access("/run/systemd/system", F_OK) != 0) return false;
  auto name = sys::ReadFileAt(AT_FDCWD, "/proc/1/comm", 64);
  return name.ok() && absl::StripAsciiWhitespace(*name) == "systemd";
}

absl::StatusOr<std::string> DelegatedCgroup(Cgroups& cgroups) {
  ASSIGN_OR_RETURN(std::string text, sys::ReadFileAt(AT_FDCWD, "/proc/self/cgroup"));
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::ConsumePrefix(&line, "0::")) continue;
    const std::string path(line);
    ASSIGN_OR_RETURN(Membership members, cgroups.Members(path));
    char value[8] = {};
    if (::getxattr(members.unified_dir.c_str(), "trusted.delegate", value, sizeof value - 1) > 0 && value[0] == '1')
      return path;
  }
  return absl::NotFoundError("the caller's cgroup is not delegated to it");
}

std::unique_ptr<Cgroups> MakeSystemd(std::unique_ptr<Cgroups> v2, std::string holder_program) {
  return std::make_unique<Systemd>(std::move(v2), std::move(holder_program));
}

}  // namespace wherry::cgroup
