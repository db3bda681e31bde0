#include "cri/server/socket.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "runtime/sys/file.h"

// A lock file rather than a pid file: flock(2) ends with its holder, so a killed wherryd leaves nothing that has to be
// judged stale. The socket needs its own check, because another configuration may name the same path.
namespace wherry::server {
namespace {

absl::Status MakeDirectory(const std::string& directory, mode_t mode) {
  std::error_code error;
  const auto parent = std::filesystem::path(directory).parent_path();
  std::filesystem::create_directories(parent, error);
  if (error) return sys::Errno(absl::StrCat("mkdir \"", parent.string(), "\""), error.value());
  if (::mkdir(directory.c_str(), mode) != 0 && errno != EEXIST)
    return sys::Errno(absl::StrCat("mkdir \"", directory, "\""));
  return absl::OkStatus();
}

// Whether anybody accepts connections on the socket. Not OK when that cannot be told.
absl::StatusOr<bool> SomebodyListens(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return absl::InvalidArgumentError(absl::StrCat("socket path \"", path, "\" is too long"));
  memcpy(address.sun_path, path.data(), path.size());
  sys::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return sys::Errno("socket(AF_UNIX)");
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return true;
  if (errno == EAGAIN) return true;  // its backlog is full
  if (errno == ECONNREFUSED || errno == ENOENT) return false;
  return sys::Errno(absl::StrCat("connect \"", path, "\""));
}

}  // namespace

absl::StatusOr<sys::UniqueFd> LockDirectory(const std::string& directory, mode_t mode) {
  RETURN_IF_ERROR(MakeDirectory(directory, mode));
  const std::string path = directory + "/wherryd.lock";
  ASSIGN_OR_RETURN(sys::UniqueFd fd, sys::OpenAt(AT_FDCWD, path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return sys::Errno(absl::StrCat("flock \"", path, "\""));
    auto holder = sys::ReadAll(fd.get(), 64);
    return absl::FailedPreconditionError(
        absl::StrCat("another wherryd (pid ", holder.ok() ? *holder : "unknown", ") uses \"", directory, "\""));
  }
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(fd.get(), 0) != 0) return sys::Errno(absl::StrCat("ftruncate \"", path, "\""));
  RETURN_IF_ERROR_CTX(sys::WriteAll(fd.get(), pid), path);
  return fd;
}

absl::Status ClearSocketPath(const std::string& path) {
  RETURN_IF_ERROR(MakeDirectory(std::filesystem::path(path).parent_path(), 0711));
  struct stat st;
  if (::lstat(path.c_str(), &st) != 0)
    return errno == ENOENT ? absl::OkStatus() : sys::Errno(absl::StrCat("lstat \"", path, "\""));
  if (!S_ISSOCK(st.st_mode))
    return absl::FailedPreconditionError(absl::StrCat("\"", path, "\" exists and is no socket"));
  ASSIGN_OR_RETURN(bool busy, SomebodyListens(path));
  if (busy) return absl::FailedPreconditionError(absl::StrCat("another process listens on \"", path, "\""));
  if (::unlink(path.c_str()) != 0) return sys::Errno(absl::StrCat("unlink \"", path, "\""));
  return absl::OkStatus();
}

}  // namespace wherry::server
