#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "test/integration/cni/other_runtime.h"

// Another runtime on our plugins: Debian's containerd with runc, by `ctr run --cni`, which runs the plugins of /opt/cni/bin by the
// configuration in /etc/cni/net.d through libcni.
namespace wherry::cni_test {
namespace {

class ContainerdTest : public OtherRuntime {
 protected:
  ContainerdTest() : OtherRuntime("bin/containerd") {}
  void SetUp() override {
    OtherRuntime::SetUp();
    if (IsSkipped()) return;
    std::ofstream(root_ / "containerd.toml")
        << "version = 2\nroot = \"" << (root_ / "root").string() << "\"\nstate = \"" << (root_ / "state").string()
        << "\"\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = \"" << Socket() << "\"\n";
    StartDaemon();
  }
  void TearDown() override {
    if (daemon_ > 0) {
      kill(daemon_, SIGTERM);
      waitpid(daemon_, nullptr, 0);
    }
    OtherRuntime::TearDown();
  }
  std::string Socket() const { return root_ / "containerd.sock"; }

  void StartDaemon() {
    std::string program = Peer("bin/containerd"), config = root_ / "containerd.toml";
    std::string path = Path();
    char option[] = "-c";
    char* arguments[] = {program.data(), option, config.data(), nullptr};
    char* environment[] = {path.data(), nullptr};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    for (int fd : {1, 2})
      posix_spawn_file_actions_addopen(&actions, fd, (root_ / "log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ASSERT_EQ(posix_spawn(&daemon_, program.c_str(), &actions, nullptr, arguments, environment), 0);
    posix_spawn_file_actions_destroy(&actions);
    // The client waits for the socket only if it is there.
    for (int i = 0; i < 600 && access(Socket().c_str(), F_OK) != 0; ++i) usleep(100000);
  }
  // Runs a container of busybox to its end: its output.
  std::string RunContainer(const std::string& id, const std::string& script) {
    return Output(Peer("bin/ctr"),
                  {"-a", Socket(), "run", "--rm", "--cni", "--cgroup", "/" + cgroup_ + "/" + id, "--rootfs", Rootfs(),
                   id, "/bin/busybox", "sh", "-c", script},
                  {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"});
  }
  std::string Log() const {
    std::stringstream out;
    out << std::ifstream(root_ / "log").rdbuf();
    return out.str();
  }

  pid_t daemon_ = -1;
};

TEST_F(ContainerdTest, ItsContainersAreOnOurBridgeAndLeaveNothing) {
  WriteConflist({{"mtu", 1400}});
  const Server node(8000, "from the node");
  for (const char* id : {"first", "second"}) {
    const std::string output = RunContainer(
        id, "/bin/busybox ip addr show eth0; /bin/busybox nc 10.88.0.1 8000; /bin/busybox nc fd00:88::1 8000");
    EXPECT_NE(output.find(id == std::string("first") ? "inet 10.88.0.2/24" : "inet 10.88.0.3/24"), std::string::npos)
        << output << Log();
    EXPECT_NE(output.find("inet6 fd00:88::"), std::string::npos) << output;
    EXPECT_NE(output.find("mtu 1400"), std::string::npos) << output;
    EXPECT_NE(output.find("from the nodefrom the node"), std::string::npos) << output;
    EXPECT_TRUE(Leases().empty());
    EXPECT_TRUE(Links("veth").empty());
  }
}

}  // namespace
}  // namespace wherry::cni_test
