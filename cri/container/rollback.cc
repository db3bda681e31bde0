#include "cri/container/rollback.h"

#include "absl/strings/str_cat.h"

namespace wherry::container {

absl::Status Rollback::Undo(const absl::Status& cause) {
  std::string failures;
  for (; !steps_.empty(); steps_.pop_back()) {
    absl::Status status = steps_.back().undo();
    if (!status.ok()) absl::StrAppend(&failures, "; undoing ", steps_.back().name, ": ", status.message());
  }
  if (failures.empty()) return cause;
  return absl::Status(cause.code(), absl::StrCat(cause.message(), failures));
}

}  // namespace wherry::container
