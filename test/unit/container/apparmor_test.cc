#include "runtime/apparmor/apparmor.h"

#include <gmock/gmock.h>

#include "cri/container/spec.h"

namespace wherry::container {
namespace {

using ::runtime::v1::LinuxContainerSecurityContext;
using ::runtime::v1::SecurityProfile;
using testing::ElementsAre;
using testing::HasSubstr;

const HostFacts kWith{};
HostFacts Without() {
  HostFacts host;
  host.apparmor = absl::FailedPreconditionError("this host has no AppArmor");
  return host;
}

LinuxContainerSecurityContext Asking(SecurityProfile::ProfileType type, const std::string& name = "") {
  LinuxContainerSecurityContext security;
  security.mutable_apparmor()->set_profile_type(type);
  security.mutable_apparmor()->set_localhost_ref(name);
  return security;
}

LinuxContainerSecurityContext AskingInTheOldWay(const std::string& profile) {
  LinuxContainerSecurityContext security;
  security.set_apparmor_profile(profile);
  return security;
}

TEST(AppArmorProfile, NothingSaidIsTheDefaultWhereTheHostCanGiveIt) {
  HostFacts no_compiler;
  no_compiler.apparmor_default = absl::FailedPreconditionError("apparmor_parser is not installed");
  EXPECT_EQ(*AppArmorProfile({}, kWith), "wherry-default");
  EXPECT_EQ(*AppArmorProfile({}, Without()), "");
  EXPECT_EQ(*AppArmorProfile({}, no_compiler), "");
  auto asked = AppArmorProfile(Asking(SecurityProfile::RuntimeDefault), no_compiler);
  EXPECT_TRUE(absl::IsFailedPrecondition(asked.status())) << asked.status();
}

TEST(AppArmorProfile, BothFieldsSayTheSameAndTheNewOneWins) {
  EXPECT_EQ(*AppArmorProfile(Asking(SecurityProfile::RuntimeDefault), kWith), "wherry-default");
  EXPECT_EQ(*AppArmorProfile(Asking(SecurityProfile::Unconfined), kWith), "");
  EXPECT_EQ(*AppArmorProfile(Asking(SecurityProfile::Localhost, "mine"), kWith), "mine");
  EXPECT_EQ(*AppArmorProfile(AskingInTheOldWay("runtime/default"), kWith), "wherry-default");
  EXPECT_EQ(*AppArmorProfile(AskingInTheOldWay("unconfined"), kWith), "");
  EXPECT_EQ(*AppArmorProfile(AskingInTheOldWay("localhost/mine"), kWith), "mine");
  auto both = Asking(SecurityProfile::Unconfined);
  both.set_apparmor_profile("runtime/default");
  EXPECT_EQ(*AppArmorProfile(both, kWith), "");
}

TEST(AppArmorProfile, PrivilegedContainersHaveNone) {
  auto security = Asking(SecurityProfile::Localhost, "mine");
  security.set_privileged(true);
  EXPECT_EQ(*AppArmorProfile(security, kWith), "");
}

TEST(AppArmorProfile, WhatTheHostCannotGiveIsRefused) {
  for (const auto& security : {Asking(SecurityProfile::RuntimeDefault), Asking(SecurityProfile::Localhost, "mine"),
                               AskingInTheOldWay("localhost/mine")}) {
    auto refused = AppArmorProfile(security, Without());
    EXPECT_TRUE(absl::IsFailedPrecondition(refused.status())) << refused.status();
    EXPECT_THAT(refused.status().message(), HasSubstr("this host has no AppArmor"));
  }
  EXPECT_EQ(*AppArmorProfile(Asking(SecurityProfile::Unconfined), Without()), "");
}

TEST(AppArmorProfile, WhatSaysNothingClearIsRefused) {
  for (const auto& security :
       {Asking(SecurityProfile::Localhost), AskingInTheOldWay("localhost/"), AskingInTheOldWay("mine"),
        Asking(SecurityProfile::RuntimeDefault, "mine"), Asking(static_cast<SecurityProfile::ProfileType>(7))}) {
    auto refused = AppArmorProfile(security, kWith);
    EXPECT_TRUE(absl::IsInvalidArgument(refused.status())) << security.ShortDebugString() << refused.status();
  }
}

TEST(AppArmorProfile, NamesInTheKernelsListMayHoldSpacesAndParentheses) {
  EXPECT_THAT(apparmor::ParseProfiles("wherry-default (enforce)\n/usr/bin/a (b) c (complain)\nx//y (kill)\n\n"),
              ElementsAre("wherry-default", "/usr/bin/a (b) c", "x//y"));
}

}  // namespace
}  // namespace wherry::container
