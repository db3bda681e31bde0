// What runs in a container, and as whom: command, user, groups, environment, resources.

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <filesystem>

#include "test/conformance/runtime.h"

namespace wherry::conformance {
namespace {

using testing::HasSubstr;

class ProcessTest : public ConformanceTest {
 protected:
  ProcessTest() { RunPod(); }
};

TEST_F(ProcessTest, CommandArgumentsDirectoryAndEnvironmentAreTheRequests) {
  EXPECT_EQ(OutputOf({"sh", "-c"},
                     [](cri::ContainerConfig& config) {
                       config.add_args("pwd; echo $0 $A; echo $PATH");
                       config.add_args("zero");
                       config.set_working_dir("/made/for it");
                       auto& env = *config.add_envs();
                       env.set_key("A");
                       env.set_value("b=c d");
                     }),
            "/made/for it\nzero b=c d\n/bin:/sbin:/usr/bin:/usr/sbin")
      << "with the image's PATH";
  EXPECT_EQ(OutputOf({},
                     [](cri::ContainerConfig& config) {
                       config.add_command("echo");
                       config.add_args("one");
                       config.add_args("two three");
                     }),
            "one two three");
}

TEST_F(ProcessTest, AVariableOfTheRequestWinsOverTheImages) {
  EXPECT_EQ(OutputOf({"/bin/sh", "-c", "echo $PATH"},
                     [](cri::ContainerConfig& config) {
                       auto& env = *config.add_envs();
                       env.set_key("PATH");
                       env.set_value("/bin");
                     }),
            "/bin");
}

TEST_F(ProcessTest, AUserByNumberWithItsGroup) {
  const std::string id = Run({"sleep", "1000"}, [](cri::ContainerConfig& config) {
    SecurityOf(config).mutable_run_as_user()->set_value(1234);
    SecurityOf(config).mutable_run_as_group()->set_value(4321);
  });
  EXPECT_EQ(Sh(id, "id -u; id -g; grep ^CapEff /proc/self/status"), "1234\n4321\nCapEff:\t0000000000000000");
  const cri::LinuxContainerUser user = Status(id).user().linux();
  EXPECT_EQ(user.uid(), 1234);
  EXPECT_EQ(user.gid(), 4321);
}

TEST_F(ProcessTest, AUserByNameHasTheGroupOfItsPasswd) {
  const std::string id =
      Run({"sleep", "1000"}, [](auto& config) { SecurityOf(config).set_run_as_username("www-data"); });
  EXPECT_EQ(Sh(id, "id -u; id -g; echo $HOME"), "33\n33\n/www");
  EXPECT_FALSE(TryCreate({"true"}, [](auto& config) {
                 SecurityOf(config).set_run_as_username("www-data");
                 SecurityOf(config).mutable_run_as_user()->set_value(33);
               }).ok());
}

TEST_F(ProcessTest, AGroupAloneIsRefused) {
  EXPECT_FALSE(TryCreate({"true"}, [](auto& config) { SecurityOf(config).mutable_run_as_group()->set_value(1); }).ok());
}

TEST_F(ProcessTest, AUserWhomTheImageDoesNotKnowByNameCannotRun) {
  std::string id;
  grpc::Status status = TryCreate(
      {"true"}, [](auto& config) { SecurityOf(config).set_run_as_username("stranger"); }, &id);
  if (status.ok()) status = TryStart(id);
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(status.error_message(), HasSubstr("stranger"));
}

TEST_F(ProcessTest, TheImagesGroupsComeWithMergeAndNotWithStrict) {
  auto with = [](cri::SupplementalGroupsPolicy policy) {
    return [policy](cri::ContainerConfig& config) {
      auto& security = SecurityOf(config);
      security.mutable_run_as_user()->set_value(1);
      security.add_supplemental_groups(1234);
      security.set_supplemental_groups_policy(policy);
    };
  };
  const std::string merged = Run({"sleep", "1000"}, with(cri::Merge)),
                    strict = Run({"sleep", "1000"}, with(cri::Strict));
  EXPECT_EQ(Sh(merged, "for g in $(id -G); do echo $g; done | sort -n"), "1\n100\n1234");
  EXPECT_EQ(Sh(strict, "for g in $(id -G); do echo $g; done | sort -n"), "1\n1234");
  const auto groups = Status(strict).user().linux().supplemental_groups();
  EXPECT_THAT(groups, testing::UnorderedElementsAre(1, 1234));
}

TEST_F(ProcessTest, ARootOfItsOwnIsWritableUnlessItIsSaidToBeReadOnly) {
  EXPECT_EQ(OutputOf({"sh", "-c", "echo x >/file && cat /file"}), "x");
  const std::string id = Run({"sleep", "1000"}, [](auto& config) { SecurityOf(config).set_readonly_rootfs(true); });
  EXPECT_THAT(Exec(id, {"touch", "/file"}).stderr(), HasSubstr("Read-only"));
  EXPECT_EQ(Exec(id, {"sh", "-c", "echo x >/dev/shm/file && echo x >/dev/null"}).exit_code(), 0);
}

TEST_F(ProcessTest, CpusAndMemoryNodesAreThoseOfTheRequest) {
  const std::string id = Run({"sleep", "1000"}, [](cri::ContainerConfig& config) {
    config.mutable_linux()->mutable_resources()->set_cpuset_cpus("0");
    config.mutable_linux()->mutable_resources()->set_cpuset_mems("0");
  });
  EXPECT_EQ(Sh(id, "grep _allowed_list /proc/self/status"), "Cpus_allowed_list:\t0\nMems_allowed_list:\t0");
  const cri::LinuxContainerResources told = Status(id).resources().linux();
  EXPECT_EQ(told.cpuset_cpus(), "0");
  EXPECT_EQ(told.cpuset_mems(), "0");
}

// A number that no driver has: who may open it is told that there is no such device.
TEST_F(ProcessTest, ADeviceIsThereWithItsPermissions) {
  const std::string node = directory() + "/device";
  ASSERT_EQ(::mknod(node.c_str(), S_IFCHR | 0666, makedev(240, 7)), 0);
  const std::string id = Run({"sleep", "1000"}, [&](cri::ContainerConfig& config) {
    cri::Device& device = *config.add_devices();
    device.set_host_path(node);
    device.set_container_path("/dev/mine");
    device.set_permissions("r");
  });
  EXPECT_EQ(Sh(id, "stat -c %t:%T /dev/mine"), "f0:7");
  EXPECT_THAT(Exec(id, {"cat", "/dev/mine"}).stderr(), HasSubstr("No such device"));
  EXPECT_THAT(Exec(id, {"sh", "-c", "echo x >/dev/mine"}).stderr(), HasSubstr("not permitted"));
}

}  // namespace
}  // namespace wherry::conformance
