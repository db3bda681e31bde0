// The log directory is the kubelet's (/var/log/pods/…) and may be reached through symlinks of the administrator's; what
// lies beneath it is written by nobody we trust, so each step there is openat2(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
// (the path traversals of CVE-2025-0750). O_NONBLOCK keeps a planted FIFO from stopping the shim at open(2).
//
// A write error must neither end logging nor block the container (containerd stops copying for ever after ENOSPC, its
// issue 12462). A write that was cut short inside a line is undone with ftruncate(2): the file holds whole lines only,
// and the shim is its only writer.
#include "runtime/shim/log_file.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "absl/strings/str_split.h"
#include "runtime/shim/log_format.h"
#include "runtime/sys/status.h"

namespace wherry::shim {
namespace {

constexpr mode_t kFileMode = 0640;
constexpr mode_t kDirMode = 0755;

absl::StatusOr<sys::UniqueFd> OpenAt2(int dirfd, const std::string& path, uint64_t flags, mode_t mode) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.mode = (flags & O_CREAT) != 0 ? mode : 0;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  sys::UniqueFd fd(static_cast<int>(::syscall(SYS_openat2, dirfd, path.c_str(), &how, sizeof(how))));
  if (fd.valid()) return fd;
  if (errno == ELOOP || errno == EXDEV) {
    return absl::InvalidArgumentError(absl::StrCat("log path \"", path, "\" has a symlink or leaves its directory"));
  }
  return sys::Errno(absl::StrCat("openat2 log \"", path, "\""));
}

absl::Status CheckPath(const v1::Log& log) {
  if (log.path().empty()) return absl::OkStatus();
  if (log.directory().empty() || log.directory()[0] != '/')
    return absl::InvalidArgumentError(absl::StrCat("log directory \"", log.directory(), "\" is not absolute"));
  for (absl::string_view part : absl::StrSplit(log.path(), '/')) {
    if (part.empty() || part == "." || part == "..")
      return absl::InvalidArgumentError(absl::StrCat("log path \"", log.path(), "\" is not a plain relative path"));
  }
  return absl::OkStatus();
}

absl::StatusOr<sys::UniqueFd> OpenDirectory(const std::string& directory) {
  for (size_t slash = directory.find('/', 1); slash != std::string::npos; slash = directory.find('/', slash + 1)) {
    (void)::mkdir(directory.substr(0, slash).c_str(), kDirMode);
  }
  (void)::mkdir(directory.c_str(), kDirMode);
  sys::UniqueFd fd(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return sys::Errno(absl::StrCat("open log directory \"", directory, "\""));
  return fd;
}

// Length of the longest prefix of the first `n` bytes that ends with a newline.
size_t WholeLines(absl::string_view lines, size_t n) {
  const size_t newline = n == 0 ? absl::string_view::npos : lines.substr(0, n).rfind('\n');
  return newline == absl::string_view::npos ? 0 : newline + 1;
}

}  // namespace

absl::StatusOr<LogFile> LogFile::Open(const v1::Log& log) {
  RETURN_IF_ERROR(CheckPath(log));
  LogFile file;
  if (log.path().empty()) return file;
  file.directory_ = log.directory();
  file.path_ = log.path();
  ASSIGN_OR_RETURN(file.fd_, file.OpenBeneath());
  return file;
}

absl::StatusOr<sys::UniqueFd> LogFile::OpenBeneath() {
  ASSIGN_OR_RETURN(sys::UniqueFd dir, OpenDirectory(directory_));
  std::string name = path_;
  for (size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/')) {
    const std::string part = name.substr(0, slash);
    if (::mkdirat(dir.get(), part.c_str(), kDirMode) != 0 && errno != EEXIST)
      return sys::Errno(absl::StrCat("mkdir \"", part, "\" of log \"", path_, "\""));
    ASSIGN_OR_RETURN(dir, OpenAt2(dir.get(), part, O_PATH | O_DIRECTORY, 0));
    name.erase(0, slash + 1);
  }
  ASSIGN_OR_RETURN(sys::UniqueFd fd,
                   OpenAt2(dir.get(), name, O_WRONLY | O_CREAT | O_APPEND | O_NOCTTY | O_NONBLOCK, kFileMode));
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0) return sys::Errno(absl::StrCat("fstat log \"", path_, "\""));
  if (!S_ISREG(st.st_mode))
    return absl::InvalidArgumentError(absl::StrCat("log \"", path_, "\" is not a regular file"));
  return fd;
}

absl::Status LogFile::Reopen() {
  if (path_.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(fd_, OpenBeneath());
  return absl::OkStatus();
}

size_t LogFile::Append(absl::string_view lines) {
  size_t done = 0;
  while (done < lines.size()) {
    const ssize_t n = ::write(fd_.get(), lines.data() + done, lines.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      error_ = n < 0 ? errno : EIO;
      break;
    }
    done += static_cast<size_t>(n);
  }
  if (done == lines.size()) return done;
  const size_t whole = WholeLines(lines, done);
  struct stat st {};
  if (whole < done && ::fstat(fd_.get(), &st) == 0) {
    (void)!::ftruncate(fd_.get(), st.st_size - static_cast<off_t>(done - whole));
  }
  return whole;
}

bool LogFile::WriteMarker() {
  char text[160];
  const int n = snprintf(text, sizeof(text), "wherry: %llu bytes of log lost: %s\n",
                         static_cast<unsigned long long>(unreported_), strerrordesc_np(error_));
  char line[kLogPrefix + sizeof(text)];
  FormatPrefix(RealtimeNs(), StreamName::kStderr, 'F', line);
  memcpy(line + kLogPrefix, text, static_cast<size_t>(n));
  if (Append(absl::string_view(line, kLogPrefix + static_cast<size_t>(n))) == 0) return false;
  unreported_ = 0;
  return true;
}

void LogFile::Write(absl::string_view lines) {
  if (!fd_.valid() || lines.empty()) return;
  size_t done = 0;
  if (unreported_ == 0 || WriteMarker()) done = Append(lines);
  unreported_ += lines.size() - done;
  total_dropped_ += lines.size() - done;
}

}  // namespace wherry::shim
