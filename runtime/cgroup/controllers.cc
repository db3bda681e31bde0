// A v2 cgroup has the files of a controller when every cgroup above it passes the controller down, by its name in
// cgroup.subtree_control. The kubelet does that for its own levels; below and on other parents it is ours to do. A cgroup
// with processes of its own cannot pass controllers down (the "no internal processes" rule), which is the one failure
// that operators meet, so it is said in words.

#include "runtime/cgroup/controllers.h"

#include <fcntl.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "runtime/cgroup/names.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::cgroup {
namespace {

using Names = std::vector<std::string>;

absl::StatusOr<Names> ReadNames(const std::string& dir, const char* file) {
  ASSIGN_OR_RETURN(std::string text, sys::ReadFileAt(AT_FDCWD, absl::StrCat(dir, "/", file)));
  return Names(absl::StrSplit(text, absl::ByAnyChar(" \n"), absl::SkipEmpty()));
}

bool Has(const Names& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

absl::Status EnableIn(const std::string& dir, const Names& wanted) {
  ASSIGN_OR_RETURN(Names enabled, ReadNames(dir, kSubtreeControl));
  Names missing;
  for (const std::string& name : wanted) {
    if (!Has(enabled, name)) missing.push_back("+" + name);
  }
  if (missing.empty()) return absl::OkStatus();
  WHERRY_FAIL_POINT("cgroup.controllers");
  absl::Status status =
      sys::WriteFileAt(AT_FDCWD, absl::StrCat(dir, "/", kSubtreeControl), absl::StrJoin(missing, " "));
  if (sys::IsErrno(status, EBUSY))
    return absl::FailedPreconditionError(absl::StrCat("cgroup \"", dir,
                                                      "\" has processes of its own, so it cannot pass ",
                                                      absl::StrJoin(missing, " "), " down to cgroups below it"));
  return status;
}

}  // namespace

absl::Status EnableControllers(const std::string& mount, const std::string& path, const Names& wanted) {
  if (wanted.empty() || path == "/") return absl::OkStatus();
  ASSIGN_OR_RETURN(Names available, ReadNames(mount, kControllers));
  Names enable;
  for (const std::string& name : wanted) {
    if (Has(available, name)) enable.push_back(name);
  }
  if (enable.empty()) return absl::OkStatus();
  for (size_t slash = 0; slash != std::string::npos; slash = path.find('/', slash + 1))
    RETURN_IF_ERROR(EnableIn(mount + path.substr(0, slash), enable));
  return absl::OkStatus();
}

Names BasicControllers() { return {"cpu", "io", "memory", "pids"}; }

Names FurtherControllers(const Resources& resources) {
  Names out;
  if (!resources.cpuset_cpus.empty() || !resources.cpuset_mems.empty()) out.push_back("cpuset");
  if (!resources.hugepage_limits.empty()) out.push_back("hugetlb");
  for (const auto& [file, value] : resources.unified) {
    std::string controller = file.substr(0, file.find('.'));
    if (!Has(BasicControllers(), controller) && !Has(out, controller)) out.push_back(std::move(controller));
  }
  return out;
}

}  // namespace wherry::cgroup
