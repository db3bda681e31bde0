// Seccomp profiles, seen by the processes that they confine.

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "test/e2e/node.h"

namespace wherry::e2e {
namespace {

using testing::HasSubstr;

class ContainerSeccompTest : public NodeTest {
 protected:
  std::string Run(const std::function<void(cri::SecurityProfile&)>& set) {
    return node.Run(node.RunPod("p"), "c", {"sleep", "1000"}, [&](cri::ContainerConfig& config) {
      set(*config.mutable_linux()->mutable_security_context()->mutable_seccomp());
    });
  }
  int ExitCode(const std::string& container, const std::string& script) {
    return node.Exec(container, {"sh", "-c", script}).exit_code();
  }
};

TEST_F(ContainerSeccompTest, RuntimeDefaultConfinesTheProgramAndItsExecs) {
  std::string id = Run([](auto& profile) { profile.set_profile_type(cri::SecurityProfile::RuntimeDefault); });
  EXPECT_THAT(node.Exec(id, {"cat", "/proc/1/status"}).stdout(), HasSubstr("\nSeccomp:\t2\n"));
  EXPECT_THAT(node.Exec(id, {"cat", "/proc/self/status"}).stdout(), HasSubstr("\nSeccomp:\t2\n"));
  EXPECT_NE(ExitCode(id, "unshare -U true"), 0);
  EXPECT_EQ(ExitCode(id, "mkdir /tmp/fine"), 0);
}

TEST_F(ContainerSeccompTest, UnconfinedHasNoFilter) {
  std::string id = Run([](auto& profile) { profile.set_profile_type(cri::SecurityProfile::Unconfined); });
  EXPECT_THAT(node.Exec(id, {"cat", "/proc/1/status"}).stdout(), HasSubstr("\nSeccomp:\t0\n"));
}

TEST_F(ContainerSeccompTest, ALocalhostProfileHoldsAsItWasWhateverBecomesOfItsFile) {
  const std::string file = node.dir() + "/no-mkdir.json";
  std::ofstream(file) << R"({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
    {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]})";
  std::string id = Run([&](auto& profile) {
    profile.set_profile_type(cri::SecurityProfile::Localhost);
    profile.set_localhost_ref(file);
  });
  EXPECT_NE(ExitCode(id, "mkdir /tmp/no"), 0);
  EXPECT_EQ(ExitCode(id, "touch /tmp/yes"), 0);
  std::ofstream(file) << R"({"defaultAction": "SCMP_ACT_ALLOW"})";
  EXPECT_NE(ExitCode(id, "mkdir /tmp/no"), 0);
  std::filesystem::remove(file);
  EXPECT_NE(ExitCode(id, "mkdir /tmp/no"), 0);
  EXPECT_EQ(ExitCode(id, "touch /tmp/yes"), 0);
}

}  // namespace
}  // namespace wherry::e2e
