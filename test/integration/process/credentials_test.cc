#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>

#include "test/integration/process/support.h"

namespace wherry::process {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kStatus[] = "grep -E '^(Cap|NoNew|Seccomp:)' /proc/self/status";

TEST(Credentials, CapabilitiesAreExactly) {
  InPod([] {
    Pod pod;
    auto request = pod.Shell(kStatus);
    Ended ended = pod.Run(request);
    EXPECT_EQ(ended.output,
              "CapInh:\t0000000000000000\nCapPrm:\t00000000a80425fb\nCapEff:\t00000000a80425fb\n"
              "CapBnd:\t00000000a80425fb\nCapAmb:\t0000000000000000\nNoNewPrivs:\t0\nSeccomp:\t0\n");
    request = pod.Shell(kStatus);
    request.mutable_process()->mutable_user()->set_user("nginx");
    request.mutable_process()->mutable_capabilities()->set_ambient(1 << 10);
    request.mutable_process()->set_no_new_privs(true);
    ended = pod.Run(request);
    EXPECT_EQ(ended.output,
              "CapInh:\t0000000000000400\nCapPrm:\t0000000000000400\nCapEff:\t0000000000000400\n"
              "CapBnd:\t00000000a80425fb\nCapAmb:\t0000000000000400\nNoNewPrivs:\t1\nSeccomp:\t0\n");
    request = pod.Shell(kStatus);
    request.mutable_process()->clear_capabilities();
    ended = pod.Run(request);
    EXPECT_THAT(ended.output, HasSubstr("CapBnd:\t0000000000000000"));
    EXPECT_THAT(ended.output, HasSubstr("CapEff:\t0000000000000000"));
  });
}

TEST(Credentials, UsersAndGroups) {
  InPod([] {
    Pod pod;
    auto request = pod.Shell("id -u; id -G; echo $HOME");
    auto* user = request.mutable_process()->mutable_user();
    user->set_user("nginx");
    user->set_merge_image_groups(true);
    user->add_additional_groups(5000);
    Ended ended = pod.Run(request);
    ASSERT_TRUE(ended.start.ok()) << ended.start;
    EXPECT_EQ(ended.output, "101\n102 26 5000\n/var/www\n");
    EXPECT_EQ(ended.user.uid(), 101u);
    EXPECT_EQ(ended.user.gid(), 102u);
    EXPECT_THAT(ended.user.groups(), ElementsAre(26, 102, 5000));
    user->set_user("nobody-such");
    EXPECT_EQ(pod.Run(request).start.code(), absl::StatusCode::kInvalidArgument);
    user->set_user("4294967296");
    EXPECT_EQ(pod.Run(request).start.code(), absl::StatusCode::kInvalidArgument);
  });
}

TEST(Credentials, AnOrdinaryUserMayReopenItsStreams) {
  InPod([] {
    Pod pod;
    auto request = pod.Shell("echo out > /dev/stdout; echo err > /proc/self/fd/2");
    request.mutable_process()->mutable_user()->set_user("1234");
    EXPECT_EQ(pod.Run(request).output, "out\nerr\n");
  });
}

std::string Filter(uint32_t call, uint32_t action) {
  const sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, action),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  return std::string(reinterpret_cast<const char*>(program), sizeof(program));
}

TEST(Credentials, TheSeccompFilterIsInForceWithAndWithoutNoNewPrivileges) {
  InPod([] {
    Pod pod;
    for (bool no_new_privs : {false, true}) {
      for (const char* user : {"0", "1000"}) {
        auto request = pod.Shell("mkdir /tmp/x; grep Seccomp: /proc/self/status");
        request.mutable_process()->mutable_user()->set_user(user);
        request.mutable_process()->set_no_new_privs(no_new_privs);
        request.mutable_process()->set_seccomp_bpf(Filter(SYS_mkdir, SECCOMP_RET_ERRNO | EDOM));
        Ended ended = pod.Run(request);
        ASSERT_TRUE(ended.start.ok()) << ended.start;
        EXPECT_EQ(ended.output,
                  "mkdir: can't create directory '/tmp/x': Numerical argument out of domain\nSeccomp:\t2\n");
      }
    }
    auto request = pod.Shell("true");
    request.mutable_process()->set_seccomp_bpf("odd");
    EXPECT_EQ(pod.Run(request).start.code(), absl::StatusCode::kInvalidArgument);
  });
}

TEST(Credentials, LimitsAndOomScore) {
  InPod([] {
    Pod pod;
    auto request = pod.Shell("ulimit -n; ulimit -c; cat /proc/self/oom_score_adj; umask");
    auto* limit = request.mutable_process()->add_rlimits();
    limit->set_resource(RLIMIT_NOFILE);
    limit->set_soft(64);
    limit->set_hard(128);
    limit = request.mutable_process()->add_rlimits();
    limit->set_resource(RLIMIT_CORE);
    request.mutable_process()->set_oom_score_adj(321);
    EXPECT_EQ(pod.Run(request).output, "64\n0\n321\n0022\n");
    request.mutable_process()->set_oom_score_adj(-999);
    EXPECT_TRUE(pod.Run(request).start.ok());
  });
}

TEST(Credentials, NoDescriptorLeaks) {
  InPod([] {
    Pod pod;
    const int leak = ::open("/", O_RDONLY);  // not even close-on-exec
    ASSERT_GE(::dup2(leak, 900), 0);
    EXPECT_EQ(pod.Run(pod.Shell("ls /proc/self/fd")).output, "0\n1\n2\n3\n");  // 3 is ls' own
    for (int fd = 3; fd < 40; ++fd) {
      auto request = pod.Shell("pwd");
      request.mutable_process()->set_cwd("/proc/self/fd/" + std::to_string(fd));
      EXPECT_FALSE(pod.Run(request).start.ok());
      request = pod.Request({"/proc/self/fd/" + std::to_string(fd) + "/bin/busybox", "true"});
      EXPECT_FALSE(pod.Run(request).start.ok());
    }
  });
}

TEST(Credentials, TheWorkingDirectoryIsMadeAndInside) {
  InPod([] {
    Pod pod;
    auto request = pod.Shell("pwd");
    request.mutable_process()->set_cwd("/made/for/it");
    EXPECT_EQ(pod.Run(request).output, "/made/for/it\n");
    request.mutable_process()->set_cwd("/bin/busybox");
    EXPECT_FALSE(pod.Run(request).start.ok());
  });
}

TEST(Program, FailuresSayWhatAndWhy) {
  InPod([] {
    Pod pod;
    pod.Write("base/tmp/plain", "text");
    pod.Write("base/tmp/garbage", "\x01garbage", 0755);
    pod.Write("base/tmp/script", "#!/no/such\n", 0755);
    struct Case {
      const char* command;
      absl::StatusCode code;
      const char* text;
    };
    const Case cases[] = {
        {"foo", absl::StatusCode::kNotFound, "exec \"foo\": not found in PATH \"/bin\""},
        {"/foo", absl::StatusCode::kNotFound, "exec \"/foo\": No such file or directory"},
        {"/tmp/plain", absl::StatusCode::kPermissionDenied, "exec \"/tmp/plain\": Permission denied"},
        {"/tmp", absl::StatusCode::kPermissionDenied, "exec \"/tmp\""},
        {"/tmp/garbage", absl::StatusCode::kInvalidArgument, "exec format error"},
        {"/tmp/script", absl::StatusCode::kNotFound, "interpreter"},
    };
    for (const Case& c : cases) {
      Ended ended = pod.Run(pod.Request({c.command}));
      EXPECT_EQ(ended.start.code(), c.code) << ended.start;
      EXPECT_THAT(std::string(ended.start.message()), HasSubstr(c.text));
    }
    EXPECT_EQ(pod.Run(pod.Request({})).start.code(), absl::StatusCode::kInvalidArgument);
  });
}

TEST(Terminal, IsTheConsoleAndItsMasterComesBack) {
  InPod([] {
    Pod pod;
    auto request = pod.Shell("tty; stty size; echo x > /dev/console; readlink /proc/self/fd/0; stat -c %u /dev/pts/0");
    request.mutable_process()->set_tty(true);
    request.mutable_process()->set_tty_width(101);
    request.mutable_process()->set_tty_height(31);
    request.mutable_process()->mutable_user()->set_user("1000");
    request.mutable_process()->mutable_user()->set_gid(5);
    Ended ended = pod.Run(request);
    ASSERT_TRUE(ended.start.ok()) << ended.start;
    EXPECT_EQ(ended.output, "/dev/pts/0\r\n31 101\r\nx\r\n/dev/pts/0\r\n1000\r\n");
  });
}

}  // namespace
}  // namespace wherry::process
