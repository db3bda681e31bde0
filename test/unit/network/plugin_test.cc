// Plugins that misbehave: nothing they do may hang, exhaust or confuse the caller.

#include "cri/network/plugin.h"

#include <gmock/gmock.h>
#include <signal.h>

#include <thread>

#include "test/unit/network/fixture.h"

namespace wherry::network {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class PluginTest : public Scratch {
 protected:
  absl::StatusOr<std::string> Run(const std::string& type, milliseconds time = std::chrono::minutes(1),
                                  const std::string& command = "ADD") {
    return plugins_.Run(type, {command, kId, "/ns", "eth0", "A=1", "input"}, Clock::now() + time);
  }
  // A pid that a script wrote down; waits until it has.
  pid_t PidIn(const std::string& name) const {
    const auto end = Clock::now() + std::chrono::seconds(30);
    while (Clock::now() < end) {
      if (const std::string text = Read(name); !text.empty() && text.back() == '\n') return std::stoi(text);
      std::this_thread::sleep_for(milliseconds(2));
    }
    ADD_FAILURE() << name << " was not written";
    return 0;
  }
  static bool Dies(pid_t pid) {
    const auto end = Clock::now() + std::chrono::seconds(30);
    while (kill(pid, 0) == 0 && Clock::now() < end) {
      // An orphan's zombie is its new parent's to reap: dead enough.
      std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
      std::string line;
      std::getline(stat, line);
      if (line.find(") Z") != std::string::npos) return true;
      std::this_thread::sleep_for(milliseconds(2));
    }
    return kill(pid, 0) != 0;
  }
  Plugins plugins_{{dir_ + "/nowhere", dir_ + "/bin"}};
};

TEST_F(PluginTest, GetsTheCallAndReturnsWhatItPrints) {
  setenv("CNI_STALE", "1", 1);
  setenv("NOTIFY_SOCKET", "/x", 1);
  setenv("HTTPS_PROXY", "http://proxy", 1);
  Plugin("echo", "env; cat");
  auto out = Run("echo");
  unsetenv("CNI_STALE");
  unsetenv("NOTIFY_SOCKET");
  unsetenv("HTTPS_PROXY");
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_THAT(*out, AllOf(HasSubstr("CNI_COMMAND=ADD\n"), HasSubstr("CNI_CONTAINERID=" + std::string(kId) + "\n"),
                          HasSubstr("CNI_NETNS=/ns\n"), HasSubstr("CNI_IFNAME=eth0\n"), HasSubstr("CNI_ARGS=A=1\n"),
                          HasSubstr("CNI_PATH=" + dir_ + "/nowhere:" + dir_ + "/bin\n"), HasSubstr("input")));
  EXPECT_THAT(
      *out, AllOf(HasSubstr("HTTPS_PROXY=http://proxy"), Not(HasSubstr("CNI_STALE")), Not(HasSubstr("NOTIFY_SOCKET"))));
}

TEST_F(PluginTest, AMissingOneIsNamedWithTheDirectories) {
  auto out = Run("nosuch");
  EXPECT_TRUE(absl::IsFailedPrecondition(out.status()));
  EXPECT_THAT(std::string(out.status().message()),
              AllOf(HasSubstr("\"nosuch\""), HasSubstr(dir_ + "/nowhere"), HasSubstr(dir_ + "/bin")));
  std::filesystem::create_directory(dir_ + "/bin/folder");
  EXPECT_TRUE(absl::IsFailedPrecondition(plugins_.Find("folder").status()));
}

TEST_F(PluginTest, AHangingOneIsKilledWithItsChildren) {
  Plugin("hang", "echo starting >&2; sleep 1000 & echo $! > $here/child; echo $$ > $here/self; wait");
  auto out = Run("hang", milliseconds(500));
  EXPECT_TRUE(absl::IsDeadlineExceeded(out.status())) << out.status();
  EXPECT_THAT(std::string(out.status().message()), AllOf(HasSubstr("\"hang\""), HasSubstr("starting")));
  EXPECT_TRUE(Dies(PidIn("self")));
  EXPECT_TRUE(Dies(PidIn("child")));
}

TEST_F(PluginTest, OneThatClosesItsOutputAndHangsIsKilledToo) {
  Plugin("hang", "exec >&- 2>&-; exec sleep 1000");
  EXPECT_TRUE(absl::IsDeadlineExceeded(Run("hang", milliseconds(300)).status()));
}

TEST_F(PluginTest, ADaemonThatItLeavesBehindIsNotWaitedFor) {
  Plugin("daemon", "yes noise >&2 & echo $! > $here/child; echo result");
  auto out = Run("daemon", std::chrono::seconds(30));
  const pid_t child = PidIn("child");
  EXPECT_EQ(kill(child, 0), 0) << "it may be meant to stay";
  kill(child, SIGKILL);
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ(*out, "result\n");
}

TEST_F(PluginTest, EndlessOutputIsBounded) {
  Plugin("flood", "head -c 3000000 /dev/zero");
  EXPECT_TRUE(absl::IsResourceExhausted(Run("flood").status()));
  Plugin("noise", "head -c 3000000 /dev/zero >&2; echo fine");
  auto out = Run("noise");
  ASSERT_TRUE(out.ok()) << out.status();
  EXPECT_EQ(*out, "fine\n");
}

TEST_F(PluginTest, AFailureCarriesTheErrorDocument) {
  Plugin("fail", R"(echo log line >&2; echo '{"cniVersion":"1.0.0","code":7,"msg":"bad mtu","details":"-1"}'; exit 1)");
  auto out = Run("fail");
  EXPECT_TRUE(absl::IsFailedPrecondition(out.status())) << out.status();  // the node's configuration, not the request
  EXPECT_THAT(std::string(out.status().message()),
              AllOf(HasSubstr("CNI ADD by plugin \"fail\""), HasSubstr("bad mtu: -1"), HasSubstr("CNI error 7")));
  Plugin("later", R"(echo '{"code":11,"msg":"not yet"}'; exit 1)");
  EXPECT_TRUE(absl::IsUnavailable(Run("later").status()));
}

TEST_F(PluginTest, AFailureWithoutDocumentCarriesStandardErrorInOneLine) {
  Plugin("panic", "printf 'panic: oh\\nno\\033[31m\\n' >&2; echo garbage; exit 3");
  auto out = Run("panic");
  EXPECT_TRUE(absl::IsInternal(out.status()));
  const std::string text(out.status().message());
  EXPECT_THAT(text, AllOf(HasSubstr("exit code 3"), HasSubstr("panic: oh no")));
  EXPECT_EQ(text.find_first_of("\n\033"), std::string::npos);
  Plugin("crash", "kill -SEGV $$");
  EXPECT_THAT(std::string(Run("crash").status().message()), HasSubstr("signal 11"));
}

// Code 3, "container unknown", is what DEL wants; a NotFound of ADD would tell the kubelet that the pod is gone.
TEST_F(PluginTest, AnUnknownContainerIsNothingToDelete) {
  Plugin("unknown", R"(echo '{"code":3,"msg":"unknown container"}'; exit 1)");
  EXPECT_TRUE(Run("unknown", std::chrono::minutes(1), "DEL").ok());
  EXPECT_TRUE(absl::IsInternal(Run("unknown").status()));
}

}  // namespace
}  // namespace wherry::network
