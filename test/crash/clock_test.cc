// The wall clock is set while wherryd waits. A grace period stays as long as it was asked for, and so does all that has a limit.

#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <sys/mman.h>

#include <atomic>
#include <cstdlib>
#include <future>

#include "test/crash/shifted_clock.h"
#include "test/e2e/node.h"

namespace wherry::crash {
namespace {

namespace cri = ::runtime::v1;
using e2e::Eventually;

class ClockTest : public e2e::NodeTest {
 protected:
  void SetUp() override {
    constexpr char kFile[] = "/mnt/clock-shift";
    const int fd = open(kFile, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    ASSERT_EQ(ftruncate(fd, sizeof *shift_), 0);
    void* at = mmap(nullptr, sizeof *shift_, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ASSERT_NE(at, MAP_FAILED);
    close(fd);
    shift_ = static_cast<std::atomic<int64_t>*>(at);
    *shift_ = 0;
    setenv("LD_PRELOAD", WHERRY_SHIFTED_CLOCK, 1);
    setenv(kShiftVariable, kFile, 1);
    NodeTest::SetUp();
    unsetenv("LD_PRELOAD");
    unsetenv(kShiftVariable);
    pod_ = node.RunPod("p");
    container_ = node.Run(pod_, "c",
                          {"sh", "-c",
                           "trap 'touch /asked' TERM; touch /listens; "
                           "while [ ! -e /go ]; do usleep 1000; done; exit 7"});
    AwaitFile("/listens");  // before, its kernel takes no signal to it
  }
  void TearDown() override {
    munmap(shift_, sizeof *shift_);
    NodeTest::TearDown();
  }

  void AwaitFile(const std::string& path) {
    Eventually("the container to make " + path, [&] {
      return node.Exec(container_, {"test", "-e", path}).exit_code() == 0;
    });
  }
  void SetClock(std::chrono::hours by) { *shift_ += std::chrono::nanoseconds(by).count(); }
  // A stop under way that waits for the container to end by itself.
  std::future<grpc::Status> StopAndBeAsked(int seconds) {
    auto stopped = std::async(std::launch::async, [this, seconds] { return node.TryStop(container_, seconds); });
    AwaitFile("/asked");
    return stopped;
  }
  grpc::Status Sleep(const std::string& seconds, int timeout) {
    cri::ExecSyncRequest request;
    request.set_container_id(container_);
    request.add_cmd("sleep");
    request.add_cmd(seconds);
    request.set_timeout(timeout);
    cri::ExecSyncResponse response;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    return node.runtime().ExecSync(&context, request, &response);
  }
  void ExpectPodsGoOn() {
    const std::string pod = node.RunPod("another");
    const std::string container = node.Run(pod, "c", {"sleep", "1000"});
    EXPECT_TRUE(node.TryStop(container, 0).ok());
    node.RemovePod(pod);
  }

  std::atomic<int64_t>* shift_ = nullptr;
  std::string pod_, container_;
};

TEST_F(ClockTest, SetBackMakesNoWaitLonger) {
  auto stopped = StopAndBeAsked(3);
  SetClock(std::chrono::hours(-2));
  EXPECT_TRUE(stopped.get().ok()) << "killed when its grace period was over";
  EXPECT_EQ(node.Status(container_).exit_code(), 137);
  ExpectPodsGoOn();
}

TEST_F(ClockTest, SetForwardMakesNoWaitShorter) {
  auto stopped = StopAndBeAsked(1000);
  SetClock(std::chrono::hours(2));
  EXPECT_TRUE(Sleep("0.5", 1000).ok()) << "nor is it killed meanwhile";
  node.Exec(container_, {"touch", "/go"});
  EXPECT_TRUE(stopped.get().ok());
  EXPECT_EQ(node.Status(container_).exit_code(), 7);
  ExpectPodsGoOn();
}

TEST_F(ClockTest, SetBackHidesNoRates) {
  const std::string other = node.Run(node.RunPod("other"), "c", {"sleep", "1000"});
  const auto cpu = [this](const std::string& id) {
    cri::ContainerStatsRequest request;
    request.set_container_id(id);
    cri::ContainerStatsResponse response;
    grpc::ClientContext context;
    EXPECT_TRUE(node.runtime().ContainerStats(&context, request, &response).ok());
    return response.stats().cpu();
  };
  const cri::CpuUsage before = cpu(container_);
  EXPECT_FALSE(before.has_usage_nano_cores()) << "of one sample";
  SetClock(std::chrono::hours(-2));
  // Abseil looks at the clock every other second, and counts cycles in between.
  Eventually("wherryd to see it", [&] { return cpu(other).timestamp() < before.timestamp(); });
  Eventually("a rate of two samples", [&] { return cpu(container_).has_usage_nano_cores(); });
}

TEST_F(ClockTest, SetBackMakesNoExecLonger) {
  auto slept = std::async(std::launch::async, [this] { return Sleep("1000", 2); });
  Eventually("the command to run", [this] { return node.Exec(container_, {"pidof", "sleep"}).exit_code() == 0; });
  SetClock(std::chrono::hours(-2));
  EXPECT_EQ(slept.get().error_code(), grpc::DEADLINE_EXCEEDED);
}

}  // namespace
}  // namespace wherry::crash
