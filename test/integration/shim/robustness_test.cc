// What a client, its death, or the shim's own death must not break.
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "runtime/shim/frame.h"
#include "runtime/shim/socket.h"
#include "test/integration/shim/pod_fixture.h"
#include "test/sanitize/sanitized.h"

namespace wherry::shim {
namespace {

class RobustnessTest : public PodTest {
 protected:
  sys::UniqueFd RawConnection() {
    auto socket = ConnectTo(socket_);
    EXPECT_TRUE(socket.ok()) << socket.status();
    return socket.ok() ? std::move(*socket) : sys::UniqueFd();
  }
  // Waits until the peer has closed.
  static bool IsDropped(int fd) {
    char buffer[4096];
    while (true) {
      pollfd entry{fd, POLLIN, 0};
      if (::poll(&entry, 1, 60000) <= 0) return false;
      const ssize_t n = ::read(fd, buffer, sizeof(buffer));
      if (n == 0 || (n < 0 && errno == ECONNRESET)) return true;
    }
  }
};

TEST_F(RobustnessTest, GarbageLosesItsConnectionOnly) {
  StartPod();
  const std::string garbage[] = {std::string("\xff\xff\xff\xff", 4), std::string("\x04\x00\x00\x00\xff\xff\xff\xff", 8),
                                 std::string("\x00\x00\x00\x00", 4), "GET / HTTP/1.1\r\n\r\n"};
  for (const std::string& bytes : garbage) {
    sys::UniqueFd fd = RawConnection();
    ASSERT_EQ(::write(fd.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    EXPECT_TRUE(IsDropped(fd.get()));
  }
  EXPECT_EQ(State().pod_id(), pod_id_);
}

TEST_F(RobustnessTest, WithoutHelloNothingIsDone) {
  StartPod();
  sys::UniqueFd fd = RawConnection();
  v1::Request request;
  request.set_id(1);
  request.mutable_shutdown();
  FrameWriter writer(1 << 20);
  ASSERT_TRUE(writer.Push(request).ok());
  ASSERT_TRUE(writer.Flush(fd.get()).ok());
  EXPECT_TRUE(IsDropped(fd.get()));
  EXPECT_EQ(State().pod_id(), pod_id_);
}

TEST_F(RobustnessTest, AnotherUserIsNotServed) {
  StartPod();
  ASSERT_EQ(::chmod(dir_.c_str(), 0711), 0);
  ASSERT_EQ(::chmod(socket_.c_str(), 0666), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setresuid(1000, 1000, 1000) != 0) ::_exit(10);
    sys::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    strncpy(address.sun_path, socket_.c_str(), sizeof(address.sun_path) - 1);
    if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) ::_exit(11);
    ::_exit(IsDropped(fd.get()) ? 0 : 12);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST_F(RobustnessTest, TheSocketIsForRootOnly) {
  StartPod();
  struct stat st {};
  ASSERT_EQ(::stat(socket_.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0600U);
}

TEST_F(RobustnessTest, AClientThatNeverReadsIsDropped) {
  StartPod();
  sys::UniqueFd fd = RawConnection();
  FrameWriter writer(1 << 20);
  v1::Request hello;
  hello.set_id(1);
  hello.mutable_hello()->set_min_version(1);
  hello.mutable_hello()->set_max_version(1);
  ASSERT_TRUE(writer.Push(hello).ok());
  v1::Request state;
  state.set_id(2);
  state.mutable_state();
  // Each answer is some 60 bytes: far more than the socket and the shim's queue hold.
  bool broken = false;
  for (int i = 0; i < 200000 && !broken; ++i) {
    if (writer.empty()) (void)writer.Push(state);
    broken = !writer.Flush(fd.get()).ok();
    if (!writer.empty()) {
      pollfd entry{fd.get(), POLLOUT, 0};
      ASSERT_EQ(::poll(&entry, 1, 60000), 1);
    }
  }
  EXPECT_TRUE(broken);
  EXPECT_EQ(State().pod_id(), pod_id_);
}

// Another wherryd: spawns the pod in a child process, starts a container, and dies by SIGKILL with a start under way.
TEST_F(RobustnessTest, KillOfTheClientMidRequestChangesNothing) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  sys::UniqueFd in(ends[0]), out(ends[1]);
  const v1::Request first = ContainerRequest("a", "sleep 0.2; echo late; exit 9");
  v1::Request second = ContainerRequest("b", "echo b; exec sleep 100000");
  const pid_t child = ::fork();
  if (child == 0) {
    StartPod();
    if (!Call(first).ok()) ::_exit(1);
    if (::write(out.get(), &shim_, sizeof(shim_)) != sizeof(shim_)) ::_exit(2);
    (void)hub_->Call(pod_id_, second, absl::ZeroDuration());
    ::kill(::getpid(), SIGKILL);
  }
  out.reset();
  ASSERT_EQ(::read(in.get(), &shim_, sizeof(shim_)), static_cast<ssize_t>(sizeof(shim_)));
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  StartHub();
  ASSERT_TRUE(hub_->Connect(pod_id_, socket_, shim_).ok());
  while (State().containers_size() < 2 || !State().containers(0).has_exit() || State().containers(1).pid() == 0)
    ::usleep(1000);
  const v1::StateReply state = State();
  EXPECT_EQ(state.containers(0).exit().code(), 9);
  EXPECT_FALSE(state.containers(1).has_exit());
  EXPECT_EQ(Log("a"), "stdout F late\n");
}

TEST_F(RobustnessTest, DeathOfTheShimIsToldAndEndIsFine) {
  StartPod();
  v1::Request request = SetupRequest();
  ASSERT_EQ(::kill(shim_.pid, SIGKILL), 0);
  WaitLost();
  EXPECT_TRUE(absl::IsUnavailable(Call(request).status()));
  EXPECT_TRUE(hub_->End(pod_id_, shim_).ok());
  EXPECT_TRUE(absl::IsNotFound(hub_->Connect(pod_id_, socket_, shim_)));
}

TEST_F(RobustnessTest, AnotherProcessWithThePidIsNotTheShim) {
  StartPod();
  auto other = Hub::Create({WHERRY_SHIM_PROGRAM, ""}, {});
  ASSERT_TRUE(other.ok());
  Process wrong = shim_;
  wrong.start_time += 1;
  EXPECT_TRUE(absl::IsNotFound((*other)->Connect(pod_id_, socket_, wrong)));
  EXPECT_TRUE((*other)->End(pod_id_, wrong).ok());
  EXPECT_EQ(State().pod_id(), pod_id_);
  EXPECT_TRUE((*other)->Connect(pod_id_, socket_, shim_).ok());
}

TEST_F(RobustnessTest, OnlyRootSignalsAreLeftTheShimIgnoresTheRest) {
  StartPod();
  for (int signal : {SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGPIPE, SIGUSR1, SIGUSR2}) ::kill(shim_.pid, signal);
  EXPECT_EQ(State().pod_id(), pod_id_);
}

TEST_F(RobustnessTest, ThePodIdIsInTheCommandLineAndTheProgramIsSealed) {
  StartPod();
  const std::string proc = "/proc/" + std::to_string(shim_.pid);
  EXPECT_EQ(ReadFile(proc + "/cmdline"), "wherry-shim" + std::string(1, '\0') + pod_id_ + std::string(1, '\0'));
  EXPECT_EQ(ReadFile(proc + "/comm"), "wherry-shim\n");
  EXPECT_LT(::open((proc + "/exe").c_str(), O_WRONLY | O_CLOEXEC), 0);
  const sys::UniqueFd program(::open((proc + "/exe").c_str(), O_RDONLY | O_CLOEXEC));
  constexpr int kWanted = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
  const int seals = ::fcntl(program.get(), F_GET_SEALS);
  EXPECT_GE(seals, 0) << "no file in memory";
  EXPECT_EQ(seals & kWanted, kWanted);
  EXPECT_EQ(std::string(std::filesystem::read_symlink(proc + "/cwd")), "/");
  for (const char* fd : {"0", "1", "2"})
    EXPECT_EQ(std::string(std::filesystem::read_symlink(proc + "/fd/" + fd)), "/dev/null");
}

TEST_F(RobustnessTest, TenThousandExecsDoNotGrowTheShim) {
  StartPod();
  ASSERT_TRUE(Start("c", "exec sleep 100000").ok());
  const auto rss = [&] {
    const std::string text = ReadFile("/proc/" + std::to_string(shim_.pid) + "/smaps_rollup");
    return std::stol(text.substr(text.find("Private_Dirty:") + 14));
  };
  const auto run = [&](int from, int to) {
    for (int i = from; i < to; ++i) {
      auto output = Run("c", std::to_string(i), {"/bin/true"});
      ASSERT_TRUE(output.ok()) << output.status();
      ASSERT_EQ(output->exit.code(), 0);
    }
  };
  const auto fds = [&] {
    return std::distance(std::filesystem::directory_iterator("/proc/" + std::to_string(shim_.pid) + "/fd"), {});
  };
  constexpr int kExecs = test::kSanitized ? 1000 : 10000;
  run(0, kExecs / 10);
  const long before = rss();
  const auto fds_before = fds();
  run(kExecs / 10, kExecs);
  if (!test::kSanitized) {
    EXPECT_LE(rss(), before + 16) << "KiB";
  }
  EXPECT_EQ(fds(), fds_before);
}

}  // namespace
}  // namespace wherry::shim
