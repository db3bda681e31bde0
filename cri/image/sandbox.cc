// wherry-pull has to be root: layers contain files of any owner, device nodes and attributes in trusted.* and security.*. What it need
// not have is everything else that root can do. Four layers, each of which holds without the others:
//   namespaces    its own network (empty), IPC, UTS and mount namespace
//   root          the staging directory is all of its file system: a mount of its own, and the only one in the namespace, since the
//                 copies of the host's would keep volumes busy that the kubelet unmounts during a pull. The descriptor that wherryd
//                 gave is replaced by that mount's: from one of the host's mount ".." would lead out. For who only reads it is read-only
//   capabilities  those below; CAP_SYS_ADMIN is among them only because trusted.overlay.opaque needs it
//   seccomp       what could make use of CAP_SYS_ADMIN (mounts, namespaces, bpf, modules, keys …), of CAP_SYS_CHROOT, of other
//                 processes or of sockets fails with EPERM; a deny list, because libarchive, OpenSSL, glibc's allocator and threads
//                 make different calls on every version
// The half that fetches (see fetch_server.h) cannot do without the network and the resolver's files; it gets neither root nor a
// capability instead, and the same deny list without the sockets.
// no_new_privs and limits on memory come on top; the memory bound is what stops a tar header that describes a million holes.
#include "cri/image/sandbox.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <vector>

#include "cri/image/pull_process.h"
#include "runtime/sys/file.h"
#include "runtime/sys/mount.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

const std::vector<cap_value_t> kToWrite = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER,   CAP_FSETID,
                                           CAP_MKNOD, CAP_SETFCAP,      CAP_SYS_ADMIN};
// Without CAP_SYS_ADMIN trusted.overlay.opaque does not show.
const std::vector<cap_value_t> kToRead = {CAP_DAC_READ_SEARCH, CAP_SYS_ADMIN};

constexpr rlim_t kMaxMemory = rlim_t{4} << 30;

constexpr std::array<int, 42> kDenied = {
    SCMP_SYS(execve),
    SCMP_SYS(execveat),
    SCMP_SYS(fork),
    SCMP_SYS(vfork),
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(kcmp),
    SCMP_SYS(pidfd_open),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(mount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(open_tree),
    SCMP_SYS(move_mount),
    SCMP_SYS(fsopen),
    SCMP_SYS(fsmount),
    SCMP_SYS(fsconfig),
    SCMP_SYS(fspick),
    SCMP_SYS(mount_setattr),
    SCMP_SYS(setns),
    SCMP_SYS(unshare),
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(reboot),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(keyctl),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(sethostname),
    SCMP_SYS(setdomainname),
    SCMP_SYS(quotactl),
};

// Denied beyond those where nothing is to be fetched.
constexpr std::array<int, 4> kDeniedNetwork = {
    SCMP_SYS(socket),
    SCMP_SYS(socketpair),
    SCMP_SYS(bind),
    SCMP_SYS(connect),
};

// Denied beyond those to who only reads; open(2) for writing too, see DenyWriting.
constexpr std::array<int, 37> kDeniedWriting = {
    SCMP_SYS(open),      SCMP_SYS(creat),        SCMP_SYS(openat2),   SCMP_SYS(unlink),    SCMP_SYS(unlinkat),
    SCMP_SYS(rmdir),     SCMP_SYS(rename),       SCMP_SYS(renameat),  SCMP_SYS(renameat2), SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat),   SCMP_SYS(mknod),        SCMP_SYS(mknodat),   SCMP_SYS(link),      SCMP_SYS(linkat),
    SCMP_SYS(symlink),   SCMP_SYS(symlinkat),    SCMP_SYS(chmod),     SCMP_SYS(fchmod),    SCMP_SYS(fchmodat),
    SCMP_SYS(chown),     SCMP_SYS(fchown),       SCMP_SYS(lchown),    SCMP_SYS(fchownat),  SCMP_SYS(truncate),
    SCMP_SYS(ftruncate), SCMP_SYS(setxattr),     SCMP_SYS(lsetxattr), SCMP_SYS(fsetxattr), SCMP_SYS(removexattr),
    SCMP_SYS(utime),     SCMP_SYS(lremovexattr), SCMP_SYS(utimes),    SCMP_SYS(utimensat), SCMP_SYS(fremovexattr),
    SCMP_SYS(futimesat), SCMP_SYS(fallocate),
};

absl::Status Limit(int resource, rlim_t value) {
  struct rlimit limit {};
  if (::getrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0) return sys::Errno("getrlimit");
  limit.rlim_max = std::min(limit.rlim_max, value);
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0) return sys::Errno("setrlimit");
  return absl::OkStatus();
}

absl::Status SetLimits() {
  RETURN_IF_ERROR(Limit(RLIMIT_CORE, 0));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // their shadow memory is address space
  RETURN_IF_ERROR(Limit(RLIMIT_AS, kMaxMemory));
#endif
  return Limit(RLIMIT_NOFILE, 65536);
}

enum class May { kWrite, kRead, kUseNetwork };

absl::Status EnterRoot(int root, May may) {
  ASSIGN_OR_RETURN(const sys::UniqueFd tree, sys::CloneMount(root, "", false));
  if (::unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) != 0) return sys::Errno("unshare");
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return sys::Errno("make mounts private");
  const uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  RETURN_IF_ERROR(sys::ChangeMount(tree.get(), attributes | (may == May::kRead ? MOUNT_ATTR_RDONLY : 0), 0, false));
  if (::move_mount(tree.get(), "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) != 0) return sys::Errno("move_mount");
  if (::fchdir(tree.get()) != 0) return sys::Errno("fchdir to the directory's own mount");
  // The clone of a shared mount, which all are where systemd runs, is its peer, and pivot_root takes no shared mount.
  if (::mount(nullptr, ".", nullptr, MS_PRIVATE, nullptr) != 0)
    return sys::Errno("make the directory's own mount private");
  if (::syscall(SYS_pivot_root, ".", ".") != 0) return sys::Errno("pivot_root");
  if (::umount2(".", MNT_DETACH) != 0) return sys::Errno("umount of the old root");
  if (::chdir("/") != 0) return sys::Errno("chdir \"/\"");
  // A mount's descriptor is one of O_PATH.
  ASSIGN_OR_RETURN(const sys::UniqueFd top, sys::OpenAt(tree.get(), ".", O_RDONLY | O_DIRECTORY));
  if (::dup3(top.get(), root, O_CLOEXEC) < 0) return sys::Errno("dup3");
  return absl::OkStatus();
}

// The bounding set first, which takes CAP_SETPCAP; then the sets themselves.
absl::Status DropCapabilities(const std::vector<cap_value_t>& keep) {
  for (cap_value_t cap = 0; ::prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; ++cap) {
    const bool kept = std::find(keep.begin(), keep.end(), cap) != keep.end();
    if (!kept && ::prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0) return sys::Errno("prctl PR_CAPBSET_DROP");
  }
  std::unique_ptr<std::remove_pointer_t<cap_t>, int (*)(void*)> caps(::cap_init(), ::cap_free);
  if (caps == nullptr) return sys::Errno("cap_init");
  const int count = static_cast<int>(keep.size());
  if (::cap_set_flag(caps.get(), CAP_PERMITTED, count, keep.data(), CAP_SET) != 0 ||
      ::cap_set_flag(caps.get(), CAP_EFFECTIVE, count, keep.data(), CAP_SET) != 0 || ::cap_set_proc(caps.get()) != 0)
    return sys::Errno("cap_set_proc");
  return absl::OkStatus();
}

// Opening for anything but reading, by the access mode in the third argument of openat(2).
absl::Status DenyWriting(scmp_filter_ctx filter) {
  for (int call : kDeniedWriting)
    if (int rc = ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), call, 0); rc != 0)
      return sys::Errno("seccomp_rule_add", -rc);
  for (unsigned mode : {O_WRONLY, O_RDWR})
    if (int rc = ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(openat), 1,
                                    SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE, mode));
        rc != 0)
      return sys::Errno("seccomp_rule_add", -rc);
  for (unsigned flag : {O_CREAT, O_TRUNC})
    if (int rc = ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(openat), 1,
                                    SCMP_A2(SCMP_CMP_MASKED_EQ, flag, flag));
        rc != 0)
      return sys::Errno("seccomp_rule_add", -rc);
  return absl::OkStatus();
}

absl::Status FilterCalls(May may) {
  std::unique_ptr<void, void (*)(scmp_filter_ctx)> filter(::seccomp_init(SCMP_ACT_ALLOW), ::seccomp_release);
  if (filter == nullptr) return absl::InternalError("seccomp_init failed");
  std::vector<int> denied(kDenied.begin(), kDenied.end());
  if (may != May::kUseNetwork) denied.insert(denied.end(), kDeniedNetwork.begin(), kDeniedNetwork.end());
  for (int call : denied)
    if (int rc = ::seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EPERM), call, 0); rc != 0)
      return sys::Errno("seccomp_rule_add", -rc);
  if (may == May::kRead) RETURN_IF_ERROR(DenyWriting(filter.get()));
  if (int rc = ::seccomp_load(filter.get()); rc != 0) return sys::Errno("seccomp_load", -rc);
  return absl::OkStatus();
}

absl::Status Enter(int root, const std::vector<cap_value_t>& keep, May may) {
  // wherryd opens everything with O_CLOEXEC; this is for what a library in it may have forgotten.
  if (::syscall(SYS_close_range, kLockFd + 1, ~0U, 0) != 0) return sys::Errno("close_range");
  // The kernel may kill this before it kills a container, whatever wherryd's own score is.
  (void)sys::WriteFileAt(AT_FDCWD, "/proc/self/oom_score_adj", "0").ok();
  RETURN_IF_ERROR(SetLimits());
  RETURN_IF_ERROR(EnterRoot(root, may));
  RETURN_IF_ERROR(DropCapabilities(keep));
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return sys::Errno("prctl PR_SET_NO_NEW_PRIVS");
  return FilterCalls(may);
}

}  // namespace

absl::Status EnterSandbox(int staging) { return Enter(staging, kToWrite, May::kWrite); }

absl::Status EnterReadSandbox(int store) { return Enter(store, kToRead, May::kRead); }

absl::Status EnterFetchSandbox() {
  (void)sys::WriteFileAt(AT_FDCWD, "/proc/self/oom_score_adj", "0").ok();
  RETURN_IF_ERROR(SetLimits());
  constexpr uid_t kNobody = 65534;
  if (::setgroups(0, nullptr) != 0) return sys::Errno("setgroups");
  if (::setresgid(kNobody, kNobody, kNobody) != 0) return sys::Errno("setresgid");
  if (::setresuid(kNobody, kNobody, kNobody) != 0) return sys::Errno("setresuid");  // takes all capabilities
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return sys::Errno("prctl PR_SET_NO_NEW_PRIVS");
  return FilterCalls(May::kUseNetwork);
}

}  // namespace wherry::image
