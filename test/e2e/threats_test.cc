// Attacks on a whole node, in the manner of those that peers have fallen to. SECURITY.md says which, and where the others are tested.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <thread>

#include "absl/strings/str_cat.h"
#include "test/e2e/node.h"
#include "test/integration/image/fake_registry.h"

namespace wherry::e2e {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
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
  const std::string path = WHERRY_BIN_DIR "/wherry-shim", program = Text(path);
  struct stat before {
  }, after{};
  ASSERT_EQ(::stat(path.c_str(), &before), 0);
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
    // No program can be written while it runs; what can be done to the file nevertheless shows whether it is the one that others run.
    node.Exec(c, {"sh", "-c", "touch /proc/1/exe; chmod 777 /proc/1/exe; chown 1 /proc/1/exe"});
  }
  EXPECT_TRUE(Text(path) == program);
  ASSERT_EQ(::stat(path.c_str(), &after), 0);
  EXPECT_EQ(after.st_mode, before.st_mode);
  EXPECT_EQ(after.st_uid, before.st_uid);
  EXPECT_EQ(after.st_mtime, before.st_mtime);
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

// A volume's owner swaps what the runtime is about to use for a symbolic link while the container starts.
class SwappedTargetTest : public ThreatsTest {
 protected:
  void SetUp() override {
    ThreatsTest::SetUp();
    for (const std::string& dir : {volume_, inner_}) fs::create_directories(dir);
    std::ofstream(inner_ + "/secret") << "secret";
  }
  // Starts containers in `pod`, each while these files of the volume change places with their ".link"s, and calls `look` for each that
  // runs. The links lead elsewhere.
  void Race(const std::string& pod, const std::vector<std::string>& names, const std::string& link,
            const std::function<void(cri::ContainerConfig&)>& edit,
            const std::function<void(const std::string&)>& look) {
    for (const std::string& name : names) fs::create_symlink(link, absl::StrCat(volume_, "/", name, ".link"));
    int started = 0;
    for (int i = 0; i < 100; ++i) {
      const std::string c = node.Create(pod, absl::StrCat("c", i), {"sleep", "1000"}, edit);
      std::atomic<bool> over = false;
      std::thread swapper([&] {
        while (!over) {
          for (const std::string& name : names) {
            const std::string file = absl::StrCat(volume_, "/", name), other = file + ".link";
            ::renameat2(AT_FDCWD, file.c_str(), AT_FDCWD, other.c_str(), RENAME_EXCHANGE);
          }
        }
      });
      const bool runs = node.TryStart(c).ok();
      over = true;
      swapper.join();
      if (!runs) continue;
      ++started;
      look(c);
    }
    EXPECT_GT(started, 0);
  }
  static void AddMount(cri::ContainerConfig& config, const std::string& from, const std::string& to) {
    cri::Mount& mount = *config.add_mounts();
    mount.set_host_path(from);
    mount.set_container_path(to);
  }
  // The swapped directory is the place of another mount.
  void RaceForAMount(const std::string& pod, const std::string& link,
                     const std::function<void(const std::string&)>& look) {
    fs::create_directories(volume_ + "/target");
    const auto edit = [&](cri::ContainerConfig& config) {
      AddMount(config, volume_, "/volume");
      AddMount(config, inner_, "/volume/target");
    };
    Race(pod, {"target"}, link, edit, look);
  }
  // What is mounted in /proc and on the console of a container: the part of its file system, and the place.
  std::string MountsOfKernelFiles(const std::string& container) {
    return node.Exec(container, {"sh", "-c", "cut -d' ' -f4,5 /proc/self/mountinfo | grep -E ' /(proc|dev/console)'"})
        .stdout();
  }
  const std::string volume_ = node.dir() + "/volume", inner_ = node.dir() + "/inner";
};

// CVE-2021-30465
TEST_F(SwappedTargetTest, LeadsNowhereElse) {
  const std::string outside = node.dir() + "/outside";
  fs::create_directories(outside);
  const std::string pod = node.RunPod("p"), before = MountTable();
  RaceForAMount(pod, outside, [&](const std::string& c) {
    // The mount is in the container, at what the target's name or the link's is now, or where the link leads in there.
    const std::string look =
        absl::StrCat("cat /volume/target/secret /volume/target.link/secret ", outside, "/secret 2>/dev/null");
    EXPECT_THAT(node.Exec(c, {"sh", "-c", look}).stdout(), HasSubstr("secret")) << "the mount is not in the container";
  });
  EXPECT_EQ(MountTable(), before);
  EXPECT_TRUE(fs::is_empty(outside)) << "something was made outside of the container";
}

// CVE-2025-52881, CVE-2019-19921: into /proc, to have the runtime write elsewhere and programs read what is not so.
TEST_F(SwappedTargetTest, DoesNotLeadIntoProc) {
  const std::string plain = node.Run(node.RunPod("plain"), "c", {"sleep", "1000"});
  const std::string usual = MountsOfKernelFiles(plain);
  ASSERT_THAT(usual, HasSubstr("/ /proc\n"));
  RaceForAMount(node.RunPod("p"), "/proc/sys/kernel",
                [&](const std::string& c) { EXPECT_EQ(MountsOfKernelFiles(c), usual); });
}

// CVE-2025-52565, CVE-2025-31133: what becomes /dev/console and what lies over masked files is not taken from a /dev that another
// container can change.
TEST_F(SwappedTargetTest, IsNeitherConsoleNorMask) {
  const auto terminal = [](cri::ContainerConfig& config) { config.set_tty(true); };
  const std::string pod = node.RunPod("p"), plain = node.Run(pod, "plain", {"sleep", "1000"}, terminal);
  const std::string usual = MountsOfKernelFiles(plain);
  ASSERT_THAT(usual, AllOf(HasSubstr("/null /proc/"), HasSubstr("/0 /dev/console\n")));
  fs::create_directories(volume_ + "/pts");
  const std::vector<std::string> names = {"null", "console", "pts/0"};
  for (const std::string& name : names) std::ofstream(absl::StrCat(volume_, "/", name)) << "";
  const auto edit = [&](cri::ContainerConfig& config) {
    AddMount(config, volume_, "/dev");
    terminal(config);
  };
  Race(pod, names, "/proc/sys/kernel/core_pattern", edit,
       [&](const std::string& c) { EXPECT_EQ(MountsOfKernelFiles(c), usual); });
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

// CVE-2023-6476, CVE-2024-3154: annotations by which whoever makes a pod has more of a runtime than the pod's fields give.
TEST_F(ThreatsTest, AnnotationsOfOtherRuntimesSteerNothing) {
  const std::pair<const char*, const char*> annotations[] = {{"io.kubernetes.cri-o.Devices", "/dev/kmsg:/dev/kmsg:rwm"},
                                                             {"io.kubernetes.cri-o.userns-mode", "auto:size=65536"},
                                                             {"io.kubernetes.cri-o.UnifiedCgroup.c", "memory.max=max"},
                                                             {"io.kubernetes.cri-o.seccompNotifierAction", "stop"},
                                                             {"io.kubernetes.cri-o.ShmSize", "1"},
                                                             {"seccomp.security.alpha.kubernetes.io/pod", "unconfined"},
                                                             {"io.katacontainers.config.hypervisor.path", "/bin/sh"},
                                                             {"run.oci.keep_original_groups", "1"},
                                                             {"org.systemd.property.ExecStop", "'/bin/sh'"}};
  const auto start = [&](const std::string& name, bool with) {
    const auto add = [&](auto& config) {
      for (const auto& [key, value] : annotations)
        if (with) (*config.mutable_annotations())[key] = value;
    };
    const auto confine = [&](cri::ContainerConfig& config) {
      add(config);
      config.mutable_linux()->mutable_security_context()->mutable_seccomp()->set_profile_type(
          cri::SecurityProfile::RuntimeDefault);
    };
    return node.Run(node.RunPod(name, [&](cri::PodSandboxConfig& config) { add(config); }), name, {"sleep", "1000"},
                    confine);
  };
  const std::vector<std::string> look = {"sh", "-c",
                                         "ls /dev; cat /proc/self/uid_map; grep -E '^(Groups|Cap|Seccomp:|NoNewPrivs)' "
                                         "/proc/self/status; df -k /dev/shm; readlink /proc/self/ns/user"};
  const std::string plain = node.Exec(start("plain", false), look).stdout();
  EXPECT_THAT(plain, HasSubstr("Seccomp:\t2"));
  EXPECT_EQ(node.Exec(start("steered", true), look).stdout(), plain);
}

// CVE-2026-53488: labels that an image's maker writes into it are not the runtime's own.
TEST_F(ThreatsTest, LabelsOfAnImageSteerNothing) {
  const auto image =
      image::test::MakeImage({image::test::TarWriter().File("a", "one").Bytes()},
                             R"({"Labels":{"io.cri-containerd.pinned":"pinned","containerd.io/gc.root":"1",)"
                             R"("io.cri-containerd.image":"managed","io.kubernetes.cri-o.pinned":"true"}})");
  image::test::HttpServer server([&](const image::test::Request& r) { return Answer(image, r); });
  const std::string name = server.host() + "/labelled:1";
  cri::PullImageRequest pull;
  pull.mutable_image()->set_image(name);
  cri::PullImageResponse pulled;
  grpc::ClientContext pulling;
  ASSERT_TRUE(node.images().PullImage(&pulling, pull, &pulled).ok());
  const auto status = [&] {
    cri::ImageStatusRequest request;
    request.mutable_image()->set_image(name);
    cri::ImageStatusResponse response;
    grpc::ClientContext context;
    EXPECT_TRUE(node.images().ImageStatus(&context, request, &response).ok());
    return response;
  };
  ASSERT_TRUE(status().has_image());
  EXPECT_FALSE(status().image().pinned());
  cri::RemoveImageRequest remove;
  remove.mutable_image()->set_image(name);
  cri::RemoveImageResponse removed;
  grpc::ClientContext removing;
  EXPECT_TRUE(node.images().RemoveImage(&removing, remove, &removed).ok());
  EXPECT_FALSE(status().has_image());
}

}  // namespace
}  // namespace wherry::e2e
