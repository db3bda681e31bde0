#include "cni/plugins/sysctl.h"

#include <fcntl.h>

#include "absl/strings/ascii.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::plugins {

namespace {

std::string PathOf(const std::string& name) { return absl::StrCat("/proc/sys/net/", name); }

}  // namespace

absl::StatusOr<std::string> ReadSysctl(const std::string& name) {
  ASSIGN_OR_RETURN(std::string value, sys::ReadFileAt(AT_FDCWD, PathOf(name), 4096));
  absl::StripAsciiWhitespace(&value);
  return value;
}

absl::Status EnsureSysctl(const std::string& name, absl::string_view value) {
  ASSIGN_OR_RETURN(const std::string now, ReadSysctl(name));
  if (now == value) return absl::OkStatus();
  return sys::WriteFileAt(AT_FDCWD, PathOf(name), value);
}

absl::Status EnsureSysctlIfPresent(const std::string& name, absl::string_view value) {
  absl::Status status = EnsureSysctl(name, value);
  return sys::IsErrno(status, ENOENT) ? absl::OkStatus() : status;
}

absl::Status SetRouterSysctls(const std::string& interface) {
  for (const char* name : {"accept_dad", "accept_ra"})
    RETURN_IF_ERROR(EnsureSysctlIfPresent(absl::StrCat("ipv6/conf/", interface, "/", name), "0"));
  return absl::OkStatus();
}

}  // namespace wherry::plugins
