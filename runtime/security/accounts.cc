#include "runtime/security/accounts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "runtime/sys/path.h"
#include "runtime/sys/status.h"

namespace wherry::security {
namespace {

constexpr off_t kMaxFile = 10 << 20;
constexpr size_t kMaxLine = 1 << 20;
constexpr size_t kChunk = 16 << 10;

absl::StatusOr<sys::UniqueFd> OpenRegular(int root, const std::string& path) {
  // O_PATH first: opening a fifo or a device for reading would already be an act.
  ASSIGN_OR_RETURN(sys::UniqueFd file, sys::OpenInRoot(root, path, O_PATH));
  struct stat st {};
  if (::fstat(file.get(), &st) != 0) return sys::Errno(absl::StrCat("fstat \"", path, "\""));
  if (!S_ISREG(st.st_mode)) return absl::FailedPreconditionError(absl::StrCat("\"", path, "\" is not a regular file"));
  if (st.st_size > kMaxFile) return absl::FailedPreconditionError(absl::StrCat("\"", path, "\" is over 10 MiB"));
  ASSIGN_OR_RETURN(sys::UniqueFd readable, sys::OpenInRoot(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  struct stat again {};
  if (::fstat(readable.get(), &again) != 0) return sys::Errno(absl::StrCat("fstat \"", path, "\""));
  if (again.st_ino != st.st_ino || again.st_dev != st.st_dev)
    return absl::FailedPreconditionError(absl::StrCat("\"", path, "\" was exchanged while it was opened"));
  return readable;
}

}  // namespace

bool IsNumeric(absl::string_view text) {
  if (text.empty()) return false;
  for (char c : text) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return false;
  }
  return true;
}

absl::StatusOr<uint32_t> ParseId(absl::string_view text) {
  uint32_t id = 0;
  if (!IsNumeric(text) || !absl::SimpleAtoi(text, &id) || id == std::numeric_limits<uint32_t>::max())
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is no id from 0 to 4294967294"));
  return id;
}

bool ParseAccount(absl::string_view line, Account& account) {
  const std::vector<absl::string_view> fields = absl::StrSplit(line, ':');
  if (fields.size() != 7 || fields[0].empty()) return false;
  const auto uid = ParseId(fields[2]);
  const auto gid = ParseId(fields[3]);
  if (!uid.ok() || !gid.ok()) return false;
  account = {std::string(fields[0]), *uid, *gid, std::string(fields[5])};
  return true;
}

bool ParseGroup(absl::string_view line, Group& group) {
  const std::vector<absl::string_view> fields = absl::StrSplit(line, ':');
  if (fields.size() != 4 || fields[0].empty()) return false;
  const auto gid = ParseId(fields[2]);
  if (!gid.ok()) return false;
  group = {std::string(fields[0]), *gid, absl::StrSplit(fields[3], ',', absl::SkipEmpty())};
  return true;
}

absl::Status EachLine(int root, const std::string& path, const std::function<bool(absl::string_view)>& visit) {
  auto file = OpenRegular(root, path);
  if (!file.ok()) {
    if (sys::IsErrno(file.status(), ENOENT) || sys::IsErrno(file.status(), ENOTDIR)) return absl::OkStatus();
    return file.status();
  }
  std::string pending;
  off_t total = 0;
  char chunk[kChunk];
  while (true) {
    const ssize_t n = ::read(file->get(), chunk, sizeof(chunk));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return sys::Errno(absl::StrCat("read \"", path, "\""));
    total += n;
    if (total > kMaxFile) return absl::FailedPreconditionError(absl::StrCat("\"", path, "\" is over 10 MiB"));
    pending.append(chunk, static_cast<size_t>(n));
    size_t start = 0;
    for (size_t end; (end = pending.find('\n', start)) != std::string::npos; start = end + 1) {
      if (!visit(absl::string_view(pending).substr(start, end - start))) return absl::OkStatus();
    }
    pending.erase(0, start);
    if (pending.size() > kMaxLine)
      return absl::FailedPreconditionError(absl::StrCat("\"", path, "\" has a line over 1 MiB"));
    if (n == 0) break;
  }
  if (!pending.empty()) (void)visit(pending);
  return absl::OkStatus();
}

}  // namespace wherry::security
