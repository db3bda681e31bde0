// A namespace belongs to the user namespace that its maker was in, and whoever enters a user namespace leaves his rights
// outside. So that a supervisor can own namespaces of a user namespace and keep its own rights, others go in for it.
//
// MakeUserNamespace: a short-lived child is born into the new user namespace and makes the other namespaces; the caller then
// joins those, which the owner of the parent namespace may.
//
// CloneIntoUserNamespace: a PID namespace can be made only together with its first process, which must be the one that stays.
// So a go-between enters the user namespace and clones from there with CLONE_PARENT, which makes the new process the
// supervisor's child and not its own. The go-between borrows the supervisor's memory and descriptors (CLONE_VM, CLONE_VFORK,
// CLONE_FILES), so it costs no copy of page tables, and the new process' pidfd is opened right where it is needed.
#include "runtime/sys/user_namespace.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "runtime/sys/file.h"
#include "runtime/sys/path.h"
#include "runtime/sys/status.h"

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif

namespace wherry::sys {
namespace {

constexpr size_t kStackSize = 1 << 20;  // mapped, and touched only as far as it is used
constexpr size_t kMaxReport = 4096;

struct Pipe {
  UniqueFd read, write;
  static absl::StatusOr<Pipe> Make() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return Errno("pipe2");
    return Pipe{UniqueFd(ends[0]), UniqueFd(ends[1])};
  }
};

absl::Status MakeInside(int types, absl::FunctionRef<absl::Status()> inside) {
  RETURN_IF_ERROR(BecomeNamespaceRoot());
  if (types != 0) RETURN_IF_ERROR(Unshare(types));
  return inside();
}

// The child of MakeUserNamespace. It ends at once when the caller dies, because then `go` has no writer.
[[noreturn]] void RunMaker(int types, absl::FunctionRef<absl::Status()> inside, Pipe& go, Pipe& report) {
  go.write.reset();
  report.read.reset();
  char byte = 0;
  if (::read(go.read.get(), &byte, 1) != 1) ::_exit(1);
  const absl::Status status = MakeInside(types, inside);
  (void)WriteAll(report.write.get(), status.ok() ? "." : std::string(status.message()));
  report.write.reset();
  (void)!::read(go.read.get(), &byte, 1);
  ::_exit(0);
}

absl::Status WriteMap(const UniqueFd& procfs, pid_t pid, const std::string& name, const IdMap& map) {
  ASSIGN_OR_RETURN(UniqueFd file, OpenBeneath(procfs.get(), absl::StrCat(pid, "/", name), O_WRONLY));
  const std::string line = absl::StrCat("0 ", map.first, " ", map.length);
  if (::write(file.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()))
    return Errno(absl::StrCat("write of ", name, " \"", line, "\""));
  return absl::OkStatus();
}

// The caller's part: writes the maps, waits for what the maker has to say and takes what it made.
absl::StatusOr<UniqueFd> TakeFrom(const CloneResult& maker, const UserNamespace& maps, int types, Pipe& go,
                                  Pipe& report) {
  go.read.reset();
  report.write.reset();
  ASSIGN_OR_RETURN(UniqueFd procfs, OpenProcfs());
  RETURN_IF_ERROR(WriteMap(procfs, maker.pid, "uid_map", maps.uids));
  RETURN_IF_ERROR(WriteMap(procfs, maker.pid, "gid_map", maps.gids));
  if (::write(go.write.get(), "", 1) != 1) return Errno("write to the maker of the user namespace");
  ASSIGN_OR_RETURN(std::string said, ReadAll(report.read.get(), kMaxReport));
  if (said.size() != 1 || said[0] != '.') return absl::InvalidArgumentError(said.empty() ? "its maker died" : said);
  // The one look-up that is a magic link: of our own child, in a procfs that has been verified.
  const std::string name = absl::StrCat(maker.pid, "/ns/user");
  UniqueFd user(::openat(procfs.get(), name.c_str(), O_RDONLY | O_CLOEXEC));
  if (!user.valid()) return Errno(absl::StrCat("open \"/proc/", name, "\""));
  if (types != 0) RETURN_IF_ERROR(SetNamespace(maker.pidfd.get(), types));
  return user;
}

// The go-between of CloneIntoUserNamespace, which lives in its caller's memory.
struct GoBetween {
  const ForeignClone& clone;
  absl::FunctionRef<absl::Status()> before;
  absl::FunctionRef<void()> child;
  absl::Status status = absl::OkStatus();
  pid_t pid = -1;
  int pidfd = -1;
};

absl::Status CloneFromInside(GoBetween& self) {
  RETURN_IF_ERROR(self.before());
  if (self.clone.pid_namespace >= 0)
    RETURN_IF_ERROR_CTX(SetNamespace(self.clone.pid_namespace, CLONE_NEWPID), "PID namespace of the container");
  RETURN_IF_ERROR_CTX(SetNamespace(self.clone.user_namespace, CLONE_NEWUSER), "user namespace of the pod");
  clone_args args{};
  args.flags = self.clone.namespaces | CLONE_PIDFD | CLONE_PARENT;
  args.pidfd = reinterpret_cast<uint64_t>(&self.pidfd);
  if (self.clone.cgroup.valid()) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<uint64_t>(self.clone.cgroup.get());
  }
  const long pid = ::syscall(SYS_clone3, &args, sizeof(args));
  if (pid < 0) return Errno("clone3 in the user namespace");
  if (pid == 0) {
    self.child();
    ::_exit(127);
  }
  self.pid = static_cast<pid_t>(pid);
  return absl::OkStatus();
}

int RunGoBetween(void* data) {
  auto* self = static_cast<GoBetween*>(data);
  self->status = CloneFromInside(*self);
  return 0;
}

}  // namespace

std::optional<uint32_t> IdMap::Outside(uint32_t id) const {
  if (id >= length) return std::nullopt;
  return first + id;
}

absl::StatusOr<UserNamespace> MakeUserNamespace(const IdMap& uids, const IdMap& gids, int types,
                                                absl::FunctionRef<absl::Status()> inside) {
  ASSIGN_OR_RETURN(Pipe go, Pipe::Make());
  ASSIGN_OR_RETURN(Pipe report, Pipe::Make());
  ASSIGN_OR_RETURN_CTX(CloneResult maker, CloneProcess(CLONE_NEWUSER, UniqueFd()), "user namespace");
  if (maker.pid == 0) RunMaker(types, inside, go, report);
  UserNamespace result{UniqueFd(), uids, gids};
  auto taken = TakeFrom(maker, result, types, go, report);
  go.write.reset();
  (void)::waitpid(maker.pid, nullptr, 0);
  if (!taken.ok()) return Annotate(taken.status(), "user namespace");
  result.fd = *std::move(taken);
  return result;
}

absl::StatusOr<CloneResult> CloneIntoUserNamespace(const ForeignClone& clone, absl::FunctionRef<absl::Status()> before,
                                                   absl::FunctionRef<void()> child) {
  void* stack = ::mmap(nullptr, kStackSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (stack == MAP_FAILED) return Errno("mmap of a stack");
  GoBetween between{clone, before, child};
  const pid_t pid = ::clone(RunGoBetween, static_cast<char*>(stack) + kStackSize,
                            CLONE_VM | CLONE_VFORK | CLONE_FILES | SIGCHLD, &between);
  const int err = errno;
  if (pid > 0) (void)::waitpid(pid, nullptr, 0);
  (void)::munmap(stack, kStackSize);
  if (pid < 0) return Errno("clone", err);
  RETURN_IF_ERROR(between.status);
  if (between.pid < 0) return absl::InternalError("the go-between into the user namespace was killed");
  return CloneResult{between.pid, UniqueFd(between.pidfd)};
}

absl::Status BecomeNamespaceRoot() {
  if (::syscall(SYS_setgroups, 0, nullptr) != 0) return Errno("setgroups in the user namespace");
  if (::syscall(SYS_setresgid, 0, 0, 0) != 0) return Errno("setresgid in the user namespace");
  if (::syscall(SYS_setresuid, 0, 0, 0) != 0) return Errno("setresuid in the user namespace");
  return absl::OkStatus();
}

}  // namespace wherry::sys
