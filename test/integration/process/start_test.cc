#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test/integration/process/support.h"

namespace wherry::process {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Start, RunsAProgramAndItsExitCodeComesBack) {
  InPod([] {
    Pod pod;
    Ended ended = pod.Run(pod.Shell("echo hello; echo $$; exit 7"));
    ASSERT_TRUE(ended.start.ok()) << ended.start;
    EXPECT_EQ(ended.code, 7);
    EXPECT_EQ(ended.output, "hello\n1\n");
  });
}

}  // namespace
}  // namespace wherry::process
