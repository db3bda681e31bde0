#include "runtime/process/report.h"

#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

namespace wherry::process {
namespace {

constexpr char kUser = 'U';
constexpr char kFailure = 'F';
constexpr size_t kMaxReport = 1 << 20;

absl::Status Replace(int report, const std::string& text) {
  if (::ftruncate(report, 0) != 0) return sys::Errno("ftruncate of the report");
  if (::pwrite(report, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
    return sys::Errno("write of the report");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<sys::UniqueFd> MakeReport() {
  sys::UniqueFd file(::memfd_create("report", MFD_CLOEXEC | MFD_NOEXEC_SEAL));
  if (!file.valid()) file.reset(::memfd_create("report", MFD_CLOEXEC));  // before Linux 6.3
  if (!file.valid()) return sys::Errno("memfd_create");
  return file;
}

absl::Status ReportUser(int report, const shim::v1::User& user) {
  return Replace(report, kUser + user.SerializeAsString());
}

void ReportFailure(int report, const absl::Status& status) {
  shim::v1::Error error;
  error.set_code(static_cast<int>(status.code()));
  error.set_message(std::string(status.message()));
  // If even this fails, an empty report says that something did.
  if (!Replace(report, kFailure + error.SerializeAsString()).ok()) (void)::ftruncate(report, 0);
}

absl::StatusOr<shim::v1::User> ReadReport(int report) {
  if (::lseek(report, 0, SEEK_SET) != 0) return sys::Errno("lseek of the report");
  ASSIGN_OR_RETURN(std::string text, sys::ReadAll(report, kMaxReport));
  if (text.empty()) return absl::AbortedError("the process was killed before its program ran");
  const std::string body = text.substr(1);
  if (text[0] == kUser) {
    shim::v1::User user;
    if (user.ParseFromString(body)) return user;
  } else if (text[0] == kFailure) {
    shim::v1::Error error;
    if (error.ParseFromString(body)) return absl::Status(static_cast<absl::StatusCode>(error.code()), error.message());
  }
  return absl::InternalError("the process left a report that cannot be read");
}

}  // namespace wherry::process
