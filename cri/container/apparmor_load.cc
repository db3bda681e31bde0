#include "absl/strings/str_cat.h"
#include "cri/container/core.h"
#include "runtime/apparmor/apparmor.h"
#include "runtime/sys/status.h"

namespace wherry::container {

absl::Status EnsureAppArmor(Core& core, const std::string& name) {
  if (name.empty()) return absl::OkStatus();
  if (name == apparmor::kDefaultProfile) return core.apparmor.EnsureDefault();
  ASSIGN_OR_RETURN_CTX(bool loaded, apparmor::IsLoaded(name), "apparmor");
  if (loaded) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("apparmor: profile \"", name, "\" is not loaded on this node"));
}

}  // namespace wherry::container
