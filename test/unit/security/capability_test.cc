#include "runtime/security/capability.h"

#include <gtest/gtest.h>
#include <linux/capability.h>

namespace wherry::security {
namespace {

TEST(Capability, NamesAndNumbersAreTheKernels) {
  EXPECT_EQ(*CapabilityNumber("CAP_CHOWN"), CAP_CHOWN);
  EXPECT_EQ(*CapabilityNumber("sys_admin"), CAP_SYS_ADMIN);
  EXPECT_EQ(*CapabilityNumber("CHECKPOINT_RESTORE"), CAP_CHECKPOINT_RESTORE);
  EXPECT_EQ(CapabilityName(CAP_NET_RAW), "CAP_NET_RAW");
  EXPECT_EQ(CapabilityName(63), "CAP_63");
  for (int number = 0; number <= CAP_LAST_CAP; ++number) EXPECT_EQ(*CapabilityNumber(CapabilityName(number)), number);
  for (const char* name : {"", "CAP_", "CAP_CAP_CHOWN", "ALL", "CHOWN "})
    EXPECT_FALSE(CapabilityNumber(name).ok()) << name;
}

TEST(Capability, TheDefaultSetIsTheUsualOne) { EXPECT_EQ(DefaultCapabilities(), 0xa80425fbULL); }

}  // namespace
}  // namespace wherry::security
