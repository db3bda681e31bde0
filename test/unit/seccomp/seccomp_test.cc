// Filters are tried where they count: in a process that has installed one.

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <thread>

#include "runtime/seccomp/cache.h"
#include "runtime/seccomp/compile.h"
#include "runtime/seccomp/profile.h"

namespace wherry::seccomp {
namespace {

// What `call` leaves in errno (0 on success) in a child under the filter; -1 when the child died of it.
int ErrnoUnder(const std::string& bpf, const std::function<long()>& call) {
  pid_t pid = fork();
  if (pid == 0) {
    sock_fprog program = {static_cast<unsigned short>(bpf.size() / 8),
                          reinterpret_cast<sock_filter*>(const_cast<char*>(bpf.data()))};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) _exit(250);
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) _exit(251);
    errno = 0;
    long result = call();
    _exit(result < 0 ? errno : 0);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::string Default(uint64_t capabilities = 0) {
  auto bpf = Compile(DefaultProfile(), capabilities);
  EXPECT_TRUE(bpf.ok()) << bpf.status();
  return bpf.value_or("");
}

TEST(DefaultProfile, LetsOrdinaryProgramsWork) {
  std::string bpf = Default();
  EXPECT_EQ(ErrnoUnder(bpf, [] { return static_cast<long>(getpid()); }), 0);
  EXPECT_EQ(ErrnoUnder(bpf, [] { return static_cast<long>(socket(AF_INET, SOCK_STREAM, 0)); }), 0);
  EXPECT_EQ(ErrnoUnder(bpf, [] { return static_cast<long>(socket(AF_NETLINK, SOCK_RAW, 0)); }), 0);
  EXPECT_EQ(ErrnoUnder(bpf,
                       [] {
                         std::thread([] {}).join();
                         return 0L;
                       }),
            0);
  EXPECT_EQ(ErrnoUnder(bpf,
                       [] {
                         pid_t pid = fork();
                         if (pid == 0) execl("/bin/true", "true", nullptr);
                         int status = 1;
                         waitpid(pid, &status, 0);
                         return status == 0 ? 0L : -1L;
                       }),
            0);
}

TEST(DefaultProfile, RefusesWhatItSaysItRefuses) {
  std::string bpf = Default();
  EXPECT_EQ(ErrnoUnder(bpf, [] { return syscall(SYS_mount, "a", "/", "tmpfs", 0, nullptr); }), EPERM);
  EXPECT_EQ(ErrnoUnder(bpf, [] { return syscall(SYS_unshare, CLONE_NEWUSER); }), EPERM);
  EXPECT_EQ(ErrnoUnder(bpf, [] { return syscall(SYS_keyctl, 0, 0, 0, 0, 0); }), EPERM);
  EXPECT_EQ(ErrnoUnder(bpf, [] { return syscall(SYS_io_uring_setup, 1, nullptr); }), EPERM);
  EXPECT_EQ(ErrnoUnder(bpf, [] { return syscall(SYS_bpf, 0, nullptr, 0); }), EPERM);
  EXPECT_EQ(ErrnoUnder(bpf, [] { return syscall(SYS_personality, 0x40000); }), ENOSYS);
  EXPECT_EQ(ErrnoUnder(bpf, [] { return static_cast<long>(socket(AF_ALG, SOCK_SEQPACKET, 0)); }), ENOSYS);
  EXPECT_EQ(ErrnoUnder(bpf, [] { return static_cast<long>(socket(AF_VSOCK, SOCK_STREAM, 0)); }), ENOSYS);
}

TEST(DefaultProfile, NewNamespacesByCloneAreRefusedAndClone3DoesNotExist) {
  std::string bpf = Default();
  EXPECT_EQ(ErrnoUnder(bpf, [] { return syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0); }), EPERM);
  EXPECT_EQ(ErrnoUnder(bpf, [] { return syscall(SYS_clone, CLONE_NEWNS | CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0); }),
            EPERM);
  EXPECT_EQ(ErrnoUnder(bpf, [] { return syscall(SYS_clone3, nullptr, 0); }), ENOSYS);
}

TEST(DefaultProfile, ACallOfTheFutureDoesNotExist) {
  EXPECT_EQ(ErrnoUnder(Default(), [] { return syscall(1000); }), ENOSYS);
}

TEST(DefaultProfile, ACapabilityOpensItsCalls) {
  std::string bpf = Default(1ull << CAP_SYS_ADMIN);
  // EFAULT/EINVAL from the kernel itself instead of the filter's EPERM.
  EXPECT_NE(ErrnoUnder(bpf, [] { return syscall(SYS_clone3, nullptr, 0); }), ENOSYS);
  EXPECT_EQ(ErrnoUnder(bpf, [] { return syscall(SYS_setns, -1, 0); }), EBADF);
  EXPECT_EQ(ErrnoUnder(bpf, [] { return syscall(SYS_keyctl, 0, 0, 0, 0, 0); }), EPERM);
}

TEST(JsonProfile, DeniesASingleCallWithItsErrno) {
  auto profile = Parse(R"({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
    "syscalls": [{"names": ["getcwd"], "action": "SCMP_ACT_ERRNO", "errnoRet": 42},
                 {"names": ["kill"], "action": "SCMP_ACT_ERRNO",
                  "args": [{"index": 1, "value": 10, "op": "SCMP_CMP_EQ"}]}]})");
  ASSERT_TRUE(profile.ok()) << profile.status();
  auto bpf = Compile(*profile, 0);
  ASSERT_TRUE(bpf.ok()) << bpf.status();
  EXPECT_EQ(ErrnoUnder(*bpf, [] { return syscall(SYS_getcwd, nullptr, 0); }), 42);
  EXPECT_EQ(ErrnoUnder(*bpf, [] { return syscall(SYS_kill, 0x7ffffff, 10); }), EPERM);
  EXPECT_EQ(ErrnoUnder(*bpf, [] { return syscall(SYS_kill, 0x7ffffff, 12); }), ESRCH);
}

TEST(JsonProfile, ConditionsOnCapabilitiesDecide) {
  auto profile = Parse(R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
    {"names": ["getcwd"], "action": "SCMP_ACT_ERRNO", "errnoRet": 42, "excludes": {"caps": ["CAP_SYS_ADMIN"]}}]})");
  ASSERT_TRUE(profile.ok()) << profile.status();
  auto call = [] { return syscall(SYS_getcwd, nullptr, 0); };
  EXPECT_EQ(ErrnoUnder(*Compile(*profile, 0), call), 42);
  EXPECT_NE(ErrnoUnder(*Compile(*profile, 1ull << CAP_SYS_ADMIN), call), 42);
}

TEST(JsonProfile, WhatIsNotUnderstoodIsRefused) {
  for (const char* text : {
           "",
           "[]",
           "{}",
           "{\"defaultAction\": 1}",
           R"({"defaultAction": "SCMP_ACT_NOTIFY"})",
           R"({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/x"})",
           R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"action": "SCMP_ACT_ERRNO"}]})",
           R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["a"], "action": "x"}]})",
           R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["a"], "action": "SCMP_ACT_LOG",
               "args": [{"index": 9, "value": 1, "op": "SCMP_CMP_EQ"}]}]})",
           R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["a"], "action": "SCMP_ACT_LOG",
               "args": [{"index": 1, "value": -1, "op": "SCMP_CMP_EQ"}]}]})",
       }) {
    auto profile = Parse(text);
    EXPECT_EQ(profile.status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(Cache, GivesTheSameFilterAgainAndTellsCapabilitiesApart) {
  Cache cache;
  auto plain = cache.Default(0), again = cache.Default(0), admin = cache.Default(1ull << CAP_SYS_ADMIN);
  ASSERT_TRUE(plain.ok() && again.ok() && admin.ok());
  EXPECT_EQ(*plain, *again);
  EXPECT_NE(*plain, *admin);
  EXPECT_FALSE(cache.Json("{}", 0).ok());
}

}  // namespace
}  // namespace wherry::seccomp
