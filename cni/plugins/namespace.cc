#include "cni/plugins/namespace.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "absl/strings/str_cat.h"
#include "api/cni/error.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::plugins {
namespace {

absl::Status Invalid(const std::string& path, absl::string_view what) {
  return cni::MakeError(cni::ErrorCode::kInvalidEnvironment, absl::StrCat("CNI_NETNS: \"", path, "\" ", what));
}

// False for a namespace file that lost its bind mount (after a reboot, say): a plain file on another filesystem.
absl::StatusOr<bool> IsNetworkNamespace(int fd, const std::string& path) {
  struct statfs fs {};
  if (fstatfs(fd, &fs) != 0) return sys::Errno(absl::StrCat("fstatfs \"", path, "\""));
  if (fs.f_type != NSFS_MAGIC) return false;
  if (ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET) return Invalid(path, "is a namespace of another type");
  return true;
}

}  // namespace

absl::StatusOr<Namespaces> Namespaces::Open(const std::string& path) {
  ASSIGN_OR_RETURN(std::optional<Namespaces> out, OpenIfPresent(path));
  if (!out) return Invalid(path, "is no network namespace");
  return *std::move(out);
}

absl::StatusOr<std::optional<Namespaces>> Namespaces::OpenIfPresent(const std::string& path) {
  if (path.empty()) return std::nullopt;
  ASSIGN_OR_RETURN(sys::UniqueFd home, sys::OpenAt(AT_FDCWD, "/proc/thread-self/ns/net", O_RDONLY));
  absl::StatusOr<sys::UniqueFd> container = sys::OpenAt(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!container.ok() && (sys::IsErrno(container.status(), ENOENT) || sys::IsErrno(container.status(), ENOTDIR)))
    return std::nullopt;
  if (!container.ok()) return Invalid(path, container.status().message());
  ASSIGN_OR_RETURN(const bool is_namespace, IsNetworkNamespace(container->get(), path));
  if (!is_namespace) return std::nullopt;
  struct stat ours {
  }, theirs{};
  if (fstat(home.get(), &ours) != 0 || fstat(container->get(), &theirs) != 0) return sys::Errno("fstat of a namespace");
  if (ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino)
    return Invalid(path, "is the namespace that the plugin runs in");
  return Namespaces(std::move(home), *std::move(container));
}

absl::StatusOr<netlink::Socket> Namespaces::OpenSocket() const {
  std::optional<netlink::Socket> out;
  RETURN_IF_ERROR(Visit([&] {
    ASSIGN_OR_RETURN(out, netlink::Socket::Open());
    return absl::OkStatus();
  }));
  return *std::move(out);
}

absl::Status Namespaces::Visit(const std::function<absl::Status()>& visit) const {
  if (setns(container_.get(), CLONE_NEWNET) != 0) return sys::Errno("setns to the container's network namespace");
  absl::Status status = visit();
  if (setns(home_.get(), CLONE_NEWNET) != 0) return sys::Errno("setns back to the host's network namespace");
  return status;
}

}  // namespace wherry::plugins
