// One pod meets what hosts have: a file system that does not answer, a full disk, a process that is stopped, a plugin that babbles. No
// other pod may notice, nor Status nor the lists; and when the trouble is over, so is its trace.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>
#include <vector>

#include "test/crash/hung_files.h"
#include "test/crash/nothing_left_test.h"

namespace wherry::crash {
namespace {

namespace cri = ::runtime::v1;
namespace fs = std::filesystem;
using e2e::Eventually;
using testing::HasSubstr;

class FaultsTest : public NothingLeftTest {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(NothingLeftTest::SetUp());
    good_ = node.RunPod("good");
    neighbour_ = node.Run(good_, "c", {"sleep", "1000"});
  }

  template <typename Stub, typename Verb, typename Request, typename Response>
  static grpc::Status Call(Stub& stub, Verb verb, const Request& request, Response* response, int seconds = 30) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(seconds));
    return (stub.*verb)(&context, request, response);
  }

  // The whole life of another pod, and every list.
  void ExpectOthersGoOn() {
    using Stub = cri::RuntimeService::Stub;
    ExpectReadsGoOn();
    EXPECT_EQ(node.Exec(neighbour_, {"true"}).exit_code(), 0);
    cri::ListContainerStatsResponse stats;
    EXPECT_TRUE(Call(node.runtime(), &Stub::ListContainerStats, cri::ListContainerStatsRequest(), &stats).ok());
    cri::ListPodSandboxStatsResponse pod_stats;
    EXPECT_TRUE(Call(node.runtime(), &Stub::ListPodSandboxStats, cri::ListPodSandboxStatsRequest(), &pod_stats).ok());
    const std::string pod = node.RunPod("another" + std::to_string(++others_));
    const std::string container = node.Run(pod, "c", {"sleep", "1000"});
    EXPECT_EQ(node.Exec(container, {"true"}).exit_code(), 0);
    EXPECT_TRUE(node.TryStop(container, 0).ok());
    node.RemovePod(pod);
  }
  void ExpectReadsGoOn() {
    using Stub = cri::RuntimeService::Stub;
    cri::StatusResponse status;
    EXPECT_TRUE(Call(node.runtime(), &Stub::Status, cri::StatusRequest(), &status).ok());
    cri::ListPodSandboxResponse pods;
    EXPECT_TRUE(Call(node.runtime(), &Stub::ListPodSandbox, cri::ListPodSandboxRequest(), &pods).ok());
    cri::ListContainersResponse containers;
    EXPECT_TRUE(Call(node.runtime(), &Stub::ListContainers, cri::ListContainersRequest(), &containers).ok());
    EXPECT_EQ(node.Status(neighbour_).state(), cri::CONTAINER_RUNNING);
    cri::ListImagesResponse images;
    EXPECT_TRUE(Call(node.images(), &cri::ImageService::Stub::ListImages, cri::ListImagesRequest(), &images).ok());
    EXPECT_EQ(images.images_size(), 1);
  }
  // Whether wherryd answers; else it has ended.
  bool Lives() {
    while (waitpid(node.pid(), nullptr, WNOHANG) == 0) {
      cri::VersionResponse version;
      if (Call(node.runtime(), &cri::RuntimeService::Stub::Version, cri::VersionRequest(), &version, 5).ok())
        return true;
    }
    return false;
  }
  // All but the good pod go.
  void RemoveBadPods() {
    cri::ListPodSandboxResponse pods;
    EXPECT_TRUE(
        Call(node.runtime(), &cri::RuntimeService::Stub::ListPodSandbox, cri::ListPodSandboxRequest(), &pods).ok());
    for (const auto& pod : pods.items())
      if (pod.id() != good_) node.RemovePod(pod.id());
  }
  // While its volume, "/mnt/hung/volume", is a directory like any other.
  std::string CreateWithVolume(const std::string& pod) {
    fs::create_directories("/mnt/hung/volume");
    return node.Create(pod, "c", {"sleep", "1000"}, [](cri::ContainerConfig& config) {
      auto& mount = *config.add_mounts();
      mount.set_host_path("/mnt/hung/volume");
      mount.set_container_path("/volume");
    });
  }
  void ExpectNothingLeft() {
    node.RemovePod(good_);
    NothingLeftTest::ExpectNothingLeft();
  }

  cri::CreateContainerRequest WithVolume(const std::string& pod, const std::string& path) {
    cri::CreateContainerRequest request = node.CreateRequest(pod, "c", {"sleep", "1000"});
    auto& mount = *request.mutable_config()->add_mounts();
    mount.set_host_path(path);
    mount.set_container_path("/volume");
    return request;
  }
  static void AwaitAsked(const HungFiles& hung) {
    Eventually("wherryd to look at the volume", [&] { return hung.asked(); });
  }
  // The pod can be stopped and removed, at once.
  void ExpectGone(const std::string& pod) {
    EXPECT_TRUE(node.TryStopPod(pod).ok());
    EXPECT_TRUE(node.TryRemovePod(pod).ok());
  }

  static pid_t ShimOf(const std::string& pod) {
    for (const auto& entry : fs::directory_iterator("/proc")) {
      std::ifstream in(entry.path() / "cmdline");
      const std::string line{std::istreambuf_iterator<char>(in), {}};
      if (line.find("wherry-shim") != std::string::npos && line.find(pod) != std::string::npos)
        return std::stoi(entry.path().filename());
    }
    return -1;
  }
  // The container's directory in the hierarchy that has the file.
  std::string CgroupWith(const std::string& container, const std::string& file) {
    std::vector<std::string> tops = {"/sys/fs/cgroup"};  // of version 2, or with a hierarchy in each directory
    for (const auto& top : fs::directory_iterator(tops[0])) tops.push_back(top.path());
    for (const std::string& top : tops) {
      std::error_code ec;
      const std::string own = top + node.cgroup();
      if (!fs::is_directory(own, ec)) continue;
      for (const auto& entry : fs::recursive_directory_iterator(own, ec))
        if (entry.path().filename() == container && fs::exists(entry.path() / file)) return entry.path();
    }
    return "";
  }
  std::future<grpc::Status> Async(const std::function<grpc::Status()>& call) {
    return std::async(std::launch::async, call);
  }
  std::future<grpc::Status> CreateAsync(cri::CreateContainerRequest request) {
    return Async([this, request = std::move(request)] {
      cri::CreateContainerResponse response;
      return Call(node.runtime(), &cri::RuntimeService::Stub::CreateContainer, request, &response);
    });
  }
  // A creation that waits for these files holds up its own pod only, and that can be removed.
  void ExpectItHoldsUpNoOther(HungFiles& hung, const std::string& pod, const cri::CreateContainerRequest& request) {
    auto created = CreateAsync(request);
    AwaitAsked(hung);
    ExpectOthersGoOn();
    ExpectGone(pod);
    EXPECT_EQ(created.get().error_code(), grpc::CANCELLED);
    ExpectOthersGoOn();
    hung.End();
  }

  std::string good_, neighbour_;
  int others_ = 0;
};

// What is looked at when a container is created, and again when it starts.
TEST_F(FaultsTest, AVolumeThatDoesNotAnswer) {
  HungFiles hung("/mnt/hung");
  const std::string bad = node.RunPod("bad");
  ExpectItHoldsUpNoOther(hung, bad, WithVolume(bad, hung.path() + "/volume"));
  ExpectNothingLeft();
}

TEST_F(FaultsTest, ADeviceThatDoesNotAnswer) {
  HungFiles hung("/mnt/hung");
  const std::string bad = node.RunPod("bad");
  cri::CreateContainerRequest request = node.CreateRequest(bad, "c", {"sleep", "1000"});
  auto& device = *request.mutable_config()->add_devices();
  device.set_host_path(hung.path() + "/device");
  device.set_container_path("/dev/device");
  ExpectItHoldsUpNoOther(hung, bad, request);
  ExpectNothingLeft();
}

// Both that a device of CDI names to be found on the host.
TEST_F(FaultsTest, ADeviceOfCdiWhoseFilesDoNotAnswer) {
  fs::create_directories(node.dir() + "/cdi");
  for (const std::string edit : {R"("deviceNodes": [{"path": "/mnt/hung/device"}])",
                                 R"("mounts": [{"hostPath": "/mnt/hung/library", "containerPath": "/library"}])"}) {
    std::ofstream(node.dir() + "/cdi/v.json")
        << R"({"cdiVersion": "0.6.0", "kind": "v.com/c", "devices": [{"name": "a", "containerEdits": {)" << edit
        << "}}]}";
    HungFiles hung("/mnt/hung");
    const std::string bad = node.RunPod("bad");
    cri::CreateContainerRequest request = node.CreateRequest(bad, "c", {"sleep", "1000"});
    request.mutable_config()->add_cdi_devices()->set_name("v.com/c=a");
    ExpectItHoldsUpNoOther(hung, bad, request);
  }
  fs::remove_all(node.dir() + "/cdi");
  ExpectNothingLeft();
}

// The kubelet stops nothing before its removal when wherryd has been asked and has not answered.
TEST_F(FaultsTest, APodIsRemovedWhoseVolumeDoesNotAnswer) {
  HungFiles hung("/mnt/hung");
  const std::string bad = node.RunPod("bad");
  auto created = CreateAsync(WithVolume(bad, hung.path() + "/volume"));
  AwaitAsked(hung);
  EXPECT_TRUE(node.TryRemovePod(bad).ok());
  EXPECT_EQ(created.get().error_code(), grpc::CANCELLED);
  // The same again, from a wherryd that is asked to end, and starts once more.
  const std::string next = node.RunPod("bad2");
  created = CreateAsync(WithVolume(next, hung.path() + "/volume"));
  ExpectReadsGoOn();
  EXPECT_EQ(node.Terminate(), 0);
  EXPECT_FALSE(created.get().ok());
  node.Start();
  ExpectOthersGoOn();
  ExpectGone(next);
  hung.End();
  ExpectNothingLeft();
}

TEST_F(FaultsTest, AVolumeOnABrokenDisk) {
  const std::string bad = node.RunPod("bad");
  const std::string container = CreateWithVolume(bad);
  HungFiles broken("/mnt/hung");
  broken.Fail(EIO);
  cri::CreateContainerRequest request = WithVolume(bad, broken.path() + "/volume");
  request.mutable_config()->mutable_metadata()->set_name("d");
  cri::CreateContainerResponse response;
  const grpc::Status created = Call(node.runtime(), &cri::RuntimeService::Stub::CreateContainer, request, &response);
  EXPECT_EQ(created.error_message(), "mounts[0]: stat \"/mnt/hung/volume\": Input/output error");
  const grpc::Status started = node.TryStart(container);
  EXPECT_THAT(started.error_message(), HasSubstr("Input/output error"));
  cri::RunPodSandboxRequest pod;
  *pod.mutable_config() = node.PodConfig("worse");
  pod.mutable_config()->set_log_directory(broken.path() + "/logs");
  cri::RunPodSandboxResponse made;
  const grpc::Status run = Call(node.runtime(), &cri::RuntimeService::Stub::RunPodSandbox, pod, &made);
  EXPECT_THAT(run.error_message(), HasSubstr("Input/output error"));
  ExpectOthersGoOn();
  node.RemovePod(bad);
  broken.End();
  ExpectNothingLeft();
}

// It says so, or it dies of it and is started again, which is what its service is told to do. Nobody waits for ever, and afterwards all is
// as if nothing had been asked for.
TEST_F(FaultsTest, LessMemoryThanWherrydNeeds) {
  struct rlimit old {
  }, low{};
  ASSERT_EQ(prlimit(node.pid(), RLIMIT_AS, nullptr, &old), 0);
  for (const rlim_t more : {0, 256 << 10, 2 << 20, 16 << 20}) {
    std::ifstream in("/proc/" + std::to_string(node.pid()) + "/statm");
    rlim_t pages = 0;
    in >> pages;
    low = {pages * 4096 + more, old.rlim_max};
    ASSERT_EQ(prlimit(node.pid(), RLIMIT_AS, &low, nullptr), 0);
    std::vector<std::future<grpc::Status>> calls;
    calls.reserve(8);
    for (int i = 0; i < 8; ++i) {
      calls.push_back(Async([this, i] {
        cri::RunPodSandboxRequest request;
        *request.mutable_config() = node.PodConfig("bad" + std::to_string(i));
        cri::RunPodSandboxResponse response;
        return Call(node.runtime(), &cri::RuntimeService::Stub::RunPodSandbox, request, &response);
      }));
    }
    for (auto& call : calls) EXPECT_NE(call.get().error_code(), grpc::DEADLINE_EXCEEDED);
    if (Lives()) {
      ASSERT_EQ(prlimit(node.pid(), RLIMIT_AS, &old, nullptr), 0);
    } else {
      node.Start();
    }
    ExpectOthersGoOn();
    RemoveBadPods();
  }
  ExpectNothingLeft();
}

TEST_F(FaultsTest, AVolumeThatStopsToAnswerBeforeTheStart) {
  const std::string bad = node.RunPod("bad");
  const std::string container = CreateWithVolume(bad);
  HungFiles hung("/mnt/hung");
  auto started = Async([&] { return node.TryStart(container); });
  ExpectOthersGoOn();
  // The program's process is killed where it waits.
  EXPECT_TRUE(node.TryStop(container, 0).ok());
  EXPECT_FALSE(started.get().ok());
  ExpectOthersGoOn();
  node.RemovePod(bad);
  hung.End();
  ExpectNothingLeft();
}

TEST_F(FaultsTest, AStoppedShim) {
  const std::string bad = node.RunPod("bad");
  const std::string container = node.Run(bad, "c", {"sleep", "1000"});
  const pid_t shim = ShimOf(bad);
  ASSERT_GT(shim, 0);
  ASSERT_EQ(kill(shim, SIGSTOP), 0);
  auto executed = Async([&] {
    cri::ExecSyncRequest request;
    request.set_container_id(container);
    request.add_cmd("true");
    request.set_timeout(1);
    cri::ExecSyncResponse response;
    return Call(node.runtime(), &cri::RuntimeService::Stub::ExecSync, request, &response, 60);
  });
  ExpectOthersGoOn();
  auto stopped = Async([&] { return node.TryStopPod(bad); });
  ExpectOthersGoOn();
  executed.get();
  stopped.get();  // the shim could not tell that the container has ended
  node.RemovePod(bad);
  ExpectNothingLeft();
}

TEST_F(FaultsTest, AFrozenContainer) {
  const std::string bad = node.RunPod("bad");
  const std::string container = node.Run(bad, "c", {"sleep", "1000"});
  std::string directory = CgroupWith(container, "freezer.state");
  if (!directory.empty()) {
    std::ofstream(directory + "/freezer.state") << "FROZEN";
  } else {
    directory = CgroupWith(container, "cgroup.freeze");
    ASSERT_NE(directory, "");
    std::ofstream(directory + "/cgroup.freeze") << "1";
  }
  cri::ExecSyncRequest request;
  request.set_container_id(container);
  request.add_cmd("true");
  request.set_timeout(1);
  cri::ExecSyncResponse response;
  EXPECT_EQ(Call(node.runtime(), &cri::RuntimeService::Stub::ExecSync, request, &response, 60).error_code(),
            grpc::DEADLINE_EXCEEDED);
  ExpectOthersGoOn();
  EXPECT_TRUE(node.TryStop(container, 1).ok());
  EXPECT_EQ(node.Status(container).exit_code(), 137);
  node.RemovePod(bad);
  ExpectNothingLeft();
}

TEST_F(FaultsTest, AFullDiskUnderLogs) {
  const std::string logs = node.log_dir() + "/bad";
  fs::create_directories(logs);
  ASSERT_EQ(mount("logs", logs.c_str(), "tmpfs", 0, "size=64k"), 0);
  const std::string bad = node.RunPod("bad");
  const std::string container = node.Run(bad, "c",
                                         {"sh", "-c",
                                          "i=0; while [ $i -lt 4000 ]; do echo 'a line of fifty bytes, to fill the "
                                          "disk with it'; i=$((i+1)); done; exit 3"});
  EXPECT_EQ(node.WaitExited(container).exit_code(), 3) << "it does not wait for a log";
  EXPECT_GE(node.Log(container).size(), 32u << 10);
  ExpectOthersGoOn();
  node.RemovePod(bad);
  umount2(logs.c_str(), MNT_DETACH);
  ExpectNothingLeft();
}

TEST_F(FaultsTest, MoreDescriptorsThanWherrydMayHave) {
  rlim_t free = 0;  // the least number that is not in use
  while (fs::exists(fs::symlink_status("/proc/" + std::to_string(node.pid()) + "/fd/" + std::to_string(free)))) ++free;
  struct rlimit old {
  }, low{};
  ASSERT_EQ(prlimit(node.pid(), RLIMIT_NOFILE, nullptr, &old), 0);
  low = {free + 1, old.rlim_max};
  ASSERT_EQ(prlimit(node.pid(), RLIMIT_NOFILE, &low, nullptr), 0);
  for (int i = 0; i < 8; ++i) {
    cri::RunPodSandboxRequest request;
    *request.mutable_config() = node.PodConfig("bad" + std::to_string(i));
    cri::RunPodSandboxResponse response;
    const grpc::Status status = Call(node.runtime(), &cri::RuntimeService::Stub::RunPodSandbox, request, &response);
    EXPECT_FALSE(status.ok());
    EXPECT_THAT(status.error_message(), HasSubstr("Too many open files"));
  }
  ExpectReadsGoOn();
  ASSERT_EQ(prlimit(node.pid(), RLIMIT_NOFILE, &old, nullptr), 0);
  ExpectOthersGoOn();
  RemoveBadPods();
  ExpectNothingLeft();
}

// The directory in which records, images and writable layers are is one file system, as it is on most nodes.
class FullStoreTest : public FaultsTest {
 protected:
  void SetUp() override {
    fs::create_directories(node.dir() + "/lib");
    ASSERT_EQ(mount("lib", (node.dir() + "/lib").c_str(), "tmpfs", 0, "size=32m"), 0);
    FaultsTest::SetUp();
  }
  void TearDown() override {
    FaultsTest::TearDown();
    umount2((node.dir() + "/lib").c_str(), MNT_DETACH);
  }
  void Fill() {
    const int fd = open(Filler().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ASSERT_GE(fd, 0);
    std::vector<char> block(4096);
    while (write(fd, block.data(), block.size()) > 0) {
    }
    close(fd);
  }
  // Until the log of the database, which has room of its own, is full too.
  grpc::Status UseUpTheLog() {
    grpc::Status status;
    for (int i = 0; i < 200 && status.ok(); ++i) {
      cri::RunPodSandboxRequest request;
      *request.mutable_config() = node.PodConfig("bad" + std::to_string(i));
      cri::RunPodSandboxResponse response;
      status = Call(node.runtime(), &cri::RuntimeService::Stub::RunPodSandbox, request, &response);
    }
    return status;
  }
  bool LogSays(const std::string& text) {
    std::ifstream in(node.dir() + "/wherryd.log");
    return std::string(std::istreambuf_iterator<char>(in), {}).find(text) != std::string::npos;
  }
  std::string Filler() const { return node.dir() + "/lib/filler"; }
};

// A shim tells of an end once.
TEST_F(FullStoreTest, EndsThatCouldNotBeRecordedAreRecordedLater) {
  const std::string pod = node.RunPod("ends"), lost = node.RunPod("lost");
  const std::string container =
      node.Run(pod, "c", {"sh", "-c", "trap 'exit 3' TERM; echo ready; while :; do usleep 1000; done"});
  const std::string without_shim = node.Run(lost, "c", {"sleep", "1000"});
  Eventually("the trap", [&] { return !node.LogText(container).empty(); });
  ASSERT_NO_FATAL_FAILURE(Fill());
  ASSERT_FALSE(UseUpTheLog().ok());
  (void)node.Exec(container, {"kill", "-TERM", "1"});  // which the end of the first process may kill
  ASSERT_EQ(kill(ShimOf(lost), SIGKILL), 0);
  Eventually("wherryd to fail", [&] { return LogSays("end of container " + container) && LogSays("lost shim of"); });
  ASSERT_EQ(unlink(Filler().c_str()), 0);
  EXPECT_EQ(node.WaitExited(container).exit_code(), 3);
  EXPECT_EQ(node.WaitExited(without_shim).exit_code(), 137);
  ExpectOthersGoOn();
  RemoveBadPods();
  ExpectNothingLeft();
}

TEST_F(FullStoreTest, AFullDiskUnderTheStore) {
  ASSERT_NO_FATAL_FAILURE(Fill());
  const grpc::Status status = UseUpTheLog();
  EXPECT_EQ(status.error_code(), grpc::RESOURCE_EXHAUSTED) << status.error_message();
  ExpectReadsGoOn();
  EXPECT_EQ(node.Exec(neighbour_, {"true"}).exit_code(), 0);
  ASSERT_EQ(unlink(Filler().c_str()), 0);
  ExpectOthersGoOn();
  RemoveBadPods();
  ExpectNothingLeft();
}

// A plugin behind bridge, which says what the test wants.
class BadPluginTest : public FaultsTest {
 protected:
  void SetUp() override {
    fs::create_directories(node.dir() + "/bin");
    const std::string path = node.dir() + "/config.toml";
    std::ifstream in(path);
    std::string text{std::istreambuf_iterator<char>(in), {}};
    const size_t at = text.find("bin_dirs = [");
    text.insert(at + 12, "\"" + node.dir() + "/bin\", ");
    std::ofstream(path) << text;
    Say("");
    FaultsTest::SetUp();
  }
  void TearDown() override {
    Conflist("");
    FaultsTest::TearDown();
  }
  // A configuration in which every new pod gets the plugin.
  void Conflist(const std::string& plugin) const {
    const std::string path = node.dir() + "/net.d/10-test.conflist";
    std::ifstream in(path);
    std::string text{std::istreambuf_iterator<char>(in), {}};
    in.close();
    if (plugin.empty() && original_.empty()) return;
    if (original_.empty()) original_ = text;
    text = original_;
    if (!plugin.empty()) text.replace(text.rfind("}]}"), 3, "}, " + plugin + "]}");
    std::ofstream(path + ".new") << text;
    fs::rename(path + ".new", path);
  }
  void Say(const std::string& script) const {
    const std::string path = node.dir() + "/bin/babbler";
    std::ofstream(path + ".new") << "#!/bin/sh\n[ \"$CNI_COMMAND\" = ADD ] || exit 0\n" + script + "\n";
    chmod((path + ".new").c_str(), 0755);
    fs::rename(path + ".new", path);
  }
  mutable std::string original_;
};

TEST_F(BadPluginTest, APluginThatPrintsGarbage) {
  for (const char* script :
       {"echo garbage", "echo '{\"cniVersion\": 7}'", "printf '\\377\\000{'; exit 1", "yes | head -c 3000000",
        "echo '{\"cniVersion\":\"1.0.0\",\"ips\":\"all\"}'", ":", "kill -9 $$"}) {
    SCOPED_TRACE(script);
    Say(script);
    Conflist(R"({"type": "babbler"})");
    cri::RunPodSandboxRequest request;
    *request.mutable_config() = node.PodConfig("bad");
    cri::RunPodSandboxResponse response;
    const grpc::Status status = Call(node.runtime(), &cri::RuntimeService::Stub::RunPodSandbox, request, &response);
    EXPECT_FALSE(status.ok());
    EXPECT_THAT(status.error_message(), HasSubstr("babbler"));
    Conflist("");
    ExpectOthersGoOn();
  }
  ExpectNothingLeft();
}

// Each call that may wait is interrupted now and then, in wherryd and in the plugins and pulls that it starts.
class InterruptedTest : public FaultsTest {
 protected:
  void SetUp() override {
    FaultsTest::SetUp();
    ASSERT_EQ(node.Terminate(), 0);
    setenv("LD_PRELOAD", WHERRY_INTERRUPTED_CALLS, 1);
    node.Start();
    unsetenv("LD_PRELOAD");
  }
};

TEST_F(InterruptedTest, CallsAreMadeAgain) {
  for (int i = 0; i < 5; ++i) ExpectOthersGoOn();
  const std::string pod = node.RunPod("stopped");
  const std::string container =
      node.Run(pod, "c", {"sh", "-c", "trap 'exit 3' TERM; touch /ready; while :; do usleep 1000; done"});
  Eventually("the program", [&] { return node.Exec(container, {"test", "-e", "/ready"}).exit_code() == 0; });
  EXPECT_TRUE(node.TryStop(container, 10).ok());
  EXPECT_EQ(node.Status(container).exit_code(), 3);
  node.RemovePod(pod);
  ExpectNothingLeft();
}

}  // namespace
}  // namespace wherry::crash
