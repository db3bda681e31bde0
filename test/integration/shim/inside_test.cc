// What a container sees and may do, where the shim has a hand in it.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "runtime/sys/file.h"
#include "test/integration/shim/pod_fixture.h"

namespace wherry::shim {
namespace {

class InsideTest : public PodTest, public ::testing::WithParamInterface<bool> {};

TEST_P(InsideTest, SharedMemoryIsThePods) {
  StartHub(GetParam());
  StartPod();
  ASSERT_TRUE(Start("a", "echo text > /dev/shm/file; exec sleep 100000").ok());
  while (Run("a", "look", {"/bin/cat", "/dev/shm/file"})->out.empty()) ::usleep(1000);
  ASSERT_TRUE(Start("b",
                    "cat /dev/shm/file; grep -c ' /dev/shm .*nosuid,nodev,noexec' /proc/mounts; "
                    "grep ' /dev/shm ' /proc/mounts | grep -o 'size=[0-9]*k'; echo $(stat -c %a /dev/shm)")
                  .ok());
  WaitContainer("b");
  EXPECT_EQ(Log("b"), "stdout F text\nstdout F 1\nstdout F size=65536k\nstdout F 1777\n");
}

INSTANTIATE_TEST_SUITE_P(DetachedAndInNamespace, InsideTest, ::testing::Bool());

using ContainerInsideTest = PodTest;

TEST_F(ContainerInsideTest, NothingOfTheShimLeaksIn) {
  StartPod();
  ASSERT_TRUE(Start("a",
                    "ls /proc/self/fd | wc -l; grep -E '^(SigBlk|SigIgn)' /proc/self/status; "
                    "ls -lL /proc/self/fd/0 | grep -c '^c.* 1, *3 '; pwd; echo $$")
                  .ok());
  WaitContainer("a");
  EXPECT_EQ(Log("a"),
            "stdout F 4\nstdout F SigBlk:\t0000000000000000\nstdout F SigIgn:\t0000000000000000\nstdout F 1\n"
            "stdout F /\nstdout F 1\n");
}

TEST_F(ContainerInsideTest, AUserCanReopenItsOutput) {
  StartPod();
  v1::Request request = ContainerRequest("a", "echo out > /dev/stdout; echo err > /dev/stderr; id -u");
  request.mutable_start_container()->mutable_process()->mutable_user()->set_user("user");
  auto reply = Call(request);
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(reply->message.start_container().user().uid(), 1000U);
  EXPECT_EQ(WaitContainer("a").code(), 0);
  EXPECT_NE(Log("a").find("stdout F out\n"), std::string::npos) << Log("a");
  EXPECT_NE(Log("a").find("stderr F err\n"), std::string::npos) << Log("a");
}

TEST_F(ContainerInsideTest, ATerminalIsLoggedRaw) {
  StartPod();
  v1::Request request = ContainerRequest("a", "tty; stty size; exec 0<&- 1>&- 2>&-; exit 4");
  request.mutable_start_container()->mutable_process()->set_tty(true);
  request.mutable_start_container()->mutable_process()->set_tty_width(100);
  request.mutable_start_container()->mutable_process()->set_tty_height(30);
  auto reply = Call(request);
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(WaitContainer("a").code(), 4);
  const std::string log = Log("a");
  EXPECT_EQ(log.find("stdout F /dev/"), 0U) << log;
  EXPECT_NE(log.find("\r\nstdout F 30 100\r\n"), std::string::npos) << log;
}

TEST_F(ContainerInsideTest, AnExecWithATerminalGivesItsMaster) {
  StartPod();
  ASSERT_TRUE(Start("a", "exec sleep 100000").ok());
  v1::Request request = ExecRequest("a", "e", {"/bin/sh", "-c", "tty; exit 5"});
  request.mutable_exec()->mutable_process()->set_tty(true);
  auto reply = Call(request);
  ASSERT_TRUE(reply.ok()) << reply.status();
  ASSERT_EQ(reply->fds.size(), 1U);
  EXPECT_EQ(ReadToEnd(reply->fds[0].get()).find("/dev/"), 0U);
}

TEST_F(ContainerInsideTest, OutOfMemoryIsSeen) {
  StartPod();
  v1::Request request = ContainerRequest("a", "head -c 200000000 /dev/zero | tail -c 150000000 | wc -c; exit 1");
  const std::string dir = request.start_container().cgroup().memory_dir();
  ASSERT_TRUE(sys::WriteFileAt(AT_FDCWD, dir + "/memory.limit_in_bytes", "20000000").ok() ||
              sys::WriteFileAt(AT_FDCWD, dir + "/memory.max", "20000000").ok());
  ASSERT_TRUE(Call(request).ok());
  EXPECT_TRUE(WaitContainer("a").oom_killed());
  ASSERT_EQ(State().containers_size(), 1);
  EXPECT_TRUE(State().containers(0).exit().oom_killed());
}

TEST_F(ContainerInsideTest, SharedPidNamespace) {
  StartHub();
  auto process = hub_->Spawn(pod_id_, socket_);
  ASSERT_TRUE(process.ok()) << process.status();
  shim_ = *process;
  v1::Request setup = SetupRequest();
  setup.mutable_setup_pod()->set_shared_pid(true);
  ASSERT_TRUE(Call(setup).ok());
  // a's daemons outlive their parents and become the init's children; they end with a.
  v1::Request a = ContainerRequest("a", "(sleep 1000 &) ; setsid sleep 1000 & kill -TERM 1; cat /proc/1/comm; exit 6");
  a.mutable_start_container()->set_pid_namespace(v1::PID_POD);
  v1::Request b = ContainerRequest("b", "exec sleep 100000");
  b.mutable_start_container()->set_pid_namespace(v1::PID_POD);
  ASSERT_TRUE(Call(b).ok());
  auto reply = Call(a);
  ASSERT_TRUE(reply.ok()) << reply.status();
  EXPECT_EQ(WaitContainer("a").code(), 6);
  EXPECT_EQ(Log("a"), "stdout F wherry-init\n");
  // b is untouched, sees the init as PID 1, and no zombie of a.
  std::string listing;
  do {
    auto output = Run("b", "ps" + std::to_string(listing.size()), {"/bin/ps", "-o", "pid,stat,comm"});
    ASSERT_TRUE(output.ok()) << output.status();
    listing += output->out;
    if (output->out.find(" Z") == std::string::npos) break;
  } while (listing.size() < 1000000);
  EXPECT_NE(listing.find("wherry-init"), std::string::npos) << listing;
}

TEST_F(ContainerInsideTest, ADaemonThatHoldsTheLogDoesNotDelayTheExit) {
  StartHub();
  StartPod();
  v1::Request request = ContainerRequest("a", "nohup setsid sleep 100000 & echo done; exit 3");
  request.mutable_start_container()->set_pid_namespace(v1::PID_HOST);
  ASSERT_TRUE(Call(request).ok());
  EXPECT_EQ(WaitContainer("a").code(), 3);
  EXPECT_NE(Log("a").find("stdout F done\n"), std::string::npos);
}

TEST_F(ContainerInsideTest, AForkBombIsEndedAtOnce) {
  StartPod();
  v1::Request request = ContainerRequest("a", "bomb() { bomb | bomb & }; bomb; exec sleep 100000");
  for (const std::string& dir : request.start_container().cgroup().v1_dirs())
    (void)sys::WriteFileAt(AT_FDCWD, dir + "/pids.max", "60");
  ASSERT_TRUE(Call(request).ok());
  EXPECT_TRUE(Signal("a", SIGKILL, true).ok());
  EXPECT_EQ(WaitContainer("a").signal(), SIGKILL);
}

}  // namespace
}  // namespace wherry::shim
