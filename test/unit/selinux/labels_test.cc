// Which labels a container gets, by what its pod has and its request says.
#include <gmock/gmock.h>

#include "cri/container/spec.h"

namespace wherry::container {
namespace {

using ::runtime::v1::ContainerConfig;
using ::runtime::v1::LinuxContainerSecurityContext;
using ::runtime::v1::SELinuxOption;
using testing::HasSubstr;

const selinux::Labels kPod{"system_u:system_r:container_t:s0:c1,c2", "system_u:object_r:container_file_t:s0:c1,c2"};

SELinuxOption Options(const std::string& user, const std::string& role, const std::string& type,
                      const std::string& level) {
  SELinuxOption options;
  options.set_user(user), options.set_role(role), options.set_type(type), options.set_level(level);
  return options;
}

TEST(SelinuxOverlay, APartThatIsNotNamedStays) {
  auto same = Overlay(kPod, {});
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_EQ(same->process, kPod.process);
  EXPECT_EQ(same->file, kPod.file);
  auto type = Overlay(kPod, Options("", "", "init_t", ""));
  EXPECT_EQ(type->process, "system_u:system_r:init_t:s0:c1,c2");
  EXPECT_EQ(type->file, kPod.file);
}

TEST(SelinuxOverlay, UserAndLevelAreTheFilesToo) {
  auto labels = Overlay(kPod, Options("me_u", "me_r", "me_t", "s0:c5.c7,c9"));
  ASSERT_TRUE(labels.ok()) << labels.status();
  EXPECT_EQ(labels->process, "me_u:me_r:me_t:s0:c5.c7,c9");
  EXPECT_EQ(labels->file, "me_u:object_r:container_file_t:s0:c5.c7,c9");
}

TEST(SelinuxOverlay, APartThatWouldBeTwoIsRefused) {
  for (const auto& options : {Options("a:b", "", "", ""), Options("", "a b", "", ""), Options("", "", "t:s0", ""),
                              Options("", "", "", "s0\""), Options("", "", "t\n", ""), Options("", "", "t,x", "")}) {
    auto refused = Overlay(kPod, options);
    EXPECT_TRUE(absl::IsInvalidArgument(refused.status())) << options.ShortDebugString() << refused.status();
  }
}

struct Given {
  std::string process, mount;
};

class ContainerLabelsTest : public testing::Test {
 protected:
  ContainerLabelsTest() {
    pod_.set_selinux_process_label(kPod.process);
    pod_.set_selinux_file_label(kPod.file);
  }
  LinuxContainerSecurityContext& security() { return *config_.mutable_linux()->mutable_security_context(); }
  absl::StatusOr<Given> Labels() {
    const oci::ImageConfig image;
    const config::Config config;
    const Paths paths(config);
    SpecInput input{"id", config_, pod_, image, {}, {}, paths, host_, {}};
    if (absl::Status status = SetLabels(input, spec_); !status.ok()) return status;
    return Given{spec_.process().selinux_label(), spec_.rootfs().mount_label()};
  }
  store::PodRecord pod_;
  ContainerConfig config_;
  HostFacts host_;
  shim::v1::StartContainerRequest spec_;
};

TEST_F(ContainerLabelsTest, AreThePods) {
  EXPECT_EQ(Labels()->process, kPod.process);
  EXPECT_EQ(Labels()->mount, kPod.file);
}

TEST_F(ContainerLabelsTest, OptionsWithoutALevelKeepThePodsLevel) {
  *security().mutable_selinux_options() = Options("", "", "mine_t", "");
  EXPECT_EQ(Labels()->process, "system_u:system_r:mine_t:s0:c1,c2");
  EXPECT_EQ(Labels()->mount, kPod.file);
}

TEST_F(ContainerLabelsTest, APrivilegedProcessHasNoneAndItsFilesThePods) {
  security().set_privileged(true);
  EXPECT_EQ(Labels()->process, "");
  EXPECT_EQ(Labels()->mount, kPod.file);
}

TEST_F(ContainerLabelsTest, WhatSharesTheHostsProcessesOrIpcHasNoneUnlessItAsks) {
  spec_.set_pid_namespace(shim::v1::PID_HOST);
  EXPECT_EQ(Labels()->process + Labels()->mount, "");
  spec_.set_pid_namespace(shim::v1::PID_CONTAINER);
  spec_.set_host_ipc(true);
  EXPECT_EQ(Labels()->process + Labels()->mount, "");
  *security().mutable_selinux_options() = Options("", "", "mine_t", "");
  EXPECT_EQ(Labels()->process, "system_u:system_r:mine_t:s0:c1,c2");
  EXPECT_EQ(Labels()->mount, kPod.file);
}

TEST_F(ContainerLabelsTest, ASandboxWithoutLabelsGivesNone) {
  pod_.clear_selinux_process_label();
  pod_.clear_selinux_file_label();
  EXPECT_EQ(Labels()->process + Labels()->mount, "");
  *security().mutable_selinux_options() = Options("", "", "", "s0");
  EXPECT_TRUE(absl::IsFailedPrecondition(Labels().status())) << Labels().status();
  host_.selinux = absl::UnimplementedError("this host has no SELinux");
  EXPECT_TRUE(absl::IsUnimplemented(Labels().status())) << Labels().status();
  EXPECT_THAT(Labels().status().message(), HasSubstr("selinux_options: this host has no SELinux"));
  security().set_privileged(true);
  EXPECT_EQ(Labels()->process + Labels()->mount, "");
}

}  // namespace
}  // namespace wherry::container
