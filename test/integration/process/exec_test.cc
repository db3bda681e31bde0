#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "runtime/sys/file.h"
#include "test/integration/process/support.h"

namespace wherry::process {
namespace {

using ::testing::HasSubstr;

TEST(Exec, RunsInTheContainer) {
  InPod([] {
    Pod pod;
    auto request = pod.Shell("echo made > /tmp/file; exec sleep 1000");
    Launch init = pod.Start(request);
    Ended ended = pod.Exec(pod.ExecRequest(request, {"sh", "-c",
                                                     "until cat /tmp/file 2>/dev/null; do :; done; "
                                                     "until grep sleep /proc/1/comm; do :; done"}),
                           init);
    EXPECT_TRUE(ended.start.ok()) << ended.start;
    EXPECT_EQ(ended.code, 0);
    EXPECT_EQ(ended.output, "made\nsleep\n");
    pod.End(init);
  });
}

TEST(Exec, SeesWhatTheInitSees) {
  InPod([] {
    Pod pod;
    auto request = pod.Request({"/bin/sleep", "1000"});
    Launch init = pod.Start(request);
    Ended ended = pod.Exec(
        pod.ExecRequest(request, {"sh", "-c",
                                  "for n in mnt pid cgroup net ipc uts; do "
                                  "test $(readlink /proc/1/ns/$n) = $(readlink /proc/self/ns/$n) || echo $n; done; "
                                  "test \"$(cat /proc/1/cgroup)\" = \"$(cat /proc/self/cgroup)\" || echo cgroup; "
                                  "grep -E 'Cap(Inh|Eff)' /proc/self/status; ls /proc/self/fd"}),
        init);
    EXPECT_EQ(ended.output, "CapInh:\t0000000000000000\nCapEff:\t00000000a80425fb\n0\n1\n2\n3\n");
    pod.End(init);
  });
}

// As systemd does, or a container runtime: on v2 the container's own cgroup then takes no process.
TEST(Exec, GoesWhereAnInitIsThatDividedItsCgroup) {
  auto controllers = sys::ReadFileAt(AT_FDCWD, "/sys/fs/cgroup/cgroup.subtree_control");
  if (!controllers.ok() || controllers->find("pids") == std::string::npos)
    GTEST_SKIP() << "this host passes no controllers down on v2";
  InPod([] {
    Pod pod;
    auto request = pod.Shell(
        "cd /sys/fs/cgroup && mkdir init && echo 1 >init/cgroup.procs && echo +pids >cgroup.subtree_control; "
        "touch /tmp/done; exec sleep 1000");
    request.set_privileged(true);
    Launch init = pod.Start(request);
    ASSERT_GT(init.pid, 0);
    while (!std::filesystem::exists(request.rootfs().upperdir() + "/tmp/done")) (void)::sched_yield();
    Ended ended = pod.Exec(pod.ExecRequest(request, {"grep", "^0:", "/proc/self/cgroup"}), init);
    EXPECT_TRUE(ended.start.ok()) << ended.start;
    EXPECT_EQ(ended.output, "0::/init\n");
    pod.End(init);
    const std::string made = request.cgroup().unified_dir() + "/init";
    while (::rmdir(made.c_str()) != 0 && errno == EBUSY) (void)::sched_yield();
  });
}

TEST(Exec, FailuresSayWhatAndWhy) {
  InPod([] {
    Pod pod;
    auto request = pod.Request({"/bin/sleep", "1000"});
    Launch init = pod.Start(request);
    Ended ended = pod.Exec(pod.ExecRequest(request, {"nothing"}), init);
    EXPECT_EQ(ended.start.code(), absl::StatusCode::kNotFound) << ended.start;
    auto exec = pod.ExecRequest(request, {"true"});
    exec.mutable_process()->set_cwd("/not/made");
    EXPECT_FALSE(pod.Exec(exec, init).start.ok());
    pod.End(init);
    ended = pod.Exec(pod.ExecRequest(request, {"true"}), init);
    EXPECT_EQ(ended.start.code(), absl::StatusCode::kFailedPrecondition) << ended.start;
  });
}

TEST(Exec, HasATerminal) {
  InPod([] {
    Pod pod;
    auto request = pod.Request({"/bin/sleep", "1000"});
    Launch init = pod.Start(request);
    auto exec = pod.ExecRequest(request, {"sh", "-c", "tty; stty size"});
    exec.mutable_process()->set_tty(true);
    exec.mutable_process()->set_tty_width(80);
    exec.mutable_process()->set_tty_height(25);
    Ended ended = pod.Exec(exec, init);
    EXPECT_TRUE(ended.start.ok()) << ended.start;
    EXPECT_EQ(ended.output, "/dev/pts/0\r\n25 80\r\n");
    pod.End(init);
  });
}

TEST(PidNamespace, HostPodAndTarget) {
  InPod([] {
    Pod pod;
    auto target = pod.Request({"/bin/sleep", "1000"});
    Launch init = pod.Start(target);
    auto request = pod.Shell("readlink /proc/self/ns/pid; grep -c . /proc/1/comm; echo $$");
    request.set_pid_namespace(shim::v1::PID_HOST);
    Ended host = pod.Run(request);
    char own[64] = {};
    ASSERT_GT(::readlink("/proc/self/ns/pid", own, sizeof(own) - 1), 0);
    EXPECT_THAT(host.output, HasSubstr(own));

    request.set_pid_namespace(shim::v1::PID_TARGET);
    EXPECT_EQ(pod.Run(request).start.code(), absl::StatusCode::kFailedPrecondition);
    Ended in_target = pod.Run(request, init.pid);
    ASSERT_TRUE(in_target.start.ok()) << in_target.start;
    EXPECT_THAT(in_target.output, testing::EndsWith("\n2\n"));

    request.set_pid_namespace(shim::v1::PID_POD);
    EXPECT_EQ(pod.Run(request).start.code(), absl::StatusCode::kFailedPrecondition);
    pod.SharePidNamespaceOf(init);
    Ended in_pod = pod.Run(request);
    ASSERT_TRUE(in_pod.start.ok()) << in_pod.start;
    EXPECT_EQ(in_pod.output.substr(0, in_pod.output.find('\n')),
              in_target.output.substr(0, in_target.output.find('\n')));
    // The caller's own children are where they were.
    const pid_t child = ::fork();
    if (child == 0) ::_exit(::getpid() == 1 ? 1 : 0);
    int status = -1;
    (void)::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    pod.End(init);
  });
}

TEST(Init, DiesWithItsParent) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  sys::UniqueFd read(ends[0]), write(ends[1]);
  InPod([&] {
    read.reset();
    Pod pod;
    auto request = pod.Request({"/bin/sleep", "1000"});
    request.mutable_process()->mutable_user()->set_user("1000");
    Stdio stdio;
    stdio.in = *sys::OpenAt(AT_FDCWD, "/dev/null", O_RDWR);
    stdio.out.reset(::fcntl(write.get(), F_DUPFD_CLOEXEC, 0));
    stdio.err = *sys::OpenAt(AT_FDCWD, "/dev/null", O_RDWR);
    auto launch = StartContainer(request, pod.context(), std::nullopt, std::move(stdio));
    ASSERT_TRUE(launch.ok());
    char byte;
    EXPECT_EQ(::read(launch->outcome.get(), &byte, 1), 0);
    EXPECT_TRUE(ReadOutcome(*launch).ok());
  });
  write.reset();
  char byte;
  EXPECT_EQ(::read(read.get(), &byte, 1), 0);  // the end of the container's stdout: it is gone
}

}  // namespace
}  // namespace wherry::process
