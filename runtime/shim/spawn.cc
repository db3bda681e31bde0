// fork(2) in a daemon with hundreds of MiB costs milliseconds of page tables, so the child borrows the parent's memory
// until it executes (CLONE_VM | CLONE_VFORK), on a stack of its own, making nothing but plain system calls. All signals
// are blocked meanwhile: a handler of the parent's must not run in the child.
//
// The program is executed from a memfd sealed against writing: a container that opens /proc/<shim>/exe cannot change what
// the next shim executes (CVE-2019-5736), and all shims share its pages. (memfd: MFD_EXEC from Linux 6.3; before, every
// memfd may be executed.)
//
// The cgroup is joined where that is cheap: v2 by CLONE_INTO_CGROUP, v1 by the child writing "0" to `tasks`. A write to
// cgroup.procs takes a global lock and waits for an RCU grace period.
#include "runtime/shim/spawn.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif
#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif

namespace wherry::shim {
namespace {

constexpr size_t kStackSize = 64 << 10;
constexpr int kListener = 3;
constexpr int kFirstSafeFd = 10;  // above those that the child overwrites

struct ChildArgs {
  int program;
  int null;
  int listener;
  int tasks;
  char* const* argv;
  const char* failed = nullptr;  // set by the child, which shares our memory
  int error = 0;
};

// Not instrumented: the child shares our memory, and with it what ThreadSanitizer knows of the calling thread's stack.
#define WHERRY_IN_CHILD __attribute__((no_sanitize("thread")))

WHERRY_IN_CHILD int Fail(ChildArgs* args, const char* call) {
  args->error = errno;
  args->failed = call;
  return 127;
}

WHERRY_IN_CHILD int RunChild(void* data) {
  auto* args = static_cast<ChildArgs*>(data);
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) (void)::sigaction(signal, &action, nullptr);
  if (::setsid() < 0) return Fail(args, "setsid");
  for (int fd = 0; fd <= 2; ++fd) {
    if (::dup2(args->null, fd) < 0) return Fail(args, "dup2 /dev/null");
  }
  if (::dup2(args->listener, kListener) < 0) return Fail(args, "dup2 listener");
  if (::syscall(SYS_close_range, kListener + 1, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */) != 0)
    return Fail(args, "close_range");
  ssize_t moved = 1;
  do moved = args->tasks >= 0 ? ::write(args->tasks, "0", 1) : 1;
  while (moved < 0 && errno == EINTR);
  if (moved != 1) return Fail(args, "write to the cgroup's tasks");
  sigset_t none;
  sigemptyset(&none);
  (void)::sigprocmask(SIG_SETMASK, &none, nullptr);
  char* const environment[] = {nullptr};
  (void)::syscall(SYS_execveat, args->program, "", args->argv, environment, AT_EMPTY_PATH);
  return Fail(args, "execveat");
}

#if defined(__x86_64__)
// clone3(2) with a stack for the child, which runs `fn(data)` and exits with its result.
__attribute__((noinline)) long CloneAndRun(clone_args* args, int (*fn)(void*), void* data) {
  long result;
  register int (*fn_register)(void*) __asm__("r8") = fn;
  register void* data_register __asm__("r9") = data;
  __asm__ volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xor %%ebp, %%ebp\n\t"
      "mov %%r9, %%rdi\n\t"
      "call *%%r8\n\t"
      "mov %%eax, %%edi\n\t"
      "mov $60, %%eax\n\t"
      "syscall\n"
      "1:"
      : "=a"(result)
      : "a"(SYS_clone3), "D"(args), "S"(sizeof(*args)), "r"(fn_register), "r"(data_register)
      : "rcx", "r11", "memory");
  if (result >= 0) return result;
  errno = static_cast<int>(-result);
  return -1;
}
constexpr bool kCanCloneIntoCgroup = true;
#else
long CloneAndRun(clone_args* args, int (*fn)(void*), void* data) {
  return ::clone(fn, reinterpret_cast<void*>(args->stack + args->stack_size),
                 static_cast<int>(args->flags | args->exit_signal), data, reinterpret_cast<void*>(args->pidfd));
}
constexpr bool kCanCloneIntoCgroup = false;
#endif

absl::StatusOr<sys::UniqueFd> Lift(sys::UniqueFd fd) {
  sys::UniqueFd lifted(::fcntl(fd.get(), F_DUPFD_CLOEXEC, kFirstSafeFd));
  if (!lifted.valid()) return sys::Errno("fcntl F_DUPFD_CLOEXEC");
  return lifted;
}

absl::StatusOr<sys::UniqueFd> SealedCopy(const std::string& program) {
  ASSIGN_OR_RETURN(sys::UniqueFd file, sys::OpenAt(AT_FDCWD, program, O_RDONLY));
  struct stat st {};
  if (::fstat(file.get(), &st) != 0) return sys::Errno("fstat");
  sys::UniqueFd memory(::memfd_create("wherry-shim", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC));
  if (!memory.valid() && errno == EINVAL) memory.reset(::memfd_create("wherry-shim", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!memory.valid()) return sys::Errno("memfd_create");
  for (off_t done = 0; done < st.st_size;) {
    const ssize_t n = ::sendfile(memory.get(), file.get(), &done, static_cast<size_t>(st.st_size - done));
    if (n < 0) return sys::Errno("sendfile");
    if (n == 0) return absl::DataLossError("the program became shorter while it was copied");
  }
  if (::fchmod(memory.get(), 0500) != 0) return sys::Errno("fchmod memfd");
  constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  if (::fcntl(memory.get(), F_ADD_SEALS, kSeals | F_SEAL_EXEC) != 0 && ::fcntl(memory.get(), F_ADD_SEALS, kSeals) != 0)
    return sys::Errno("fcntl F_ADD_SEALS");
  return Lift(std::move(memory));
}

}  // namespace

absl::StatusOr<Spawner> Spawner::Create(const std::string& program, const std::string& cgroup) {
  Spawner spawner;
  ASSIGN_OR_RETURN_CTX(spawner.program_, SealedCopy(program), absl::StrCat("copy of \"", program, "\""));
  ASSIGN_OR_RETURN(sys::UniqueFd null, sys::OpenAt(AT_FDCWD, "/dev/null", O_RDWR));
  ASSIGN_OR_RETURN(spawner.null_, Lift(std::move(null)));
  spawner.v1_ = ::access(absl::StrCat(cgroup, "/tasks").c_str(), F_OK) == 0;
  if (spawner.v1_ || kCanCloneIntoCgroup) spawner.cgroup_ = cgroup;
  RETURN_IF_ERROR(spawner.OpenCgroup().status());
  return spawner;
}

// v1: its file `tasks`, v2: the directory. Opened anew for each shim, and made again where it is gone: while no shim is in it, anybody who
// tidies up can remove it.
absl::StatusOr<sys::UniqueFd> Spawner::OpenCgroup() const {
  if (cgroup_.empty()) return sys::UniqueFd();
  const auto open = [this] {
    return v1_ ? sys::OpenAt(AT_FDCWD, cgroup_ + "/tasks", O_WRONLY)
               : sys::OpenAt(AT_FDCWD, cgroup_, O_PATH | O_DIRECTORY);
  };
  auto file = open();
  if (sys::IsErrno(file.status(), ENOENT)) {
    for (size_t slash = cgroup_.find('/', 1); slash != std::string::npos; slash = cgroup_.find('/', slash + 1))
      (void)::mkdir(cgroup_.substr(0, slash).c_str(), 0755);
    (void)::mkdir(cgroup_.c_str(), 0755);
    file = open();
  }
  if (!file.ok()) return sys::Annotate(file.status(), "cgroup of the shims");
  return Lift(*std::move(file));
}

absl::StatusOr<Spawner::Child> Spawner::Start(const std::string& option, const std::string& pod_id,
                                              const sys::UniqueFd& listener) const {
  sys::UniqueFd lifted(::fcntl(listener.get(), F_DUPFD_CLOEXEC, kFirstSafeFd));
  if (!lifted.valid()) return sys::Errno("fcntl F_DUPFD_CLOEXEC");
  char name[] = "wherry-shim";
  std::string option_copy = option, id_copy = pod_id;
  char* argv[4] = {name};
  int argc = 1;
  if (!option.empty()) argv[argc++] = option_copy.data();
  argv[argc] = id_copy.data();
  ASSIGN_OR_RETURN(const sys::UniqueFd cgroup, OpenCgroup());
  ChildArgs child{program_.get(), null_.get(), lifted.get(), v1_ ? cgroup.get() : -1, argv};

  auto stack = std::make_unique<char[]>(kStackSize + 16);
  int pidfd = -1;
  clone_args args{};
  args.flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD;
  args.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  args.exit_signal = SIGCHLD;
  args.stack = (reinterpret_cast<uint64_t>(stack.get()) + 15) & ~15ULL;
  args.stack_size = kStackSize;
  if (!v1_ && cgroup.valid()) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<uint64_t>(cgroup.get());
  }
  sigset_t all, before;
  sigfillset(&all);
  (void)::pthread_sigmask(SIG_SETMASK, &all, &before);
  const long pid = CloneAndRun(&args, RunChild, &child);
  const int error = errno;
  (void)::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return sys::Errno("clone3 of a shim", error);
  Child out{static_cast<pid_t>(pid), sys::UniqueFd(pidfd)};
  if (child.failed == nullptr) return out;
  (void)::waitpid(out.pid, nullptr, 0);
  return sys::Errno(absl::StrCat(child.failed, " of a shim"), child.error);
}

}  // namespace wherry::shim
