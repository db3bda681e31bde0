// Attacks on a whole node, in the manner of those that peers have fallen to. SECURITY.md says which, and where the others are tested.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "absl/strings/str_cat.h"
#include "test/e2e/node.h"

namespace wherry::e2e {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;

class ThreatsTest : public NodeTest {
 protected:
  static std::string Text(const std::string& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  static std::string MountTable() { return Text("/proc/self/mountinfo"); }
};

// CVE-2019-5736: the only program of ours that a container can name is the shim's, as PID 1 of a shared PID namespace.
TEST_F(ThreatsTest, TheRuntimesProgramCannotBeWrittenFromInside) {
  const std::string program = Text(WHERRY_BIN_DIR "/wherry-shim");
  const auto shared = [](cri::PodSandboxConfig& config) {
    auto& security = *config.mutable_linux()->mutable_security_context();
    security.mutable_namespace_options()->set_pid(cri::POD);
    security.set_privileged(true);
  };
  for (bool privileged : {false, true}) {
    const std::string name = privileged ? "privileged" : "ordinary";
    const std::string c =
        node.Run(node.RunPod(name, shared), name, {"sleep", "1000"}, [&](cri::ContainerConfig& config) {
          auto& security = *config.mutable_linux()->mutable_security_context();
          security.mutable_namespace_options()->set_pid(cri::POD);
          security.set_privileged(privileged);
        });
    ASSERT_EQ(node.Exec(c, {"sh", "-c", "test -e /proc/1/status && ! grep -q sleep /proc/1/comm"}).exit_code(), 0);
    EXPECT_NE(node.Exec(c, {"sh", "-c", "echo attack >/proc/1/exe"}).exit_code(), 0) << name;
    EXPECT_NE(node.Exec(c, {"sh", "-c", "echo attack >>/proc/1/exe"}).exit_code(), 0) << name;
  }
  EXPECT_TRUE(Text(WHERRY_BIN_DIR "/wherry-shim") == program);
}

// CVE-2024-21626: a working directory that leads through a descriptor which the runtime has left open.
TEST_F(ThreatsTest, NoWorkingDirectoryLeadsThroughADescriptor) {
  const std::string pod = node.RunPod("p");
  for (int fd = 0; fd < 32; ++fd) {
    const std::string directory = absl::StrCat("/proc/self/fd/", fd);
    const std::string c = node.Create(pod, absl::StrCat("c", fd), {"sh", "-c", "ls ../../.."},
                                      [&](cri::ContainerConfig& config) { config.set_working_dir(directory); });
    const grpc::Status started = node.TryStart(c);
    EXPECT_FALSE(started.ok()) << directory;
    EXPECT_THAT(started.error_message(), HasSubstr(directory));
  }
}

// CVE-2021-30465: a volume's owner swaps the target of a mount for a symbolic link while the container starts.
TEST_F(ThreatsTest, ASwappedMountTargetLeadsNowhereElse) {
  const std::string volume = node.dir() + "/volume", inner = node.dir() + "/inner", outside = node.dir() + "/outside";
  for (const std::string& dir : {volume, inner, outside, volume + "/target"}) fs::create_directories(dir);
  std::ofstream(inner + "/secret") << "secret";
  fs::create_directory_symlink(outside, volume + "/link");
  const std::string pod = node.RunPod("p"), before = MountTable();
  std::atomic<bool> over = false;
  std::thread swapper([&] {
    while (!over)
      ::renameat2(AT_FDCWD, (volume + "/target").c_str(), AT_FDCWD, (volume + "/link").c_str(), RENAME_EXCHANGE);
  });
  int started = 0;
  for (int i = 0; i < 100; ++i) {
    const std::string c = node.Create(pod, absl::StrCat("c", i), {"sleep", "1000"}, [&](cri::ContainerConfig& config) {
      for (const auto& [from, to] : {std::pair(volume, "/volume"), std::pair(inner, "/volume/target")}) {
        cri::Mount& mount = *config.add_mounts();
        mount.set_host_path(from);
        mount.set_container_path(to);
      }
    });
    if (!node.TryStart(c).ok()) continue;
    ++started;
    // The mount is in the container, at what the target's name or the link's is now, or where the link leads in there.
    const std::string look = absl::StrCat("for i in $(seq 100); do cat /volume/target/secret /volume/link/secret ",
                                          outside, "/secret 2>/dev/null && exit; done");
    EXPECT_THAT(node.Exec(c, {"sh", "-c", look}).stdout(), HasSubstr("secret")) << "the mount is not in the container";
  }
  over = true;
  swapper.join();
  EXPECT_GT(started, 0);
  EXPECT_EQ(MountTable(), before);
  EXPECT_TRUE(fs::is_empty(outside)) << "something was made outside of the container";
}

// CVE-2022-24769 and its family: capabilities that an ordinary user could take over from a file.
TEST_F(ThreatsTest, InheritableCapabilitiesAreEmpty) {
  const std::string c = node.Run(node.RunPod("p"), "c", {"sh", "-c", "grep CapInh /proc/self/status; sleep 1000"});
  Eventually("the program to tell", [&] { return !node.LogText(c).empty(); });
  EXPECT_EQ(node.LogText(c), "CapInh:\t0000000000000000\n");
  EXPECT_EQ(node.Exec(c, {"grep", "CapInh", "/proc/self/status"}).stdout(), "CapInh:\t0000000000000000\n");
}

// CVE-2020-15257: sockets of the runtime that a pod in the host's network could reach.
TEST_F(ThreatsTest, APodInTheHostsNetworkSeesNoAbstractSocket) {
  const std::string pod = node.RunPod("p", [](cri::PodSandboxConfig& config) {
    config.clear_hostname();
    config.mutable_linux()->mutable_security_context()->mutable_namespace_options()->set_network(cri::NODE);
  });
  const std::string c = node.Run(pod, "c", {"sleep", "1000"});
  const std::string sockets = node.Exec(c, {"cat", "/proc/net/unix"}).stdout();
  EXPECT_THAT(sockets, HasSubstr("wherry.sock"));
  EXPECT_THAT(sockets, testing::Not(HasSubstr("@")));
}

// What others may do at `path` and below, as far as they get: read or write anything, or list a directory.
std::vector<std::string> OpenToOthers(const fs::path& path) {
  std::vector<std::string> open;
  struct stat st {};
  if (::lstat(path.c_str(), &st) != 0 || S_ISLNK(st.st_mode)) return open;
  if ((st.st_mode & (S_IROTH | S_IWOTH)) != 0) open.push_back(path);
  if (!S_ISDIR(st.st_mode) || (st.st_mode & S_IXOTH) == 0) return open;
  for (const fs::directory_entry& entry : fs::directory_iterator(path))
    for (std::string& found : OpenToOthers(entry.path())) open.push_back(std::move(found));
  return open;
}

// CVE-2021-41103, CVE-2024-25621: users of the node who find set-user-id programs of images in the runtime's directories.
TEST_F(ThreatsTest, UsersOfTheNodeReachNothingInTheDirectoriesOfTheRuntime) {
  node.Run(node.RunPod("p"), "c", {"sleep", "1000"});
  ASSERT_TRUE(fs::is_directory(node.dir() + "/lib"));
  EXPECT_THAT(OpenToOthers(node.dir() + "/lib"), IsEmpty());
  EXPECT_THAT(OpenToOthers(node.dir() + "/run"), IsEmpty());
}

// CVE-2022-0811: a value that reaches other parameters than the one that was named.
TEST_F(ThreatsTest, ASysctlsValueIsAValueOnly) {
  const std::string core_pattern = Text("/proc/sys/kernel/core_pattern");
  const std::vector<std::pair<std::string, std::string>> attacks = {
      {"net.ipv4.ip_forward", "1+kernel.core_pattern=|/attack"},
      {"net.ipv4.ip_forward", "1\nkernel.core_pattern=|/attack"},
      {"net.ipv4.ip_forward+kernel.core_pattern", "|/attack"},
      {"net/../kernel/core_pattern", "|/attack"},
      {"kernel.core_pattern", "|/attack"}};
  for (const auto& [name, value] : attacks) {
    cri::RunPodSandboxRequest request;
    *request.mutable_config() = node.PodConfig("p");
    (*request.mutable_config()->mutable_linux()->mutable_sysctls())[name] = value;
    cri::RunPodSandboxResponse response;
    grpc::ClientContext context;
    EXPECT_FALSE(node.runtime().RunPodSandbox(&context, request, &response).ok()) << name << "=" << value;
  }
  EXPECT_EQ(Text("/proc/sys/kernel/core_pattern"), core_pattern);
}

// CVE-2023-2431
TEST_F(ThreatsTest, ASeccompProfileWithoutANameIsNotNone) {
  cri::CreateContainerRequest request = node.CreateRequest(node.RunPod("p"), "c", {"true"});
  auto& seccomp = *request.mutable_config()->mutable_linux()->mutable_security_context()->mutable_seccomp();
  seccomp.set_profile_type(cri::SecurityProfile::Localhost);
  cri::CreateContainerResponse response;
  grpc::ClientContext context;
  const grpc::Status created = node.runtime().CreateContainer(&context, request, &response);
  EXPECT_FALSE(created.ok() && node.TryStart(response.container_id()).ok());
}

}  // namespace
}  // namespace wherry::e2e
