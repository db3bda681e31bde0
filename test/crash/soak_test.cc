// Pods come and go while wherryd is killed at random: after any number of them the node is as after the first ones, and so is the
// wherryd that is left: its memory, threads and descriptors, and what it has on disk.
//
// WHERRY_SOAK_PODS=1000 for a long run.

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <random>
#include <thread>

#include "test/crash/kubelet.h"
#include "test/e2e/census.h"

namespace wherry::crash {
namespace {

namespace fs = std::filesystem;

constexpr int kWorkers = 6;

int Pods() {
  const char* wanted = getenv("WHERRY_SOAK_PODS");
  return wanted == nullptr ? 60 : std::stoi(wanted);
}

struct Use {
  int64_t memory = 0, threads = 0, disk = 0;
};

int64_t Field(pid_t pid, const std::string& name) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(in, line);)
    if (line.rfind(name + ":", 0) == 0) return std::stoll(line.substr(name.size() + 1));
  return -1;
}

// A kubelet's worker with a connection of its own, which outlives wherryd. Whatever is answered while wherryd dies, it lists and goes on.
class Worker {
 public:
  explicit Worker(e2e::Node& node) : node_(node) {
    grpc::ChannelArguments args;
    args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 20);
    args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
    args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 50);
    args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    auto channel = grpc::CreateCustomChannel("unix://" + node.dir() + "/run/wherry.sock",
                                             grpc::InsecureChannelCredentials(), args);
    stub_ = cri::RuntimeService::NewStub(channel);
  }

  // A pod from nothing to nothing.
  void Cycle(const std::string& name) {
    for (uint32_t attempt = 0; attempt < 1000; ++attempt) {
      const grpc::Status ran = Live(name, attempt);
      // What is left of it goes before the next attempt, as the kubelet does.
      while (!RemoveAllOf(name)) {
      }
      if (ran.ok()) return;
      ASSERT_TRUE(Excusable(ran)) << Describe(ran);
    }
    FAIL() << name << " never ran";
  }

 private:
  // wherryd, or a pod that it had to undo, is gone: nothing else may fail.
  static bool Excusable(const grpc::Status& status) {
    return status.error_code() == grpc::UNAVAILABLE || status.error_code() == grpc::NOT_FOUND ||
           status.error_code() == grpc::FAILED_PRECONDITION;
  }

  template <typename Verb, typename Request, typename Response>
  grpc::Status Call(Verb verb, const Request& request, Response* response) {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    return (stub_.get()->*verb)(&context, request, response);
  }

  grpc::Status Live(const std::string& name, uint32_t attempt) {
    using Stub = cri::RuntimeService::Stub;
    cri::RunPodSandboxRequest run;
    *run.mutable_config() = node_.PodConfig(name);
    run.mutable_config()->mutable_metadata()->set_attempt(attempt);
    cri::RunPodSandboxResponse pod;
    if (auto status = Call(&Stub::RunPodSandbox, run, &pod); !status.ok()) return status;
    cri::CreateContainerRequest create;
    create.set_pod_sandbox_id(pod.pod_sandbox_id());
    *create.mutable_sandbox_config() = run.config();
    auto& config = *create.mutable_config();
    config.mutable_metadata()->set_name("main");
    config.mutable_image()->set_image(e2e::kImage);
    for (const char* word : {"sleep", "1000"}) config.add_command(word);
    config.set_log_path("main.log");
    auto& security = *config.mutable_linux()->mutable_security_context();
    security.mutable_namespace_options()->set_pid(cri::CONTAINER);
    cri::CreateContainerResponse created;
    if (auto status = Call(&Stub::CreateContainer, create, &created); !status.ok()) return status;
    cri::StartContainerRequest start;
    start.set_container_id(created.container_id());
    cri::StartContainerResponse started;
    if (auto status = Call(&Stub::StartContainer, start, &started); !status.ok()) return status;
    cri::ExecSyncRequest exec;
    exec.set_container_id(created.container_id());
    exec.add_cmd("true");
    exec.set_timeout(30);
    cri::ExecSyncResponse executed;
    return Call(&Stub::ExecSync, exec, &executed);
  }

  bool RemoveAllOf(const std::string& name) {
    using Stub = cri::RuntimeService::Stub;
    cri::ListPodSandboxResponse list;
    if (!Call(&Stub::ListPodSandbox, cri::ListPodSandboxRequest(), &list).ok()) return false;
    bool all = true;
    for (const auto& pod : list.items()) {
      if (pod.metadata().name() != name) continue;
      cri::StopPodSandboxRequest stop;
      stop.set_pod_sandbox_id(pod.id());
      cri::StopPodSandboxResponse stopped;
      cri::RemovePodSandboxRequest remove;
      remove.set_pod_sandbox_id(pod.id());
      cri::RemovePodSandboxResponse removed;
      grpc::Status status = Call(&Stub::StopPodSandbox, stop, &stopped);
      if (status.ok()) status = Call(&Stub::RemovePodSandbox, remove, &removed);
      EXPECT_TRUE(status.ok() || Excusable(status)) << "removal of " << name << ": " << Describe(status);
      all = all && status.ok();
    }
    return all;
  }

  e2e::Node& node_;
  std::unique_ptr<cri::RuntimeService::Stub> stub_;
};

class SoakTest : public e2e::NodeTest {
 protected:
  // Returns how often wherryd was killed.
  int Cycle(int pods, bool with_kills) {
    std::atomic<int> next{0}, working{kWorkers};
    std::vector<std::thread> workers;
    workers.reserve(kWorkers);
    for (int i = 0; i < kWorkers; ++i) {
      workers.emplace_back([&] {
        Worker worker(node);
        for (int pod; (pod = next++) < pods && !HasFatalFailure();) worker.Cycle("p" + std::to_string(first_ + pod));
        --working;
      });
    }
    int kills = 0;
    while (with_kills && working > 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(300 + random_() % 2500));
      node.Kill9();
      ++kills;
      node.Start();
    }
    for (std::thread& worker : workers) worker.join();
    first_ += pods;
    return kills;
  }

  Use Used() {
    Use use{Field(node.pid(), "RssAnon") << 10, Field(node.pid(), "Threads"), 0};
    for (const auto& entry : fs::recursive_directory_iterator(node.dir() + "/lib"))
      if (entry.is_regular_file()) use.disk += static_cast<int64_t>(entry.file_size() / entry.hard_link_count());
    return use;
  }

  // A new wherryd that has done something, and rests.
  void Renew() {
    node.Kill9();
    ASSERT_NO_FATAL_FAILURE(node.Start());
    Cycle(24, false);
  }

  int first_ = 0;
  std::mt19937 random_{std::random_device{}()};
};

TEST_F(SoakTest, TheNodeIsAfterThousandPodsAsAfterTheFirst) {
  ASSERT_NO_FATAL_FAILURE(Renew());
  const e2e::Census before = e2e::TakeAtRest(node.dir(), node.cgroup(), node.pid());
  const Use at_first = Used();
  const int kills = Cycle(Pods(), true);
  ASSERT_NO_FATAL_FAILURE(Renew());
  std::string difference;
  e2e::Eventually("the host to be as before", [&] {
    return (difference = e2e::Difference(before, e2e::Take(node.dir(), node.cgroup(), node.pid()))).empty();
  });
  EXPECT_EQ(difference, "");
  const Use at_last = Used();
  EXPECT_LE(at_last.memory, at_first.memory + (3 << 20));
  EXPECT_LE(at_last.threads, at_first.threads + 4) << "gRPC's own come and go";
  EXPECT_LE(at_last.disk, at_first.disk + (5 << 20)) << "a database's log is folded back when it has 4 MiB";
  std::cout << Pods() << " pods, " << kills << " kills; memory " << at_first.memory / 1024 << " → "
            << at_last.memory / 1024 << " KiB, threads " << at_first.threads << " → " << at_last.threads << ", disk "
            << at_first.disk / 1024 << " → " << at_last.disk / 1024 << " KiB, descriptors " << before.daemon_fds
            << "\n";
}

}  // namespace
}  // namespace wherry::crash
