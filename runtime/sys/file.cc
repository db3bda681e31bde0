#include "runtime/sys/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace wherry::sys {
namespace {

std::string DirName(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

absl::StatusOr<UniqueFd> OpenAt(int dirfd, const std::string& path, int flags, mode_t mode) {
  UniqueFd fd(::openat(dirfd, path.c_str(), flags | O_CLOEXEC, mode));
  if (!fd.valid()) return Errno(absl::StrCat("open \"", path, "\""));
  return fd;
}

absl::StatusOr<std::string> ReadAll(int fd, size_t max) {
  std::string out;
  while (true) {
    size_t used = out.size();
    size_t want = std::min(max + 1 - used, std::max<size_t>(4096, used));
    out.resize(used + want);
    ssize_t n = ::read(fd, out.data() + used, want);
    if (n < 0 && errno != EINTR) return Errno("read");
    out.resize(used + static_cast<size_t>(std::max<ssize_t>(n, 0)));
    if (n == 0) return out;
    if (out.size() > max) return absl::ResourceExhaustedError(absl::StrCat("more than ", max, " bytes"));
  }
}

absl::StatusOr<std::string> ReadFileAt(int dirfd, const std::string& path, size_t max) {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenAt(dirfd, path, O_RDONLY | O_NOCTTY));
  ASSIGN_OR_RETURN_CTX(std::string data, ReadAll(fd.get(), max), absl::StrCat("\"", path, "\""));
  return data;
}

absl::Status WriteAll(int fd, absl::string_view data) {
  while (!data.empty()) {
    ssize_t n = ::write(fd, data.data(), data.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      return Errno("write");
    }
    data.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

absl::Status WriteFileAt(int dirfd, const std::string& path, absl::string_view data) {
  ASSIGN_OR_RETURN(UniqueFd fd, OpenAt(dirfd, path, O_WRONLY | O_NOCTTY));
  ssize_t n;
  do n = ::write(fd.get(), data.data(), data.size());
  while (n < 0 && errno == EINTR);
  if (n < 0) return Errno(absl::StrCat("write \"", data, "\" to \"", path, "\""));
  if (static_cast<size_t>(n) != data.size())
    return absl::DataLossError(absl::StrCat("write to \"", path, "\" was cut short"));
  return absl::OkStatus();
}

absl::Status ReplaceFileAt(int dirfd, const std::string& path, absl::string_view data, mode_t mode) {
  const std::string tmp = absl::StrCat(path, ".tmp");
  ASSIGN_OR_RETURN(UniqueFd fd, OpenAt(dirfd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode));
  RETURN_IF_ERROR_CTX(WriteAll(fd.get(), data), absl::StrCat("\"", tmp, "\""));
  if (::fsync(fd.get()) != 0) return Errno(absl::StrCat("fsync \"", tmp, "\""));
  if (::renameat(dirfd, tmp.c_str(), dirfd, path.c_str()) != 0)
    return Errno(absl::StrCat("rename \"", tmp, "\" to \"", path, "\""));
  ASSIGN_OR_RETURN(UniqueFd dir, OpenAt(dirfd, DirName(path), O_RDONLY | O_DIRECTORY));
  if (::fsync(dir.get()) != 0) return Errno(absl::StrCat("fsync directory of \"", path, "\""));
  return absl::OkStatus();
}

}  // namespace wherry::sys
