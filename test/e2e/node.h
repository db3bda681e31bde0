#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/cri/v1/api.grpc.pb.h"
#include "api/wherry/v1/wherry.grpc.pb.h"

namespace wherry::e2e {

namespace cri = runtime::v1;

// Removes the cgroup `path` ("/name") and everything below it from every hierarchy of the host.
void RemoveCgroupsNamed(const std::string& path);

// A wherryd of the test's own with its directories below /mnt (a tmpfs that only the test sees).
class Node {
 public:
  Node();
  ~Node();

  void Start();     // returns when it answers Version
  void Kill9();     // and reaps it
  int Terminate();  // asks it to end, returns its wait status
  pid_t pid() const { return pid_; }
  std::string dir() const { return dir_; }
  std::string cgroup() const { return cgroup_; }
  std::string log_dir() const { return dir_ + "/logs"; }

  cri::RuntimeService::Stub& runtime() { return *runtime_; }
  cri::ImageService::Stub& images() { return *images_; }
  wherry::v1::Wherry::Stub& own() { return *own_; }

  // Steps that most tests need; each fails the test with the whole error when wherryd refuses.
  std::string RunPod(const std::string& name, const std::function<void(cri::PodSandboxConfig&)>& edit = {});
  std::string Create(const std::string& pod, const std::string& name, const std::vector<std::string>& command,
                     const std::function<void(cri::ContainerConfig&)>& edit = {});
  void StartContainer(const std::string& id);
  std::string Run(const std::string& pod, const std::string& name, const std::vector<std::string>& command,
                  const std::function<void(cri::ContainerConfig&)>& edit = {});
  void RemovePod(const std::string& pod);  // stop and remove
  // The same verbs for tests of what they answer.
  grpc::Status TryStart(const std::string& container);
  grpc::Status TryStop(const std::string& container, int64_t timeout,
                       std::chrono::milliseconds client_deadline = std::chrono::minutes(1));
  grpc::Status TryRemove(const std::string& container);
  grpc::Status TryStopPod(const std::string& pod);
  grpc::Status TryRemovePod(const std::string& pod);
  cri::ContainerStatus Status(const std::string& container);
  cri::ContainerStatus WaitExited(const std::string& container);
  // Makes an image of the busybox at `program` and imports it as `name`; the archive is kept and made only once a run.
  void ImportImage(const std::string& archive, const std::string& name, const std::string& program = "/bin/busybox");
  std::string PodIp(const std::string& pod);
  cri::ExecSyncResponse Exec(const std::string& container, const std::vector<std::string>& command);
  std::string Log(const std::string& container);      // the file as it is
  std::string LogText(const std::string& container);  // only the contents of its lines

  // The request parts alone, for tests of refusals.
  cri::PodSandboxConfig PodConfig(const std::string& name);
  cri::CreateContainerRequest CreateRequest(const std::string& pod, const std::string& name,
                                            const std::vector<std::string>& command);

 private:
  void WriteConfig();
  void Connect();

  std::string dir_, cgroup_, socket_;
  pid_t pid_ = -1;
  std::unique_ptr<cri::RuntimeService::Stub> runtime_;
  std::unique_ptr<cri::ImageService::Stub> images_;
  std::unique_ptr<wherry::v1::Wherry::Stub> own_;
};

// A running node with the busybox image, made anew for each test.
class NodeTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;
  Node node;
};

// Polls until `done` or fails after two minutes, naming what was waited for.
void Eventually(const std::string& what, const std::function<bool()>& done);

constexpr char kImage[] = "busybox:latest";

}  // namespace wherry::e2e
