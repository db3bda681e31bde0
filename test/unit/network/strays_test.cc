#include "cri/network/strays.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/unit/network/fixture.h"

namespace wherry::network {
namespace {

// A container id that nobody else has, another run of this test least of all.
std::string Id(char last) {
  std::string digits = std::to_string(getpid()) + last;
  return std::string(64 - digits.size(), '0') + digits;
}

pid_t Sleeper(const std::string& id) {
  std::string variable = "CNI_CONTAINERID=" + id, home = "HOME=/";
  char* environment[] = {home.data(), variable.data(), nullptr};
  char program[] = "/bin/sleep", time[] = "1000";
  char* argv[] = {program, time, nullptr};
  pid_t pid = -1;
  EXPECT_EQ(posix_spawn(&pid, program, nullptr, nullptr, argv, environment), 0);
  return pid;
}

TEST(StraysTest, OnlyProcessesOfTheGivenContainersAreKilled) {
  const std::string mine = Id('a'), other = Id('b');
  const pid_t stray = Sleeper(mine), bystander = Sleeper(other);
  EXPECT_TRUE(KillStrays({mine, Id('c')}).ok());
  int status = 0;
  EXPECT_EQ(waitpid(stray, &status, WNOHANG), stray);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(waitpid(bystander, &status, WNOHANG), 0);
  kill(bystander, SIGKILL);
  waitpid(bystander, &status, 0);
}

}  // namespace
}  // namespace wherry::network
