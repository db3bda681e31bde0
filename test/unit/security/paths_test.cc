// Paths of the kernel's file systems that no container sees unless it is privileged.
#include "runtime/security/paths.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace wherry::security {
namespace {

// The power meters tell what other programs compute (GHSA-7ww5-4wqc-m92c). Not every machine has them.
TEST(PathsTest, PowerMetersAndTheirLikeAreMasked) {
  EXPECT_THAT(DefaultMaskedPaths(), testing::IsSupersetOf({"/proc/kcore", "/proc/keys", "/proc/timer_list",
                                                           "/sys/firmware", "/sys/devices/virtual/powercap"}));
  EXPECT_THAT(DefaultReadonlyPaths(), testing::IsSupersetOf({"/proc/sys", "/proc/sysrq-trigger"}));
}

}  // namespace
}  // namespace wherry::security
