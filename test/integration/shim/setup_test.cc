#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "test/integration/shim/pod_fixture.h"

namespace wherry::shim {
namespace {

class SetupTest : public PodTest {
 protected:
  void SpawnOnly() {
    StartHub();
    auto process = hub_->Spawn(pod_id_, socket_);
    ASSERT_TRUE(process.ok()) << process.status();
    shim_ = *process;
  }
  std::string NamespaceOf(const std::string& type) const {
    return std::filesystem::read_symlink("/proc/" + std::to_string(shim_.pid) + "/ns/" + type);
  }
  static std::string OwnNamespace(const std::string& type) {
    return std::filesystem::read_symlink("/proc/self/ns/" + type);
  }
};

TEST_F(SetupTest, NamespacesAreThePodsOwn) {
  StartPod();
  for (const char* type : {"net", "ipc", "uts"}) EXPECT_NE(NamespaceOf(type), OwnNamespace(type)) << type;
  for (const char* type : {"mnt", "pid", "user", "cgroup"}) EXPECT_EQ(NamespaceOf(type), OwnNamespace(type)) << type;
}

TEST_F(SetupTest, HostNamespacesStayTheHosts) {
  SpawnOnly();
  v1::Request request;
  request.mutable_setup_pod()->set_pod_id(pod_id_);
  ASSERT_TRUE(Call(request).ok());
  for (const char* type : {"net", "ipc", "uts"}) EXPECT_EQ(NamespaceOf(type), OwnNamespace(type)) << type;
}

TEST_F(SetupTest, ThePinIsTheNetworkNamespaceWithLoopbackUp) {
  StartPod();
  struct statfs fs {};
  ASSERT_EQ(::statfs(netns_.c_str(), &fs), 0);
  EXPECT_EQ(fs.f_type, NSFS_MAGIC);
  struct stat st {};
  ASSERT_EQ(::stat(netns_.c_str(), &st), 0);
  EXPECT_EQ(NamespaceOf("net"), "net:[" + std::to_string(st.st_ino) + "]");
  auto started = Start("c", "cat /proc/net/if_inet6; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; hostname");
  ASSERT_TRUE(started.ok()) << started.status();
  WaitContainer("c");
  EXPECT_EQ(Log("c"), "stdout F 00000000000000000000000000000001 01 80 10 80       lo\nstdout F 0\nstdout F gull\n");
}

TEST_F(SetupTest, APinThatIsThereIsNotTaken) {
  SpawnOnly();
  std::ofstream(netns_) << "somebody's";
  EXPECT_TRUE(absl::IsAlreadyExists(Call(SetupRequest()).status()));
  EXPECT_EQ(ReadFile(netns_), "somebody's");
}

TEST_F(SetupTest, ASymlinkAtThePinIsNotFollowed) {
  SpawnOnly();
  ASSERT_EQ(::symlink((dir_ + "/elsewhere").c_str(), netns_.c_str()), 0);
  EXPECT_FALSE(Call(SetupRequest()).ok());
  EXPECT_FALSE(std::filesystem::exists(dir_ + "/elsewhere"));
}

TEST_F(SetupTest, TwiceIsAlreadyExists) {
  StartPod();
  EXPECT_TRUE(absl::IsAlreadyExists(Call(SetupRequest()).status()));
}

TEST_F(SetupTest, SysctlsAreSetInsideOnly) {
  const std::string outside = ReadFile("/proc/sys/kernel/shmmni");
  SpawnOnly();
  v1::Request request = SetupRequest();
  auto& sysctls = *request.mutable_setup_pod()->mutable_sysctls();
  sysctls["kernel.shmmni"] = "77";
  sysctls["net/ipv4/ip_unprivileged_port_start"] = "1000";
  ASSERT_TRUE(Call(request).ok());
  ASSERT_TRUE(Start("c",
                    "cat /proc/sys/kernel/shmmni /proc/sys/net/ipv4/ip_unprivileged_port_start "
                    "/proc/sys/net/ipv4/ping_group_range")
                  .ok());
  WaitContainer("c");
  EXPECT_EQ(Log("c"), "stdout F 77\nstdout F 1000\nstdout F 0\t2147483647\n");
  EXPECT_EQ(ReadFile("/proc/sys/kernel/shmmni"), outside);
}

TEST_F(SetupTest, HostSysctlsAreRefusedBeforeAnythingIsDone) {
  SpawnOnly();
  v1::Request request = SetupRequest();
  (*request.mutable_setup_pod()->mutable_sysctls())["kernel.core_pattern"] = "x";
  EXPECT_TRUE(absl::IsInvalidArgument(Call(request).status()));
  EXPECT_FALSE(std::filesystem::exists(netns_));
  EXPECT_EQ(NamespaceOf("net"), OwnNamespace("net"));
}

TEST_F(SetupTest, AnUnknownSysctlFailsAndLeavesNoPin) {
  SpawnOnly();
  v1::Request request = SetupRequest();
  (*request.mutable_setup_pod()->mutable_sysctls())["net.ipv4.no_such_thing"] = "1";
  EXPECT_TRUE(absl::IsInvalidArgument(Call(request).status()));
  EXPECT_FALSE(std::filesystem::exists(netns_));
}

TEST_F(SetupTest, StartBeforeSetupIsRefused) {
  SpawnOnly();
  EXPECT_EQ(Start("c", "true").status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(SetupTest, SharedPidInitReapsAndIsConfined) {
  SpawnOnly();
  v1::Request request = SetupRequest();
  request.mutable_setup_pod()->set_shared_pid(true);
  auto reply = Call(request);
  ASSERT_TRUE(reply.ok()) << reply.status();
  const std::string proc = "/proc/" + std::to_string(reply->message.setup_pod().init_pid());
  const std::string status = ReadFile(proc + "/status");
  EXPECT_NE(status.find("CapEff:\t0000000000000000"), std::string::npos);
  EXPECT_NE(status.find("CapBnd:\t0000000000000000"), std::string::npos);
  EXPECT_NE(status.find("Uid:\t65535\t65535\t65535\t65535"), std::string::npos);
  EXPECT_TRUE(std::filesystem::is_empty(proc + "/root/"));
  EXPECT_TRUE(std::filesystem::is_empty(proc + "/fd"));
  EXPECT_EQ(std::string(std::filesystem::read_symlink(proc + "/ns/net")), NamespaceOf("net"));
}

}  // namespace
}  // namespace wherry::shim
