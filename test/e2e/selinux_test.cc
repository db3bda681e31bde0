// SELinux labels, seen by the processes and on the files that they separate. hack/selinux.sh brings the policy (selinux.cil) into the
// kernel of a virtual machine; no other host has its types.

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "test/e2e/info.h"
#include "test/e2e/node.h"

namespace wherry::e2e {
namespace {

namespace fs = std::filesystem;
using grpc::StatusCode;
using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;

constexpr char kProcess[] = "system_u:system_r:container_t:";
constexpr char kFile[] = "system_u:object_r:container_file_t:";

class SelinuxTest : public NodeTest {
 protected:
  void SetUp() override {
    if (std::ifstream("/sys/fs/selinux/enforce").get() != '1') GTEST_SKIP() << "this host enforces no SELinux policy";
    NodeTest::SetUp();
  }
  std::string Run(const std::string& pod, const std::string& name,
                  const std::function<void(cri::ContainerConfig&)>& edit = {}) {
    return node.Run(pod, name, {"sleep", "1000"}, edit);
  }
  std::string LabelOfInit(const std::string& container) {
    return node.Exec(container, {"cat", "/proc/1/attr/current"}).stdout().c_str();
  }
  std::string LabelOfExec(const std::string& container) {
    return node.Exec(container, {"cat", "/proc/self/attr/current"}).stdout().c_str();
  }
  std::string LabelOfHostsProcess(const std::string& container) {
    std::string label;
    std::getline(std::ifstream("/proc/" + Pid(container) + "/attr/current"), label, '\0');
    return label;
  }
  // Of a file as the container sees it, asked by the host, which may see everything.
  std::string LabelOf(const std::string& container, const std::string& path) {
    return Label("/proc/" + Pid(container) + "/root" + path);
  }
  static std::string Label(const std::string& path) {
    char value[256] = {};
    return ::getxattr(path.c_str(), "security.selinux", value, sizeof value - 1) < 0 ? "" : value;
  }
  static std::string LevelOf(const std::string& label) {
    std::string level = label;
    for (int i = 0; i < 3; ++i) level.erase(0, level.find(':') + 1);
    return level;
  }
  std::string Pid(const std::string& container) { return std::to_string(Info(node, container)["pid"].get<int>()); }
  std::string Volume(const std::string& name) {
    std::string path = node.dir() + "/" + name;
    fs::create_directories(path);
    std::ofstream(path + "/file") << "mine\n";
    return path;
  }
  static std::function<void(cri::ContainerConfig&)> With(const std::string& volume, bool relabel) {
    return [volume, relabel](cri::ContainerConfig& config) {
      cri::Mount& mount = *config.add_mounts();
      mount.set_host_path(volume);
      mount.set_container_path("/volume");
      mount.set_selinux_relabel(relabel);
    };
  }
  grpc::Status TryCreate(const std::string& pod, const std::function<void(cri::ContainerConfig&)>& edit) {
    auto request = node.CreateRequest(pod, "refused", {"true"});
    edit(*request.mutable_config());
    cri::CreateContainerResponse response;
    grpc::ClientContext context;
    return node.runtime().CreateContainer(&context, request, &response);
  }
  template <typename Config>
  static cri::SELinuxOption& Options(Config& config) {
    return *config.mutable_linux()->mutable_security_context()->mutable_selinux_options();
  }
};

TEST_F(SelinuxTest, AContainerAndItsExecsHaveThePodsLabel) {
  const std::string pod = node.RunPod("p");
  const std::string a = Run(pod, "a"), b = Run(pod, "b");
  EXPECT_THAT(LabelOfInit(a), MatchesRegex("system_u:system_r:container_t:s0:c[0-9]+,c[0-9]+"));
  for (const std::string& label : {LabelOfExec(a), LabelOfInit(b), LabelOfExec(b)}) EXPECT_EQ(label, LabelOfInit(a));
  const auto spec = Info(node, a)["runtimeSpec"];
  EXPECT_EQ(spec["process"]["selinuxLabel"], LabelOfInit(a));
  EXPECT_EQ(spec["linux"]["mountLabel"], kFile + LevelOf(LabelOfInit(a)));
}

TEST_F(SelinuxTest, AllThatAContainerHasForItselfHasItsLabel) {
  const std::string pod = node.RunPod("p");
  const std::string id = Run(pod, "c", [](cri::ContainerConfig& config) {
    cri::Mount& mount = *config.add_mounts();
    mount.set_container_path("/image");
    mount.set_readonly(true);
    mount.mutable_image()->set_image(kImage);
  });
  EXPECT_EQ(
      node.Exec(id, {"sh", "-c", "cp /bin/busybox /busybox && /busybox true && echo 1 >/dev/shm/new"}).exit_code(), 0);
  const std::string label = kFile + LevelOf(LabelOfInit(id));
  for (const char* path : {"/", "/bin/busybox", "/busybox", "/dev", "/dev/null", "/dev/pts", "/dev/shm", "/dev/shm/new",
                           "/dev/mqueue", "/image", "/image/bin", "/etc/hosts", "/etc/resolv.conf", "/etc/hostname"})
    EXPECT_EQ(LabelOf(id, path), label) << path;
  for (const char* path : {"/proc/version", "/sys"})
    EXPECT_THAT(LabelOf(id, path), Not(HasSubstr("container"))) << path;
  EXPECT_EQ(node.Exec(id, {"cat", "/etc/hosts", "/etc/resolv.conf", "/etc/hostname"}).exit_code(), 0);
}

// One sees there what one may: a session keyring that has the shim's label is not.
TEST_F(SelinuxTest, TheSessionKeyringIsTheContainersOwn) {
  const std::string id = Run(node.RunPod("p"), "c", [](cri::ContainerConfig& config) {
    config.mutable_linux()->mutable_security_context()->add_masked_paths("/proc/acpi");
  });
  EXPECT_THAT(node.Exec(id, {"cat", "/proc/keys"}).stdout(), HasSubstr("_ses"));
}

TEST_F(SelinuxTest, APodCannotReadAnothersVolumeNorOneThatIsNobodys) {
  const std::string mine = Volume("mine"), nobodys = Volume("nobodys");
  const std::string a = Run(node.RunPod("a"), "c", With(mine, true));
  EXPECT_EQ(node.Exec(a, {"cat", "/volume/file"}).stdout(), "mine\n");
  EXPECT_EQ(node.Exec(a, {"sh", "-c", "echo 2 >/volume/new && cat /volume/new"}).stdout(), "2\n");
  const std::string level = LevelOf(LabelOfInit(a));
  EXPECT_EQ(Label(mine + "/file"), kFile + level);
  const std::string pod = node.RunPod("b");
  for (const std::string& volume : {mine, nobodys}) {
    const std::string b = Run(pod, fs::path(volume).filename(), With(volume, false));
    EXPECT_NE(LevelOf(LabelOfInit(b)), level);
    EXPECT_THAT(node.Exec(b, {"cat", "/volume/file"}).stderr(), HasSubstr("Permission denied")) << volume;
  }
}

TEST_F(SelinuxTest, APodsOptionsAreItsContainersAndTheirOwnGoBefore) {
  const std::string pod = node.RunPod("p", [](auto& config) { Options(config).set_level("s0:c7,c3"); });
  EXPECT_EQ(LabelOfInit(Run(pod, "a")), std::string(kProcess) + "s0:c3,c7");
  const std::string b = Run(pod, "b", [](auto& config) { Options(config).set_type("other_t"); });
  EXPECT_EQ(LabelOfInit(b), "system_u:system_r:other_t:s0:c3,c7");
  const std::string c = Run(pod, "c", [](auto& config) { Options(config).set_level("s0:c5"); });
  EXPECT_EQ(LabelOfInit(c), std::string(kProcess) + "s0:c5");
  EXPECT_EQ(LabelOf(c, "/"), std::string(kFile) + "s0:c5");
}

TEST_F(SelinuxTest, ALabelThatThePolicyHasNotIsRefusedBeforeAnythingIsMade) {
  const std::string pod = node.RunPod("p");
  auto wrong_type = [](auto& config) { Options(config).set_type("no_such_t"); };
  auto wrong_level = [](auto& config) { Options(config).set_level("s0:c5000"); };
  auto config = node.PodConfig("q");
  wrong_type(config);
  cri::RunPodSandboxRequest request;
  *request.mutable_config() = config;
  cri::RunPodSandboxResponse response;
  grpc::ClientContext context;
  for (const grpc::Status& status : {TryCreate(pod, wrong_type), TryCreate(pod, wrong_level),
                                     node.runtime().RunPodSandbox(&context, request, &response)}) {
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT) << status.error_message();
    EXPECT_THAT(status.error_message(), AllOf(HasSubstr("selinux_options: SELinux label \"system_u:system_r:"),
                                              HasSubstr("this node's policy does not know")));
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(node.dir() + "/lib/containers"), fs::directory_iterator()), 0);
}

TEST_F(SelinuxTest, ARestartOfWherrydKeepsAPodsLevelForItself) {
  const std::string pod = node.RunPod("p");
  const std::string a = Run(pod, "a"), label = LabelOfInit(a);
  node.Kill9();
  node.Start();
  EXPECT_EQ(LabelOfExec(a), label);
  EXPECT_EQ(LabelOfInit(Run(pod, "b")), label);
  EXPECT_NE(LabelOfInit(Run(node.RunPod("q"), "c")), label);
}

TEST_F(SelinuxTest, TheHostsDirectoriesAreNotRelabelled) {
  const std::string before = Label("/etc");
  const grpc::Status status = TryCreate(node.RunPod("p"), With("/etc", true));
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), AllOf(StartsWith("mounts[0].selinux_relabel: "), HasSubstr("\"/etc\"")));
  EXPECT_EQ(Label("/etc"), before);
}

TEST_F(SelinuxTest, PrivilegedContainersAndThoseInTheHostsPidNamespaceHaveNoLabel) {
  const std::string own = LabelOfHostsProcess(
      Run(node.RunPod("host",
                      [](auto& config) {
                        auto& security = *config.mutable_linux()->mutable_security_context();
                        security.mutable_namespace_options()->set_pid(cri::NODE);
                      }),
          "c", [](auto& config) {
            config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_pid(cri::NODE);
          }));
  EXPECT_THAT(own, StartsWith("system_u:system_r:host_t:"));
  const std::string pod =
      node.RunPod("privileged", [](auto& c) { c.mutable_linux()->mutable_security_context()->set_privileged(true); });
  const std::string id =
      Run(pod, "c", [](auto& c) { c.mutable_linux()->mutable_security_context()->set_privileged(true); });
  EXPECT_EQ(LabelOfHostsProcess(id), own);
  EXPECT_EQ(LabelOf(id, "/"), kFile + LevelOf(LabelOfInit(Run(pod, "beside"))));
}

}  // namespace
}  // namespace wherry::e2e
