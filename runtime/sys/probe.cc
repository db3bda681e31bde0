// Facilities are tried, not derived from a version number: distributions backport, containers and LSMs take away, and file
// systems differ within one kernel. Every probe works on things of its own (a child that ends at once, a file system
// that is mounted nowhere), so that running them on a busy node changes nothing.

#include "runtime/sys/probe.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"
#include "runtime/sys/unique_fd.h"

namespace wherry::sys {
namespace {

// A descriptor number that is not open: the limit on descriptors is below it.
constexpr int kNoSuchFd = 1 << 30;

template <typename... Args>
absl::StatusOr<UniqueFd> FdCall(const char* name, long number, Args... args) {
  UniqueFd fd(static_cast<int>(::syscall(number, args...)));
  if (!fd.valid()) return Errno(name);
  return fd;
}

// A child that lives until its end of the pipe is closed.
class Child {
 public:
  static absl::StatusOr<Child> Start(uint64_t flags) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return Errno("pipe2");
    UniqueFd read_end(ends[0]), write_end(ends[1]);
    int pidfd = -1;
    clone_args args{};
    args.flags = flags | CLONE_PIDFD;
    args.pidfd = reinterpret_cast<uintptr_t>(&pidfd);
    args.exit_signal = SIGCHLD;
    const pid_t pid = static_cast<pid_t>(::syscall(SYS_clone3, &args, sizeof args));
    if (pid < 0) return Errno("clone3");
    if (pid == 0) {
      ::close(ends[1]);
      char byte;
      ::_exit(::read(ends[0], &byte, 1) == 0 ? 0 : 1);
    }
    return Child(pid, UniqueFd(pidfd), std::move(write_end));
  }
  Child(Child&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)), end_(std::move(other.end_)) {}
  ~Child() {
    end_.reset();
    while (pid_ > 0 && ::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }

 private:
  Child(pid_t pid, UniqueFd pidfd, UniqueFd end) : pid_(pid), pidfd_(std::move(pidfd)), end_(std::move(end)) {}
  pid_t pid_;
  UniqueFd pidfd_, end_;
};

// A tmpfs that is mounted nowhere.
absl::StatusOr<UniqueFd> DetachedTmpfs() {
  ASSIGN_OR_RETURN(UniqueFd context, FdCall("fsopen \"tmpfs\"", SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC));
  if (::syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
    return Errno("fsconfig FSCONFIG_CMD_CREATE");
  return FdCall("fsmount", SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, 0);
}

absl::Status SetAttributes(int mount, mount_attr attributes) {
  if (::syscall(SYS_mount_setattr, mount, "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0)
    return Errno("mount_setattr");
  return absl::OkStatus();
}

absl::Status WriteMap(pid_t pid, const char* file) {
  return WriteFileAt(AT_FDCWD, absl::StrCat("/proc/", pid, "/", file), "0 100000 65536\n");
}

absl::StatusOr<UniqueFd> IdmappedMount(const std::string& dir) {
  ASSIGN_OR_RETURN(Child child, Child::Start(CLONE_NEWUSER));
  RETURN_IF_ERROR(WriteMap(child.pid(), "uid_map"));
  RETURN_IF_ERROR(WriteMap(child.pid(), "gid_map"));
  ASSIGN_OR_RETURN(UniqueFd user, OpenAt(AT_FDCWD, absl::StrCat("/proc/", child.pid(), "/ns/user"), O_RDONLY));
  ASSIGN_OR_RETURN(UniqueFd mount,
                   FdCall("open_tree", SYS_open_tree, AT_FDCWD, dir.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_IDMAP;
  attributes.userns_fd = static_cast<uint64_t>(user.get());
  RETURN_IF_ERROR(SetAttributes(mount.get(), attributes));
  return mount;
}

// Moves the calling thread into a mount namespace of its own and makes an overlay of `layer`, which is put on `dir` there, and
// of a directory that every host has. It is mounted nowhere.
absl::Status MountOverlayIn(const std::string& dir, int layer) {
  if (::unshare(CLONE_NEWNS) != 0) return Errno("unshare CLONE_NEWNS");
  if (::syscall(SYS_mount, nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0)
    return Errno("private propagation of \"/\"");
  if (::syscall(SYS_move_mount, layer, "", AT_FDCWD, dir.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0)
    return Errno(absl::StrCat("move_mount to \"", dir, "\""));
  ASSIGN_OR_RETURN(UniqueFd context, FdCall("fsopen \"overlay\"", SYS_fsopen, "overlay", FSOPEN_CLOEXEC));
  const std::string layers = absl::StrCat(dir, ":/etc");
  if (::syscall(SYS_fsconfig, context.get(), FSCONFIG_SET_STRING, "lowerdir", layers.c_str(), 0) != 0 ||
      ::syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0)
    return Errno(absl::StrCat("overlay of \"", layers, "\""));
  return absl::OkStatus();
}

}  // namespace

std::string KernelRelease() {
  utsname name{};
  return ::uname(&name) == 0 ? name.release : "";
}

bool ReleaseIsAtLeast(const std::string& release, int major, int minor) {
  // "6.1.0-18-amd64" splits into 6, 1, and the rest.
  const std::vector<absl::string_view> parts = absl::StrSplit(release, absl::ByAnyChar(".-+"));
  int found_major = 0, found_minor = 0;
  if (parts.size() < 2 || !absl::SimpleAtoi(parts[0], &found_major) || !absl::SimpleAtoi(parts[1], &found_minor))
    return false;
  return found_major != major ? found_major > major : found_minor >= minor;
}

absl::Status ProbeClone3() { return Child::Start(0).status(); }

absl::Status ProbeCloneIntoCgroup() {
  clone_args args{};
  args.flags = CLONE_INTO_CGROUP;
  args.exit_signal = SIGCHLD;
  args.cgroup = kNoSuchFd;
  const long result = ::syscall(SYS_clone3, &args, sizeof args);
  if (result == 0) ::_exit(0);
  // A kernel that knows the flag looks at the descriptor.
  if (result < 0 && errno == EBADF) return absl::OkStatus();
  return Errno("clone3 CLONE_INTO_CGROUP");
}

absl::Status ProbeOpenat2() {
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT;
  return FdCall("openat2 RESOLVE_IN_ROOT", SYS_openat2, AT_FDCWD, "/", &how, sizeof how).status();
}

absl::Status ProbePidfd() {
  ASSIGN_OR_RETURN(UniqueFd fd, FdCall("pidfd_open", SYS_pidfd_open, ::getpid(), 0));
  pollfd p{fd.get(), POLLIN, 0};
  return ::poll(&p, 1, 0) >= 0 ? absl::OkStatus() : Errno("poll of a pidfd");
}

absl::Status ProbeMountApi() { return DetachedTmpfs().status(); }

absl::Status ProbeMountSetattr() {
  ASSIGN_OR_RETURN(UniqueFd mount, DetachedTmpfs());
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_RDONLY;
  return SetAttributes(mount.get(), attributes);
}

absl::Status ProbeOverlayLowerdirs() {
  ASSIGN_OR_RETURN(UniqueFd context, FdCall("fsopen \"overlay\"", SYS_fsopen, "overlay", FSOPEN_CLOEXEC));
  // Before Linux 6.5 overlay looks at no option until it is mounted, and all are taken here.
  if (::syscall(SYS_fsconfig, context.get(), FSCONFIG_SET_STRING, "no such option", "/", 0) == 0)
    return absl::UnimplementedError("overlay takes its options as one page");
  if (::syscall(SYS_fsconfig, context.get(), FSCONFIG_SET_STRING, "lowerdir+", "/", 0) != 0)
    return Errno("fsconfig of overlay \"lowerdir+\"");
  return absl::OkStatus();
}

absl::Status ProbeCloneDetached() {
  ASSIGN_OR_RETURN(UniqueFd mount, DetachedTmpfs());
  return FdCall("open_tree of a detached mount", SYS_open_tree, mount.get(), "",
                OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH)
      .status();
}

absl::Status ProbeIdmappedMount(const std::string& dir) { return IdmappedMount(dir).status(); }

absl::Status ProbeIdmappedOverlay(const std::string& dir) {
  ASSIGN_OR_RETURN(UniqueFd layer, IdmappedMount(dir));
  absl::Status status;
  // A mount namespace is a thread's own once it is unshared, and goes with it.
  std::thread([&] { status = MountOverlayIn(dir, layer.get()); }).join();
  return status;
}

absl::Status ProbeUserNamespace() {
  ASSIGN_OR_RETURN(Child child, Child::Start(CLONE_NEWUSER));
  return WriteMap(child.pid(), "uid_map");
}

absl::Status ProbeSeccomp() {
  uint32_t action = SECCOMP_RET_KILL_PROCESS;
  if (::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) != 0)
    return Errno("seccomp SECCOMP_GET_ACTION_AVAIL");
  return absl::OkStatus();
}

absl::Status ProbeBpfDevices() {
  bpf_insn program[] = {{.code = BPF_ALU | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
                        {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
  bpf_attr attr{};
  attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attr.insns = reinterpret_cast<uintptr_t>(program);
  attr.insn_cnt = 2;
  attr.license = reinterpret_cast<uintptr_t>("Apache-2.0");
  return FdCall("bpf BPF_PROG_TYPE_CGROUP_DEVICE", SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr).status();
}

absl::StatusOr<bool> HasCapability(int number) {
  ASSIGN_OR_RETURN(std::string status, ReadFileAt(AT_FDCWD, "/proc/self/status"));
  for (absl::string_view line : absl::StrSplit(status, '\n')) {
    uint64_t set = 0;
    const std::pair<absl::string_view, absl::string_view> field = absl::StrSplit(line, absl::MaxSplits(":\t", 1));
    if (field.first == "CapEff" && absl::SimpleHexAtoi(field.second, &set)) return (set >> number & 1) != 0;
  }
  return absl::InternalError("/proc/self/status has no CapEff");
}

absl::StatusOr<bool> IsShared(const std::string& path) {
  ASSIGN_OR_RETURN(std::string table, ReadFileAt(AT_FDCWD, "/proc/self/mountinfo", 16 << 20));
  size_t longest = 0;
  bool shared = false;
  for (absl::string_view line : absl::StrSplit(table, '\n', absl::SkipEmpty())) {
    const std::vector<absl::string_view> fields = absl::StrSplit(line, ' ');
    if (fields.size() < 7) continue;
    const absl::string_view point = fields[4];
    const bool above = point == "/" || path == point || absl::StartsWith(path, absl::StrCat(point, "/"));
    if (!above || point.size() < longest) continue;
    longest = point.size();
    shared = false;
    for (size_t i = 6; i < fields.size() && fields[i] != "-"; ++i)
      shared = shared || absl::StartsWith(fields[i], "shared:");
  }
  return shared;
}

}  // namespace wherry::sys
