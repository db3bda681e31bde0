#include "runtime/shim/process_id.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gtest/gtest.h"
#include "runtime/sys/unique_fd.h"

namespace wherry::shim {
namespace {

// A shim is the leader of a session, and a container that is left of it stays a member: the number is in use, but by no process.
TEST(ProcessIdTest, AProcessHasEndedWhoseNumberStillNamesASession) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  sys::UniqueFd read_end(ends[0]), write_end(ends[1]);
  const pid_t leader = ::fork();
  if (leader == 0) {
    ::setsid();
    const pid_t member = ::fork();
    if (member == 0) {
      ::pause();
      ::_exit(0);
    }
    ::_exit(::write(write_end.get(), &member, sizeof member) == sizeof member ? 0 : 1);
  }
  pid_t member = -1;
  ASSERT_EQ(::read(read_end.get(), &member, sizeof member), static_cast<ssize_t>(sizeof member));
  const auto start = StartTime(leader);
  ASSERT_EQ(::waitpid(leader, nullptr, 0), leader);
  ASSERT_TRUE(start.ok()) << start.status();
  EXPECT_EQ(::getsid(member), leader);
  const absl::Status status = OpenProcess({leader, *start}).status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  ::kill(member, SIGKILL);
}

}  // namespace
}  // namespace wherry::shim
