#include "cri/container/capabilities.h"

#include <gtest/gtest.h>
#include <linux/capability.h>

#include "runtime/security/capability.h"

namespace wherry::container {
namespace {

constexpr uint64_t kAll = (uint64_t{1} << (CAP_LAST_CAP + 1)) - 1;
constexpr uint64_t Bit(int number) { return uint64_t{1} << number; }

TEST(ContainerCapabilities, WithoutAWordTheUsualSet) {
  auto sets = ContainerCapabilities({}, false, kAll);
  ASSERT_TRUE(sets.ok()) << sets.status();
  EXPECT_EQ(sets->permitted(), security::DefaultCapabilities());
  EXPECT_EQ(sets->bounding(), security::DefaultCapabilities());
  EXPECT_EQ(sets->ambient(), 0U);
}

TEST(ContainerCapabilities, ADroppedNameBeatsTheSameNameAdded) {
  ::runtime::v1::Capability request;
  request.add_drop_capabilities("ALL");
  request.add_add_capabilities("net_admin");
  request.add_add_capabilities("CAP_SYS_TIME");
  request.add_drop_capabilities("SYS_TIME");
  auto sets = ContainerCapabilities(request, false, kAll);
  ASSERT_TRUE(sets.ok()) << sets.status();
  EXPECT_EQ(sets->permitted(), Bit(CAP_NET_ADMIN));
}

TEST(ContainerCapabilities, WhatCannotBeGivenIsRefusedByName) {
  ::runtime::v1::Capability request;
  request.add_add_capabilities("SYS_TIME");
  const absl::Status status = ContainerCapabilities(request, false, kAll & ~Bit(CAP_SYS_TIME)).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  EXPECT_NE(status.message().find("no CAP_SYS_TIME"), absl::string_view::npos) << status;
  request.add_add_capabilities("FLY");
  EXPECT_TRUE(absl::IsInvalidArgument(ContainerCapabilities(request, false, kAll).status()));
}

}  // namespace
}  // namespace wherry::container
