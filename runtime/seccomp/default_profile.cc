// The default profile, and why it is as it is.
//
// An allow list: what it does not name does not exist for the container. The default answer is ENOSYS rather than EPERM,
// because that is what programs are written for: glibc and language runtimes try a new system call, see ENOSYS and take the
// older one, while EPERM makes them fail. So a kernel's new calls are closed without breaking what runs. Calls that are
// known, meaningful and denied answer EPERM, so that the error a user sees says what it is.
//
// Denied, in order of what they would give away:
//   - another view of the host: mount family, new namespaces, pivot_root, setns, open_by_handle_at (CVE-2014-9357 class)
//   - kernel code and state: modules, kexec, bpf, perf_event_open, userfaultfd (makes races winnable), iopl/ioperm
//   - keyrings: not namespaced by container (add_key, keyctl, request_key)
//   - large, young attack surface that a container can do without: io_uring, AF_ALG and AF_VSOCK sockets
//   - clocks, accounting, quota, swap, reboot: the host's, whatever capability set is granted
// A capability that a container was given opens the calls that it is about (CAP_SYS_ADMIN the mount family, CAP_SYS_TIME
// the clocks, CAP_SYS_MODULE the modules …), since otherwise the grant would be without effect.
//
// clone3 hides its flags behind a pointer, which a filter cannot follow: without CAP_SYS_ADMIN it does not exist (ENOSYS) and
// libc falls back to clone, whose namespace flags are in a register. 32-bit x86: socketcall hides its arguments likewise and
// would bypass the socket rules; it does not exist either (i386 has had real socket calls since Linux 4.3).

#include <linux/sched.h>
#include <sys/socket.h>

#include <cerrno>

#include "absl/strings/str_split.h"
#include "runtime/seccomp/profile.h"

namespace wherry::seccomp {
namespace {

using Names = std::vector<std::string>;

const uint64_t kNamespaceFlags =
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

constexpr char kFiles[] =
    "access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 "
    "fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl "
    "fcntl64 fdatasync fgetxattr flistxattr flock fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 "
    "fsync ftruncate ftruncate64 futimesat getcwd getdents getdents64 getxattr getxattrat inotify_add_watch "
    "inotify_init inotify_init1 inotify_rm_watch ioctl lchown lchown32 lgetxattr link linkat listxattr listxattrat "
    "llistxattr lremovexattr lseek _llseek lsetxattr lstat lstat64 mkdir mkdirat mknod mknodat name_to_handle_at "
    "newfstatat open openat openat2 pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead "
    "readlink readlinkat readv removexattr removexattrat rename renameat renameat2 rmdir sendfile sendfile64 setxattr "
    "setxattrat splice stat stat64 statfs statfs64 statx symlink symlinkat sync sync_file_range syncfs tee truncate "
    "truncate64 umask unlink unlinkat utime utimensat utimensat_time64 utimes vmsplice write writev";

constexpr char kMemory[] =
    "brk get_mempolicy madvise map_shadow_stack mbind membarrier memfd_create memfd_secret mincore mlock mlock2 "
    "mlockall mmap mmap2 mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect "
    "process_madvise process_mrelease remap_file_pages set_mempolicy set_mempolicy_home_node";

constexpr char kProcesses[] =
    "arch_prctl capget capset execve execveat exit exit_group fork futex futex_requeue futex_time64 futex_wait "
    "futex_waitv futex_wake get_robust_list get_thread_area getegid getegid32 geteuid geteuid32 getgid getgid32 "
    "getgroups getgroups32 getpgid getpgrp getpid getppid getpriority getresgid getresgid32 getresuid getresuid32 "
    "getrlimit getrusage getsid gettid getuid getuid32 ioprio_get ioprio_set kill modify_ldt pidfd_open "
    "pidfd_send_signal prctl prlimit64 restart_syscall rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo "
    "rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max "
    "sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval "
    "sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield "
    "seccomp set_robust_list set_thread_area set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 "
    "setgroups setgroups32 setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 "
    "setreuid setreuid32 setrlimit setsid setuid setuid32 sigaltstack signal signalfd signalfd4 sigprocmask sigreturn "
    "tgkill tkill ugetrlimit vfork wait4 waitid waitpid ptrace process_vm_readv process_vm_writev landlock_add_rule "
    "landlock_create_ruleset landlock_restrict_self";

constexpr char kNetworkAndIpc[] =
    "accept accept4 bind connect epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 "
    "epoll_wait epoll_wait_old eventfd eventfd2 getpeername getsockname getsockopt ipc listen mq_getsetattr mq_notify "
    "mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink msgctl msgget msgrcv "
    "msgsnd _newselect poll ppoll ppoll_time64 pselect6 pselect6_time64 recv recvfrom recvmmsg recvmmsg_time64 "
    "recvmsg select semctl semget semop semtimedop semtimedop_time64 send sendmmsg sendmsg sendto setsockopt shmat "
    "shmctl shmdt shmget shutdown socketpair";

constexpr char kTimeAndSystem[] =
    "alarm clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 "
    "getcpu getitimer getrandom gettimeofday io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 "
    "io_setup io_submit lsm_get_self_attr lsm_list_modules nanosleep pause setitimer sysinfo time timer_create "
    "timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create "
    "timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times uname";

// Known calls that are refused with EPERM unless a capability opens them.
struct Gate {
  const char* capability;  // nullptr: nothing opens it
  Names names;
};

std::vector<Gate> Gates() {
  return {
      {"CAP_SYS_ADMIN", {"fanotify_init",  "fsconfig",      "fsmount",        "fsopen",
                         "fspick",         "listmount",     "lookup_dcookie", "lsm_set_self_attr",
                         "mount",          "mount_setattr", "move_mount",     "open_tree",
                         "open_tree_attr", "quotactl",      "quotactl_fd",    "setdomainname",
                         "sethostname",    "setns",         "statmount",      "umount",
                         "umount2",        "unshare"}},
      {"CAP_BPF", {"bpf"}},
      {"CAP_PERFMON", {"perf_event_open"}},
      {"CAP_DAC_READ_SEARCH", {"open_by_handle_at"}},
      {"CAP_SYS_BOOT", {"reboot"}},
      {"CAP_SYS_CHROOT", {"chroot"}},
      {"CAP_SYS_MODULE", {"delete_module", "finit_module", "init_module"}},
      {"CAP_SYS_PACCT", {"acct"}},
      {"CAP_SYS_PTRACE", {"kcmp", "pidfd_getfd"}},
      {"CAP_SYS_RAWIO", {"ioperm", "iopl"}},
      {"CAP_SYS_TIME",
       {"adjtimex", "clock_adjtime", "clock_adjtime64", "clock_settime", "clock_settime64", "settimeofday", "stime"}},
      {"CAP_SYS_TTY_CONFIG", {"vhangup"}},
      {"CAP_SYS_NICE", {"migrate_pages", "move_pages"}},
      {"CAP_SYSLOG", {"syslog"}},
      {nullptr,
       {"add_key", "io_uring_enter", "io_uring_register", "io_uring_setup", "kexec_file_load", "kexec_load", "keyctl",
        "nfsservctl", "pivot_root", "request_key", "swapoff", "swapon", "_sysctl", "sysfs", "userfaultfd", "uselib",
        "ustat", "vm86", "vm86old"}},
  };
}

Rule Allow(Names names) {
  Rule rule;
  rule.names = std::move(names);
  return rule;
}

Rule Deny(Names names) {
  Rule rule = Allow(std::move(names));
  rule.action = Action::kErrno;
  rule.errno_value = EPERM;
  return rule;
}

void AddGates(std::vector<Rule>& rules) {
  for (Gate& gate : Gates()) {
    Rule deny = Deny(gate.names);
    if (gate.capability != nullptr) {
      Rule allow = Allow(gate.names);
      allow.include_caps = {gate.capability};
      deny.exclude_caps = {gate.capability};
      rules.push_back(std::move(allow));
    }
    rules.push_back(std::move(deny));
  }
}

void AddClone(std::vector<Rule>& rules) {
  Rule threads_and_processes = Allow({"clone"});
  threads_and_processes.exclude_caps = {"CAP_SYS_ADMIN"};
  threads_and_processes.args = {{0, kNamespaceFlags, 0, Compare::kMaskedEq}};
  Rule anything = Allow({"clone", "clone3"});
  anything.include_caps = {"CAP_SYS_ADMIN"};
  rules.push_back(std::move(threads_and_processes));
  for (uint64_t flag :
       {CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET}) {
    Rule deny = Deny({"clone"});
    deny.exclude_caps = {"CAP_SYS_ADMIN"};
    deny.args = {{0, flag, flag, Compare::kMaskedEq}};
    rules.push_back(std::move(deny));
  }
  rules.push_back(std::move(anything));
}

// All families but AF_ALG and AF_VSOCK, for which the call does not exist. (Rules that also gave those two an errno of their
// own are mixed up by libseccomp 2.5 with the comparisons below.)
void AddSockets(std::vector<Rule>& rules) {
  static_assert(AF_ALG == 38 && AF_VSOCK == 40);
  for (Argument family : {Argument{0, AF_ALG, 0, Compare::kLt}, Argument{0, 39, 0, Compare::kEq},
                          Argument{0, AF_VSOCK, 0, Compare::kGt}}) {
    Rule rule = Allow({"socket"});
    rule.args = {family};
    rules.push_back(std::move(rule));
  }
}

// personality(2): the plain ones, and 0xffffffff which only asks. Others switch off address randomisation.
void AddPersonality(std::vector<Rule>& rules) {
  for (uint64_t value : {0x0ull, 0x8ull, 0x20000ull, 0x20008ull, 0xffffffffull}) {
    Rule rule = Allow({"personality"});
    rule.args = {{0, value, 0, Compare::kEq}};
    rules.push_back(std::move(rule));
  }
}

}  // namespace

Profile DefaultProfile() {
  Profile profile;
  profile.default_action = Action::kErrno;
  profile.default_errno = ENOSYS;
  profile.architectures = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"};
  for (const char* group : {kFiles, kMemory, kProcesses, kNetworkAndIpc, kTimeAndSystem})
    profile.rules.push_back(Allow(absl::StrSplit(group, ' ')));
  AddClone(profile.rules);
  AddSockets(profile.rules);
  AddPersonality(profile.rules);
  AddGates(profile.rules);
  return profile;
}

}  // namespace wherry::seccomp
