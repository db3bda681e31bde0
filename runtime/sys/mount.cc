#include "runtime/sys/mount.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/ascii.h"
#include "runtime/sys/status.h"

namespace wherry::sys {
namespace {
constexpr size_t kMaxValue = 255;
}

absl::StatusOr<FsContext> FsContext::Open(const std::string& type) {
  UniqueFd fd(::fsopen(type.c_str(), FSOPEN_CLOEXEC));
  if (!fd.valid()) return Errno(absl::StrCat("fsopen ", type));
  return FsContext(type, std::move(fd));
}

absl::Status FsContext::Failure(const std::string& what) const {
  const int err = errno;
  char log[256];
  const ssize_t n = ::read(fd_.get(), log, sizeof(log));
  if (n <= 2) return Errno(what, err);
  // Each line of the log begins with its level and a space: "e overlay: …".
  return Errno(
      absl::StrCat(what, " (", absl::StripAsciiWhitespace(absl::string_view(log + 2, static_cast<size_t>(n - 2))), ")"),
      err);
}

absl::Status FsContext::Set(const std::string& key, const std::string& value) const {
  if (value.size() > kMaxValue)
    return absl::InvalidArgumentError(absl::StrCat(type_, " option ", key, " is longer than 255 bytes"));
  if (::fsconfig(fd_.get(), FSCONFIG_SET_STRING, key.c_str(), value.c_str(), 0) != 0)
    return Failure(absl::StrCat("fsconfig ", type_, " ", key, "=", value));
  return absl::OkStatus();
}

absl::Status FsContext::SetFlag(const std::string& key) const {
  if (::fsconfig(fd_.get(), FSCONFIG_SET_FLAG, key.c_str(), nullptr, 0) != 0)
    return Failure(absl::StrCat("fsconfig ", type_, " ", key));
  return absl::OkStatus();
}

absl::Status FsContext::SetLabel(const std::string& label) const {
  return label.empty() ? absl::OkStatus() : Set("context", label);
}

absl::StatusOr<UniqueFd> FsContext::Mount(uint64_t attributes) const {
  if (::fsconfig(fd_.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
    return Failure(absl::StrCat("fsconfig ", type_, " create"));
  UniqueFd mount(::fsmount(fd_.get(), FSMOUNT_CLOEXEC, static_cast<unsigned>(attributes)));
  if (!mount.valid()) return Failure(absl::StrCat("fsmount ", type_));
  return mount;
}

absl::StatusOr<UniqueFd> CloneMount(int dirfd, const std::string& path, bool recursive) {
  unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC;
  if (recursive) flags |= AT_RECURSIVE;
  if (path.empty()) flags |= AT_EMPTY_PATH;
  UniqueFd mount(::open_tree(dirfd, path.c_str(), flags));
  if (!mount.valid()) return Errno(absl::StrCat("open_tree \"", path, "\""));
  return mount;
}

absl::Status AttachMount(int mount, int target) {
  if (::move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0)
    return Errno("move_mount");
  return absl::OkStatus();
}

absl::Status ChangeMount(int mount, uint64_t attributes, uint64_t propagation, bool recursive) {
  mount_attr attr{};
  attr.attr_set = attributes;
  attr.propagation = propagation;
  const unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0U);
  if (::mount_setattr(mount, "", flags, &attr, sizeof(attr)) != 0) return Errno("mount_setattr");
  return absl::OkStatus();
}

absl::Status IdmapMount(int mount, int user_namespace) {
  mount_attr attr{};
  attr.attr_set = MOUNT_ATTR_IDMAP;
  attr.userns_fd = static_cast<uint64_t>(user_namespace);
  if (::mount_setattr(mount, "", AT_EMPTY_PATH, &attr, sizeof(attr)) == 0) return absl::OkStatus();
  if (errno == EINVAL)
    return absl::FailedPreconditionError(
        "its file system cannot be mounted with another user namespace's ids (idmapped)");
  return Errno("mount_setattr MOUNT_ATTR_IDMAP");
}

}  // namespace wherry::sys
