#include "cni/plugins/sysctl.h"

#include <fcntl.h>

#include "absl/strings/ascii.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::plugins {

absl::Status EnsureSysctl(const std::string& name, absl::string_view value) {
  const std::string path = absl::StrCat("/proc/sys/net/", name);
  ASSIGN_OR_RETURN(std::string now, sys::ReadFileAt(AT_FDCWD, path, 256));
  if (absl::StripAsciiWhitespace(now) == value) return absl::OkStatus();
  return sys::WriteFileAt(AT_FDCWD, path, value);
}

absl::Status EnsureSysctlIfPresent(const std::string& name, absl::string_view value) {
  absl::Status status = EnsureSysctl(name, value);
  return sys::IsErrno(status, ENOENT) ? absl::OkStatus() : status;
}

}  // namespace wherry::plugins
