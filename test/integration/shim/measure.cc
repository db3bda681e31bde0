// Not a test: prints what a shim costs. Build the release preset, then run `build/release/test/shim_measure`.
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>

#include "test/integration/shim/pod_fixture.h"

namespace wherry::shim {
namespace {

class Measure : public PodTest {
 protected:
  static long Kib(pid_t pid, const std::string& field) {
    const std::string text = ReadFile("/proc/" + std::to_string(pid) + "/smaps_rollup");
    const size_t at = text.find("\n" + field + ":");
    return at == std::string::npos ? -1 : std::stol(text.substr(at + field.size() + 2));
  }
  // User and system CPU of a process, in seconds.
  static double Cpu(pid_t pid) {
    const std::string text = ReadFile("/proc/" + std::to_string(pid) + "/schedstat");
    return std::stod(text) / 1e9;
  }
  static double Now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }
};

TEST_F(Measure, MemoryOfFiftyIdlePods) {
  StartPod();
  ASSERT_TRUE(Start("c", "exec sleep 100000").ok());
  std::vector<std::pair<std::string, Process>> pods;
  double spawn = 0;
  for (int i = 0; i < 49; ++i) {
    const std::string id = pod_id_ + "-" + std::to_string(i);
    const double begin = Now();
    auto process = hub_->Spawn(id, dir_ + "/" + std::to_string(i) + ".sock");
    spawn += Now() - begin;
    ASSERT_TRUE(process.ok()) << process.status();
    pods.emplace_back(id, *process);
    v1::Request request = SetupRequest();
    request.mutable_setup_pod()->set_pod_id(id);
    request.mutable_setup_pod()->set_netns_path(netns_ + std::to_string(i));
    auto reply = hub_->Call(id, request, absl::Seconds(60));
    ASSERT_TRUE(reply.ok()) << reply.status();
  }
  ::sleep(3);
  long pss = 0, dirty = 0;
  for (const auto& [id, process] : pods) {
    pss += Kib(process.pid, "Pss");
    dirty += Kib(process.pid, "Private_Dirty");
  }
  printf("spawn %.0f us; per shim: PSS %ld KiB, private dirty %ld KiB; with a container: PSS %ld KiB, dirty %ld KiB\n",
         spawn / 49 * 1e6, pss / 49, dirty / 49, Kib(shim_.pid, "Pss"), Kib(shim_.pid, "Private_Dirty"));
  for (const auto& [id, process] : pods) EXPECT_TRUE(hub_->End(id, process).ok());
}

TEST_F(Measure, LogThroughput) {
  StartPod();
  const double begin = Now();
  // 1 GB of 100-byte lines, written in large blocks.
  ASSERT_TRUE(Start("c", "yes " + std::string(99, 'x') + " | head -c 1000000000").ok());
  WaitContainer("c");
  const double wall = Now() - begin;
  printf("1 GB of 100-byte lines: %.2f s, %.0f MB/s, shim CPU %.2f s\n", wall, 1000 / wall, Cpu(shim_.pid));
  printf("private dirty after: %ld KiB\n", Kib(shim_.pid, "Private_Dirty"));
  ::sleep(5);
  printf("private dirty 5 s later: %ld KiB\n", Kib(shim_.pid, "Private_Dirty"));
}

TEST_F(Measure, ExecLatency) {
  StartPod();
  ASSERT_TRUE(Start("c", "exec sleep 100000").ok());
  const double cpu = Cpu(shim_.pid);
  const double begin = Now();
  for (int i = 0; i < 1000; ++i) ASSERT_TRUE(Run("c", std::to_string(i), {"/bin/true"}).ok());
  printf("exec: %.3f ms each, shim CPU %.3f ms each\n", Now() - begin, Cpu(shim_.pid) - cpu);
}

}  // namespace
}  // namespace wherry::shim
