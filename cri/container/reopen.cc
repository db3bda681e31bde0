#include "absl/strings/str_cat.h"
#include "cri/container/core.h"
#include "runtime/sys/status.h"

namespace wherry::container {

absl::Status ReopenLog(Core& core, const std::string& id) {
  ASSIGN_OR_RETURN(store::Container record, Find(core, id));
  if (record->state() != store::RUNNING) {
    return absl::FailedPreconditionError(absl::StrCat("container ", record->id(), " does not run"));
  }
  shim::v1::Request request;
  request.mutable_reopen_log()->set_container_id(record->id());
  return sys::Annotate(core.hub.Call(record->pod_id(), std::move(request), kShimTimeout).status(),
                       absl::StrCat("reopen the log of container ", record->id()));
}

}  // namespace wherry::container
