#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "test/integration/process/support.h"

namespace wherry::process {
namespace {

TEST(Exec, RunsInTheContainer) {
  InPod([] {
    Pod pod;
    auto request = pod.Shell("echo made > /tmp/file; exec sleep 1000");
    Launch init = pod.Start(request);
    Ended ended = pod.Exec(
        pod.ExecRequest(request, {"sh", "-c", "until cat /tmp/file 2>/dev/null; do :; done; cat /proc/1/comm"}), init);
    EXPECT_TRUE(ended.start.ok()) << ended.start;
    EXPECT_EQ(ended.code, 0);
    EXPECT_EQ(ended.output, "made\nsleep\n");
    pod.End(init);
  });
}

}  // namespace
}  // namespace wherry::process
