#include "runtime/sys/status.h"

#include <cstring>
#include <string>

namespace wherry::sys {
namespace {
constexpr char kErrnoUrl[] = "wherry/errno";
}

absl::Status Errno(absl::string_view what, int err) {
  absl::Status status(absl::ErrnoToStatusCode(err), absl::StrCat(what, ": ", strerrordesc_np(err)));
  status.SetPayload(kErrnoUrl, absl::Cord(std::to_string(err)));
  return status;
}

absl::Status Annotate(const absl::Status& status, absl::string_view context) {
  if (status.ok()) return status;
  absl::Status out(status.code(), absl::StrCat(context, ": ", status.message()));
  status.ForEachPayload([&](absl::string_view url, const absl::Cord& value) { out.SetPayload(url, value); });
  return out;
}

bool IsErrno(const absl::Status& status, int err) {
  auto payload = status.GetPayload(kErrnoUrl);
  return payload && *payload == std::to_string(err);
}

}  // namespace wherry::sys
