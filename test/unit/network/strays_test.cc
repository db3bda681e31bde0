#include "cri/network/strays.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "test/unit/network/fixture.h"

namespace wherry::network {
namespace {

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
  const std::string mine(64, 'a'), other(64, 'b');
  const pid_t stray = Sleeper(mine), bystander = Sleeper(other);
  EXPECT_TRUE(KillStrays({mine, std::string(64, 'c')}).ok());
  int status = 0;
  EXPECT_EQ(waitpid(stray, &status, WNOHANG), stray);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(waitpid(bystander, &status, WNOHANG), 0);
  kill(bystander, SIGKILL);
  waitpid(bystander, &status, 0);
}

}  // namespace
}  // namespace wherry::network
