// Which namespaces the processes of a pod share: NamespaceOption.

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "test/conformance/runtime.h"

namespace wherry::conformance {
namespace {

using testing::HasSubstr;
using testing::Not;

class NamespacesTest : public ConformanceTest {
 protected:
  // What readlink(1) says of a namespace of a container's program.
  std::string NamespaceOf(const std::string& container, const std::string& kind) {
    return Sh(container, "readlink /proc/self/ns/" + kind);
  }
  // The tests run in the namespaces of the host.
  static std::string HostsNamespace(const std::string& kind) {
    return std::filesystem::read_symlink("/proc/self/ns/" + kind);
  }
  void RunPodWith(cri::NamespaceMode pid, cri::NamespaceMode ipc = cri::POD) {
    RunPod([&](cri::PodSandboxConfig& config) {
      SecurityOf(config).mutable_namespace_options()->set_pid(pid);
      SecurityOf(config).mutable_namespace_options()->set_ipc(ipc);
    });
  }
};

TEST_F(NamespacesTest, APodsProcessesAreSharedWhereItSaysSo) {
  RunPodWith(cri::POD);
  Run({"sleep", "7654321"});
  const std::string other = Run({"sleep", "1000"});
  EXPECT_THAT(Sh(other, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"), HasSubstr("sleep 7654321"));
  EXPECT_NE(NamespaceOf(other, "pid"), HostsNamespace("pid"));
  EXPECT_THAT(Sh(other, "tr '\\0' ' ' </proc/1/cmdline"), Not(HasSubstr("sleep")))
      << "the pod's first process is none of them";
}

TEST_F(NamespacesTest, AContainersProcessesAreItsOwn) {
  RunPodWith(cri::CONTAINER);
  Run({"sleep", "7654321"});
  const std::string other = Run({"sleep", "1000"});
  EXPECT_EQ(Sh(other, "tr '\\0' ' ' </proc/1/cmdline"), "sleep 1000 ");
  EXPECT_THAT(Sh(other, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"), Not(HasSubstr("7654321")));
}

TEST_F(NamespacesTest, TheHostsProcessesAreSeenWithItsPidNamespace) {
  RunPodWith(cri::NODE);
  const std::string id = Run({"sleep", "1000"});
  EXPECT_EQ(NamespaceOf(id, "pid"), HostsNamespace("pid"));
  EXPECT_THAT(Sh(id, "cat /proc/" + std::to_string(::getpid()) + "/comm"), HasSubstr("wherry_conform"));
}

// kubectl debug --target.
TEST_F(NamespacesTest, AContainerCanJoinTheProcessesOfAnother) {
  RunPodWith(cri::CONTAINER);
  const std::string target = Run({"sleep", "7654321"});
  const std::string debugger = Run({"sleep", "1000"}, [&](cri::ContainerConfig& config) {
    SecurityOf(config).mutable_namespace_options()->set_pid(cri::TARGET);
    SecurityOf(config).mutable_namespace_options()->set_target_id(target);
  });
  EXPECT_EQ(NamespaceOf(debugger, "pid"), NamespaceOf(target, "pid"));
  EXPECT_EQ(Sh(debugger, "tr '\\0' ' ' </proc/1/cmdline"), "sleep 7654321 ");
}

TEST_F(NamespacesTest, IpcIsThePodsOrTheHosts) {
  RunPodWith(cri::CONTAINER, cri::POD);
  const std::string first = Run({"sleep", "1000"}), second = Run({"sleep", "1000"});
  EXPECT_EQ(NamespaceOf(first, "ipc"), NamespaceOf(second, "ipc"));
  EXPECT_NE(NamespaceOf(first, "ipc"), HostsNamespace("ipc"));
  EXPECT_EQ(Sh(first, "echo shared >/dev/shm/wherry-conformance; cat /dev/shm/wherry-conformance"), "shared");
  EXPECT_EQ(Sh(second, "cat /dev/shm/wherry-conformance"), "shared");
  EXPECT_FALSE(std::filesystem::exists("/dev/shm/wherry-conformance"));

  RunPodWith(cri::CONTAINER, cri::NODE);
  const std::string third = Run({"sleep", "1000"});
  EXPECT_EQ(NamespaceOf(third, "ipc"), HostsNamespace("ipc"));
  struct stat host {};
  ASSERT_EQ(::stat("/dev/shm", &host), 0);
  EXPECT_EQ(Sh(third, "stat -c %d /dev/shm"), std::to_string(host.st_dev));
}

TEST_F(NamespacesTest, NamesAndNetworkAreThePodsOrTheHosts) {
  RunPod([](cri::PodSandboxConfig& config) { config.set_hostname("a-host-name"); });
  const std::string own = Run({"sleep", "1000"});
  EXPECT_EQ(Sh(own, "hostname; cat /etc/hostname"), "a-host-name\na-host-name");
  EXPECT_NE(NamespaceOf(own, "net"), HostsNamespace("net"));
  RunPod([](cri::PodSandboxConfig& config) {
    SecurityOf(config).mutable_namespace_options()->set_network(cri::NODE);
    SecurityOf(config).mutable_namespace_options()->set_pid(cri::CONTAINER);
  });
  const std::string hosts = Run({"sleep", "1000"});
  EXPECT_EQ(NamespaceOf(hosts, "net"), HostsNamespace("net"));
  EXPECT_EQ(NamespaceOf(hosts, "uts"), HostsNamespace("uts"));
}

TEST_F(NamespacesTest, SysctlsAreThePods) {
  auto value = [](const std::string& name) {
    std::ifstream file("/proc/sys/" + name);
    std::string text;
    std::getline(file, text);
    return text;
  };
  const std::string before = value("kernel/shm_rmid_forced");
  RunPod([](cri::PodSandboxConfig& config) {
    (*config.mutable_linux()->mutable_sysctls())["kernel.shm_rmid_forced"] = "1";
    (*config.mutable_linux()->mutable_sysctls())["net.ipv4.ip_local_port_range"] = "2000 3000";
    (*config.mutable_linux()->mutable_sysctls())["fs.mqueue.msg_max"] = "33";
  });
  const std::string id = Run({"sleep", "1000"});
  EXPECT_EQ(Sh(id, "cd /proc/sys; cat kernel/shm_rmid_forced net/ipv4/ip_local_port_range fs/mqueue/msg_max"),
            "1\n2000\t3000\n33");
  EXPECT_EQ(value("kernel/shm_rmid_forced"), before);
}

}  // namespace
}  // namespace wherry::conformance
