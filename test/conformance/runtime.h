#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/cri/v1/api.grpc.pb.h"

// A runtime as a client of CRI sees it: nothing here is wherry's alone.
namespace wherry::conformance {

namespace cri = ::runtime::v1;

// Which runtime, and with which image: one that has busybox' programs, the user "daemon" (1:1) who is also in group 100, and the command
// "sh". Set once by main.
struct Target {
  std::string endpoint;   // "unix:///run/…"
  std::string image;      // present there already
  std::string directory;  // on the runtime's host, for logs and volumes; made and removed by main
};
const Target& TheTarget();
void SetTarget(Target target);

using EditPod = std::function<void(cri::PodSandboxConfig&)>;
using EditContainer = std::function<void(cri::ContainerConfig&)>;

// The pods of one test, removed at its end. Plain verbs fail the test with the whole error; Try… return what was answered.
class ConformanceTest : public testing::Test {
 protected:
  ConformanceTest();
  ~ConformanceTest() override;

  cri::RuntimeService::Stub& runtime() { return *runtime_; }
  // A directory of this test's own on the host.
  const std::string& directory() const { return directory_; }

  std::string RunPod(const EditPod& edit = {});
  grpc::Status TryRunPod(const EditPod& edit, std::string* id = nullptr);
  // In the pod that was run last; the name is made up.
  std::string Create(const std::vector<std::string>& command, const EditContainer& edit = {});
  grpc::Status TryCreate(const std::vector<std::string>& command, const EditContainer& edit, std::string* id = nullptr);
  std::string Run(const std::vector<std::string>& command, const EditContainer& edit = {});
  grpc::Status TryStart(const std::string& id);
  cri::ContainerStatus Status(const std::string& id);
  cri::ContainerStatus WaitExited(const std::string& id);
  cri::ExecSyncResponse Exec(const std::string& id, const std::vector<std::string>& command);
  // Of a script in a running container: what it wrote to stdout, without the last newline.
  std::string Sh(const std::string& id, const std::string& script);
  // Of a command that a container of its own runs to its end.
  std::string OutputOf(const std::vector<std::string>& command, const EditContainer& edit = {});
  bool HasFeature(const std::function<bool(const cri::RuntimeHandlerFeatures&)>& has);

 private:
  std::unique_ptr<cri::RuntimeService::Stub> runtime_;
  std::string directory_;
  std::vector<std::string> pods_;
  cri::PodSandboxConfig pod_;  // the last one's
  int number_ = 0;
};

inline cri::LinuxContainerSecurityContext& SecurityOf(cri::ContainerConfig& config) {
  return *config.mutable_linux()->mutable_security_context();
}
inline cri::LinuxSandboxSecurityContext& SecurityOf(cri::PodSandboxConfig& config) {
  return *config.mutable_linux()->mutable_security_context();
}

}  // namespace wherry::conformance
