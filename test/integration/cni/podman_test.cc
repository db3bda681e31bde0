#include <chrono>
#include <fstream>

#include "gmock/gmock.h"
#include "test/integration/cni/other_runtime.h"

// Debian's podman with its CNI back end on our plugins. It writes its own tables of ports and hands them over by the portMappings
// capability; it calls DEL for a container that has ended, from a process of its own.
namespace wherry::cni_test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class PodmanTest : public OtherRuntime {
 protected:
  PodmanTest() : OtherRuntime("bin/podman") {}
  void SetUp() override {
    OtherRuntime::SetUp();
    if (IsSkipped()) return;
    // Its libraries are not installed, and no variable that names them reaches the podman that conmon starts for a container's end.
    std::ofstream preload("/etc/ld.so.preload");
    for (const char* library : {"libassuan.so.0", "libgpgme.so.11", "libsubid.so.4", "libglib-2.0.so.0"})
      preload << Peer("lib/x86_64-linux-gnu/") << library << "\n";
    preload << Peer("../lib/x86_64-linux-gnu/libdevmapper.so.1.02.1\n");
    std::ofstream(Configuration())
        << "[network]\nnetwork_backend = \"cni\"\ncni_plugin_dirs = [\"/opt/cni/bin\"]\n"
        << "network_config_dir = \"/etc/cni/net.d\"\n"
        << "[containers]\nlog_driver = \"k8s-file\"\n"
        << "[engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\nruntime = \"runc\"\n"
        << "conmon_path = [\"" << Peer("bin/conmon") << "\"]\n"
        << "[engine.runtimes]\nrunc = [\"" << Peer("sbin/runc") << "\"]\n";
  }
  std::string Configuration() const { return root_ / "containers.conf"; }

  std::string Podman(const std::vector<std::string>& words) const {
    std::vector<std::string> all = {"--root",   root_ / "store", "--runroot",        root_ / "run/podman",
                                    "--tmpdir", root_ / "tmp",   "--storage-driver", "vfs"};
    all.insert(all.end(), words.begin(), words.end());
    return Output(Peer("bin/podman"), all, {Path(), "CONTAINERS_CONF=" + Configuration(), "HOME=" + root_.string()});
  }
  // `podman run` of busybox on the network "pods".
  std::string RunContainer(const std::vector<std::string>& options, const std::string& script) const {
    // Profiles are for images' sake here, and Debian keeps them in a package more.
    std::vector<std::string> words = {
        "run", "--security-opt", "seccomp=unconfined", "--cgroup-parent", "/" + cgroup_, "--network", "pods"};
    words.insert(words.end(), options.begin(), options.end());
    for (const std::string& word :
         {std::string("--rootfs"), Rootfs(), std::string("/bin/busybox"), std::string("sh"), std::string("-c"), script})
      words.push_back(word);
    return Podman(words);
  }
};

TEST_F(PodmanTest, ItsContainersAreOnOurBridgeWithTheirPortsAndLeaveNothing) {
  WriteConflist(nlohmann::json::object());
  RunContainer({"-d", "--name", "server", "-p", "8080:80"},
               "exec /bin/busybox nc -ll -p 80 -e /bin/busybox echo from the server");
  std::string fetched;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while ((fetched = Fetch("10.88.0.1", 8080)).empty() && std::chrono::steady_clock::now() < deadline) usleep(10000);
  EXPECT_EQ(fetched, "from the server\n") << Podman({"ps", "-a"});
  const std::string output = RunContainer(
      {"--rm", "--name", "client"},
      "/bin/busybox ip addr show eth0; until /bin/busybox nc 10.88.0.2 80; do /bin/busybox usleep 10000; done");
  EXPECT_THAT(output, HasSubstr("inet 10.88.0.3/24"));
  EXPECT_THAT(output, HasSubstr("from the server"));
  EXPECT_THAT(Links("veth"), SizeIs(1)) << "only the server is left";
  Podman({"rm", "-f", "-t", "0", "server"});
  EXPECT_THAT(Leases(), IsEmpty());
  EXPECT_THAT(Links("veth"), IsEmpty());
  EXPECT_EQ(Fetch("10.88.0.1", 8080), "");
}

}  // namespace
}  // namespace wherry::cni_test
