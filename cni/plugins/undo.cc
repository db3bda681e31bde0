#include "cni/plugins/undo.h"

#include "absl/strings/str_cat.h"
#include "runtime/sys/status.h"

namespace wherry::plugins {

absl::Status Undo::Run(const absl::Status& cause) {
  absl::Status out = cause;
  for (; !acts_.empty(); acts_.pop_back()) {
    const auto& [name, act] = acts_.back();
    if (absl::Status status = act(); !status.ok())
      out = sys::Annotate(out, absl::StrCat(name, " failed (", status.message(), ") after"));
  }
  return out;
}

}  // namespace wherry::plugins
