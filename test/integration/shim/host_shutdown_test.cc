// The last part of a host's shutdown: PID 1, by then systemd-shutdown, sends SIGTERM to every process.
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "test/integration/shim/pod_fixture.h"

namespace wherry::shim {
namespace {

class HostShutdownTest : public PodTest {
 protected:
  // Runs `body` as PID 1, called `name`, of a PID namespace in which the shim is too.
  void AsPid1(const char* name, const std::function<void()>& body) {
    const pid_t outer = ::fork();
    if (outer == 0) {
      if (::unshare(CLONE_NEWPID | CLONE_NEWNS) != 0) ::_exit(10);
      const pid_t first = ::fork();
      if (first == 0) {
        if (::mount("proc", "/proc", "proc", 0, nullptr) != 0) ::_exit(11);
        (void)::prctl(PR_SET_NAME, name, 0, 0, 0);
        body();
        ::_exit(HasFailure() ? 12 : 0);
      }
      int status = 0;
      ::_exit(::waitpid(first, &status, 0) == first && WIFEXITED(status) ? WEXITSTATUS(status) : 13);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(outer, &status, 0), outer);
    EXPECT_EQ(WEXITSTATUS(status), 0) << status;
  }
  // Waits for the shim's own end, which it has not been asked for.
  void WaitForTheShim() const {
    const sys::UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, shim_.pid, 0)));
    pollfd entry{pidfd.get(), POLLIN, 0};
    EXPECT_EQ(pidfd.valid() ? ::poll(&entry, 1, 60000) : 1, 1);
  }
};

TEST_F(HostShutdownTest, AnIdleShimEnds) {
  AsPid1("systemd-shutdow", [this] {
    StartPod();
    EXPECT_EQ(::kill(-1, SIGTERM), 0);
    WaitForTheShim();
    WaitLost();
  });
}

TEST_F(HostShutdownTest, ContainersAreWaitedFor) {
  // As PID 1 of its namespace, and without a handler, it does not notice.
  const v1::Request container = ContainerRequest("c", "exec sleep 100000");
  AsPid1("systemd-shutdow", [&] {
    StartPod();
    ASSERT_TRUE(Call(container).ok());
    EXPECT_EQ(::kill(-1, SIGTERM), 0);
    // Of two requests one is answered after the signal was seen: the poller takes what is ready in turn.
    (void)State();
    EXPECT_EQ(State().containers_size(), 1);
    ASSERT_TRUE(Signal("c", SIGKILL).ok());
    EXPECT_EQ(WaitContainer("c").code(), 128 + SIGKILL);
    WaitForTheShim();
  });
}

TEST_F(HostShutdownTest, ASignalOfPid1BeforeItShutsDownIsIgnored) {
  AsPid1("systemd", [this] {
    StartPod();
    EXPECT_EQ(::kill(-1, SIGTERM), 0);
    (void)State();
    EXPECT_EQ(State().pod_id(), pod_id_);
  });
}

}  // namespace
}  // namespace wherry::shim
