#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/keyctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

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

// keyrings(7): a session keyring is inherited, and whoever has it has the keys on it.
TEST(Start, ItsCallersKeysAreNotTheProgramsToo) {
  InPod([] {
    ASSERT_GE(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr), 0) << strerror(errno);
    const long key = syscall(SYS_add_key, "user", "a-callers-key", "x", 1, KEY_SPEC_SESSION_KEYRING);
    ASSERT_GE(key, 0) << strerror(errno);
    constexpr unsigned kPossessorOnly = 0x3f000000;
    ASSERT_EQ(syscall(SYS_keyctl, KEYCTL_SETPERM, key, kPossessorOnly), 0) << strerror(errno);
    Pod pod;
    Ended ended = pod.Run(pod.Shell("cat /proc/keys"));
    ASSERT_TRUE(ended.start.ok()) << ended.start;
    EXPECT_EQ(ended.code, 0);
    EXPECT_THAT(ended.output, Not(HasSubstr("a-callers-key")));
  });
}

}  // namespace
}  // namespace wherry::process
