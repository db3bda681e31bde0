// The operator's command line, as somebody types it: exit codes, what goes to standard output, and nothing left behind.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "test/e2e/census.h"
#include "test/e2e/node.h"

namespace wherry::e2e {
namespace {

using testing::HasSubstr;
using testing::Not;

struct Ended {
  int exit_code = -1;
  std::string out, err;
};

class CliTest : public NodeTest {
 protected:
  // The program started with its output in files, which unlike pipes never make it wait.
  pid_t Spawn(std::vector<std::string> args) {
    args.insert(args.begin(), {WHERRY_BIN_DIR "/wherry", "--endpoint", "unix://" + node.dir() + "/run/wherry.sock"});
    std::vector<char*> argv;
    argv.reserve(args.size() + 1);
    for (std::string& a : args) argv.push_back(a.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, Out().c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    posix_spawn_file_actions_addopen(&actions, 2, Err().c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    pid_t pid = -1;
    EXPECT_EQ(posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ), 0) << argv[0];
    posix_spawn_file_actions_destroy(&actions);
    return pid;
  }
  Ended Wait(pid_t pid) {
    int status = 0;
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), Text(Out()), Text(Err())};
  }
  Ended Wherry(std::vector<std::string> args) { return Wait(Spawn(std::move(args))); }

  static std::string Text(const std::string& path) {
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::string Out() const { return node.dir() + "/out"; }
  std::string Err() const { return node.dir() + "/err"; }
};

TEST_F(CliTest, RunPrintsWhatTheProgramSaysAndEndsAsItDid) {
  ASSERT_EQ(Wherry({"run", "busybox", "true"}).exit_code, 0);  // makes the bridge
  Census before = TakeAtRest(node.dir(), node.cgroup(), node.pid());
  Ended run = Wherry({"run", "busybox", "sh", "-c", "echo to out; echo to err >&2; exit 3"});
  EXPECT_EQ(run.exit_code, 3);
  EXPECT_EQ(run.out, "to out\n");
  EXPECT_EQ(run.err, "to err\n");
  run = Wherry({"run", "busybox", "nosuchprogram"});
  EXPECT_EQ(run.exit_code, 125);
  EXPECT_EQ(run.out, "");
  EXPECT_THAT(run.err, HasSubstr("exec \"nosuchprogram\": not found in PATH"));
  run = Wherry({"run", "nosuchimage", "true"});
  EXPECT_EQ(run.exit_code, 125);
  EXPECT_THAT(run.err, HasSubstr("nosuchimage"));
  std::string difference;
  Eventually("the host to be as before", [&] {
    difference = Difference(before, Take(node.dir(), node.cgroup(), node.pid()));
    return difference.empty();
  });
  EXPECT_EQ(difference, "");
  EXPECT_FALSE(std::filesystem::exists("/var/log/wherry") && !std::filesystem::is_empty("/var/log/wherry"));
}

TEST_F(CliTest, ADetachedPodIsSeenEnteredReadStoppedAndRemoved) {
  // PID 1 gets no signal that it does not handle: this one ends only if it is asked as its author meant.
  Ended run = Wherry({"run", "-d", "--name", "web", "busybox", "sh", "-c",
                      "trap 'echo asked; exit 0' TERM; echo up; while true; do sleep 0.05; done"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  Eventually("the program to be up", [&] { return Wherry({"logs", "web"}).out == "up\n"; });

  EXPECT_THAT(Wherry({"ps"}).out, testing::ContainsRegex("web +web +Running"));
  EXPECT_THAT(Wherry({"pods"}).out, testing::ContainsRegex("default +web +0 +Ready .* 10\\.88\\."));
  Ended exec = Wherry({"exec", "web", "sh", "-c", "hostname; echo oh >&2; exit 7"});
  EXPECT_EQ(exec.exit_code, 7);
  EXPECT_EQ(exec.out, "web\n");
  EXPECT_EQ(exec.err, "oh\n");

  Ended refused = Wherry({"rm", "default/web"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("running"));

  EXPECT_EQ(Wherry({"stop", "default/web"}).exit_code, 0);
  EXPECT_EQ(Wherry({"logs", "web"}).out, "up\nasked\n");
  EXPECT_THAT(Wherry({"ps"}).out, Not(HasSubstr("web")));
  EXPECT_THAT(Wherry({"ps", "-a"}).out, HasSubstr("Exited (0)"));
  EXPECT_EQ(Wherry({"rm", "default/web"}).exit_code, 0);
  EXPECT_THAT(Wherry({"ps", "-a"}).out, Not(HasSubstr("web")));
  EXPECT_THAT(Wherry({"pods"}).out, Not(HasSubstr("web")));
  EXPECT_EQ(Wherry({"logs", "web"}).exit_code, 1);
}

TEST_F(CliTest, LogsFollowsToTheEndOfTheContainer) {
  ASSERT_EQ(Wherry({"run", "-d", "--name", "w", "busybox", "sh", "-c",
                    "echo one; until [ -e /go ]; do sleep 0.02; done; echo two"})
                .exit_code,
            0);
  pid_t follower = Spawn({"logs", "-f", "w"});
  Eventually("the first line", [&] { return Text(Out()) == "one\n"; });
  std::string container;
  cri::ListContainersResponse list;
  grpc::ClientContext context;
  ASSERT_TRUE(node.runtime().ListContainers(&context, {}, &list).ok());
  ASSERT_EQ(list.containers_size(), 1);
  node.Exec(list.containers(0).id(), {"touch", "/go"});
  Ended ended = Wait(follower);
  EXPECT_EQ(ended.exit_code, 0) << ended.err;
  EXPECT_EQ(ended.out, "one\ntwo\n");
}

TEST_F(CliTest, AnInterruptedRunRemovesItsPod) {
  pid_t run = Spawn({"run", "busybox", "sh", "-c", "trap 'exit 0' TERM; echo up; while true; do sleep 0.05; done"});
  Eventually("the program to be up", [&] { return Text(Out()) == "up\n"; });
  kill(run, SIGINT);
  Wait(run);
  EXPECT_EQ(Wherry({"pods", "-o", "json"}).out, "[]\n");
}

TEST_F(CliTest, ImagesAreImportedListedAndRemoved) {
  EXPECT_THAT(Wherry({"image", "ls"}).out, HasSubstr("docker.io/library/busybox:latest"));
  EXPECT_EQ(Wherry({"image", "rm", "busybox"}).exit_code, 0);
  EXPECT_THAT(Wherry({"image", "ls"}).out, Not(HasSubstr("busybox")));
  Ended import = Wherry({"image", "import", "/mnt/busybox.tar"});
  EXPECT_EQ(import.exit_code, 0) << import.err;
  EXPECT_THAT(import.out, HasSubstr("docker.io/library/busybox:latest"));
  import = Wherry({"image", "import", "/dev/null"});
  EXPECT_EQ(import.exit_code, 1);
  EXPECT_THAT(import.err, HasSubstr("/dev/null"));
}

TEST_F(CliTest, DoctorNamesWhatItLooksAtLineByLine) {
  Ended doctor = Wherry({"doctor", "--config", node.dir() + "/config.toml"});
  EXPECT_EQ(doctor.exit_code, 0) << doctor.out << doctor.err;
  for (const char* what : {"kernel", "openat2", "cgroup", "CNI configuration", "RuntimeReady", "NetworkReady"})
    EXPECT_THAT(doctor.out, HasSubstr(what));
}

}  // namespace
}  // namespace wherry::e2e
