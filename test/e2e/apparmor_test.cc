// AppArmor profiles, seen by the processes that they confine. Most cases need a kernel with AppArmor; one needs a host without.

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "test/e2e/node.h"

namespace wherry::e2e {
namespace {

using cri::SecurityProfile;
using grpc::StatusCode;
using testing::HasSubstr;

bool HostHasAppArmor() { return std::ifstream("/sys/kernel/security/apparmor/profiles").good(); }

class AppArmorTest : public NodeTest {
 protected:
  using Edit = std::function<void(cri::LinuxContainerSecurityContext&)>;

  void SetUp() override {
    if (!HostHasAppArmor()) GTEST_SKIP() << "this host has no AppArmor";
    NodeTest::SetUp();
    pod_ = node.RunPod("p");
  }
  // With a capability to mount, so that it is the profile that is seen to forbid it.
  std::string Run(const std::string& name, const Edit& edit) {
    return node.Run(pod_, name, {"sleep", "1000"}, [&](cri::ContainerConfig& config) {
      auto& security = *config.mutable_linux()->mutable_security_context();
      security.mutable_capabilities()->add_add_capabilities("SYS_ADMIN");
      security.add_masked_paths("/proc/acpi");  // no others, and nothing read-only but this
      security.add_readonly_paths("/proc/fs");
      edit(security);
    });
  }
  bool Can(const std::string& container, const std::string& script) {
    return node.Exec(container, {"sh", "-c", script}).exit_code() == 0;
  }
  std::string Label(const std::string& container, const std::string& process) {
    return node.Exec(container, {"cat", "/proc/" + process + "/attr/current"}).stdout();
  }
  grpc::Status TryCreate(const std::string& name, const Edit& edit) {
    auto request = node.CreateRequest(pod_, name, {"true"});
    edit(*request.mutable_config()->mutable_linux()->mutable_security_context());
    cri::CreateContainerResponse response;
    grpc::ClientContext context;
    return node.runtime().CreateContainer(&context, request, &response);
  }
  // As an administrator does it.
  void Parse(const char* what, const std::string& profile) {
    const std::string file = node.dir() + "/profile";
    std::ofstream(file) << profile;
    const pid_t pid = fork();
    if (pid == 0) {
      execl("/usr/sbin/apparmor_parser", "apparmor_parser", "--skip-cache", what, file.c_str(), nullptr);
      _exit(127);
    }
    int status = -1;
    ASSERT_EQ(waitpid(pid, &status, 0), pid);
    ASSERT_EQ(status, 0);
  }

  std::string pod_;
};

TEST_F(AppArmorTest, ContainersThatSayNothingHaveTheDefaultProfileAndSoHaveTheirExecs) {
  std::string id = Run("c", [](auto&) {});
  EXPECT_EQ(Label(id, "1"), "wherry-default (enforce)\n");
  EXPECT_EQ(Label(id, "self"), "wherry-default (enforce)\n");
  EXPECT_FALSE(Can(id, "mount -t tmpfs x /tmp"));
  EXPECT_FALSE(Can(id, "echo 1 > /proc/sys/vm/drop_caches"));
  EXPECT_FALSE(Can(id, "echo h > /proc/sysrq-trigger"));
  EXPECT_FALSE(Can(id, "cat /proc/kcore > /dev/null"));
  EXPECT_TRUE(Can(id, "echo 1 > /tmp/file && mv /tmp/file /tmp/other && echo 0 > /proc/self/oom_score_adj"));
  EXPECT_TRUE(Can(id, "sleep 100 & kill -9 $!"));
}

TEST_F(AppArmorTest, UnconfinedAndPrivilegedOnesAreNotConfined) {
  std::string id = Run("c", [](auto& s) { s.mutable_apparmor()->set_profile_type(SecurityProfile::Unconfined); });
  EXPECT_EQ(Label(id, "1"), "unconfined\n");
  EXPECT_EQ(Label(id, "self"), "unconfined\n");
  EXPECT_TRUE(Can(id, "mount -t tmpfs x /tmp"));
  pod_ =
      node.RunPod("privileged", [](auto& c) { c.mutable_linux()->mutable_security_context()->set_privileged(true); });
  id = node.Run(pod_, "c", {"sleep", "1000"},
                [](auto& c) { c.mutable_linux()->mutable_security_context()->set_privileged(true); });
  EXPECT_EQ(Label(id, "1"), "unconfined\n");
}

TEST_F(AppArmorTest, ALocalhostProfileHoldsForTheProgramAndItsExecs) {
  const std::string profile =
      "profile wherry-test-no-tmp flags=(attach_disconnected) { file, capability, signal, deny /tmp/** w, }";
  Parse("--replace", profile);
  std::string a = Run("a", [](auto& s) {
    s.mutable_apparmor()->set_profile_type(SecurityProfile::Localhost);
    s.mutable_apparmor()->set_localhost_ref("wherry-test-no-tmp");
  });
  std::string b = Run("b", [](auto& s) { s.set_apparmor_profile("localhost/wherry-test-no-tmp"); });
  for (const std::string& id : {a, b}) {
    EXPECT_EQ(Label(id, "1"), "wherry-test-no-tmp (enforce)\n");
    EXPECT_FALSE(Can(id, "echo 1 > /tmp/file"));
    EXPECT_TRUE(Can(id, "echo 1 > /file"));
  }
  node.RemovePod(pod_);
  Parse("--remove", profile);
}

TEST_F(AppArmorTest, AProfileThatIsNotLoadedIsRefusedAtTheCreation) {
  for (const std::string name : {"no-such-profile", "wherry-default//&no-such-profile", "unconfined"}) {
    auto status = TryCreate("c", [&](auto& s) {
      s.mutable_apparmor()->set_profile_type(SecurityProfile::Localhost);
      s.mutable_apparmor()->set_localhost_ref(name);
    });
    EXPECT_EQ(status.error_code(), StatusCode::FAILED_PRECONDITION) << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr("\"" + name + "\" is not loaded"));
  }
  cri::ListContainersRequest request;
  cri::ListContainersResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(node.runtime().ListContainers(&context, request, &response).ok());
  EXPECT_TRUE(response.containers().empty());
}

// As tools that tidy up unknown profiles do it.
TEST_F(AppArmorTest, TheDefaultProfileIsLoadedAgainWhenSomebodyRemovedIt) {
  std::string id = node.Create(pod_, "c", {"sleep", "1000"});
  Parse("--remove", "profile wherry-default { }");
  node.StartContainer(id);
  EXPECT_EQ(Label(id, "1"), "wherry-default (enforce)\n");
}

class NoAppArmorTest : public NodeTest {};

TEST_F(NoAppArmorTest, WhatCannotBeHadIsRefusedAndNothingSaidIsUnconfined) {
  if (HostHasAppArmor()) GTEST_SKIP() << "this host has AppArmor";
  std::string pod = node.RunPod("p");
  node.Run(pod, "c", {"sleep", "1000"});
  auto request = node.CreateRequest(pod, "confined", {"true"});
  auto& apparmor = *request.mutable_config()->mutable_linux()->mutable_security_context()->mutable_apparmor();
  for (auto type : {SecurityProfile::RuntimeDefault, SecurityProfile::Localhost}) {
    apparmor.set_profile_type(type);
    apparmor.set_localhost_ref(type == SecurityProfile::Localhost ? "mine" : "");
    cri::CreateContainerResponse response;
    grpc::ClientContext context;
    auto status = node.runtime().CreateContainer(&context, request, &response);
    EXPECT_EQ(status.error_code(), StatusCode::FAILED_PRECONDITION) << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr("no AppArmor"));
  }
}

}  // namespace
}  // namespace wherry::e2e
