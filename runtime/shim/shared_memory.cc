// The pod's shared memory belongs to no container and must not be in the host's mount table. So it is held by
// descriptor: a detached mount, from which each container clones its own. Where that cannot be cloned, the descriptor is
// of a mount namespace made for it; no process stays in there.
#include "runtime/shim/shared_memory.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/shim/empty_root.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::shim {
namespace {

constexpr uint64_t kDefaultSize = 64 << 20;

bool CanCloneDetached(int mount) {
  return sys::UniqueFd(::open_tree(mount, "", AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)).valid();
}

// Waits in the new namespace until the parent has taken its descriptor; a failure is written to `report`.
[[noreturn]] void HoldNamespace(int tmpfs, int report, int release) {
  const absl::Status status = EnterEmptyRoot(tmpfs);
  (void)sys::WriteAll(report, status.ok() ? "." : std::string(status.message()));
  char byte;
  (void)!::read(release, &byte, 1);
  ::_exit(0);
}

absl::StatusOr<sys::UniqueFd> NamespaceOf(pid_t child, int report) {
  char text[256];
  const ssize_t n = ::read(report, text, sizeof(text));
  if (n <= 0) return absl::InternalError("the helper process died");
  if (n != 1 || text[0] != '.') return absl::InternalError(absl::string_view(text, static_cast<size_t>(n)));
  return sys::OpenAt(AT_FDCWD, absl::StrCat("/proc/", child, "/ns/mnt"), O_RDONLY);
}

absl::StatusOr<sys::UniqueFd> WrapInNamespace(int tmpfs) {
  int report[2], release[2];
  if (::pipe2(report, O_CLOEXEC) != 0) return sys::Errno("pipe2");
  sys::UniqueFd report_in(report[0]), report_out(report[1]);
  if (::pipe2(release, O_CLOEXEC) != 0) return sys::Errno("pipe2");
  sys::UniqueFd release_in(release[0]), release_out(release[1]);
  const pid_t child = ::fork();
  if (child < 0) return sys::Errno("fork");
  if (child == 0) {
    release_out.reset();
    HoldNamespace(tmpfs, report_out.get(), release_in.get());
  }
  report_out.reset();
  auto ns = NamespaceOf(child, report_in.get());
  release_out.reset();
  (void)::waitpid(child, nullptr, 0);
  return ns;
}

}  // namespace

absl::StatusOr<SharedMemory> MakeSharedMemory(const v1::SetupPodRequest& request, const sys::UserNamespace& users,
                                              bool in_namespace) {
  SharedMemory shm;
  const std::string size = absl::StrCat(request.shm_size() == 0 ? kDefaultSize : request.shm_size());
  ASSIGN_OR_RETURN(sys::UniqueFd tmpfs, DetachedTmpfs(size.c_str(), "1777", request.mount_label().c_str()));
  if (users.valid() && ::fchownat(tmpfs.get(), "", users.root_uid(), users.root_gid(), AT_EMPTY_PATH) != 0)
    return sys::Errno("chown of /dev/shm");
  if (!in_namespace && CanCloneDetached(tmpfs.get())) {
    shm.detached = std::move(tmpfs);
    return shm;
  }
  ASSIGN_OR_RETURN_CTX(shm.mount_namespace, WrapInNamespace(tmpfs.get()), "mount namespace of /dev/shm");
  return shm;
}

}  // namespace wherry::shim
