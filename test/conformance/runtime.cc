#include "test/conformance/runtime.h"

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace wherry::conformance {
namespace {

Target& Chosen() {
  static Target target;
  return target;
}

std::string Describe(const grpc::Status& status) {
  return absl::StrCat("code ", static_cast<int>(status.error_code()), ": ", status.error_message());
}

// One call with the deadline that the kubelet has for most.
template <typename Request, typename Response>
grpc::Status Call(cri::RuntimeService::Stub& stub,
                  grpc::Status (cri::RuntimeService::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                  const Request& request, Response* response) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::minutes(2));
  return (stub.*method)(&context, request, response);
}

using Stub = cri::RuntimeService::Stub;

}  // namespace

const Target& TheTarget() { return Chosen(); }
void SetTarget(Target target) { Chosen() = std::move(target); }

ConformanceTest::ConformanceTest() {
  const auto& info = *testing::UnitTest::GetInstance()->current_test_info();
  directory_ = absl::StrCat(TheTarget().directory, "/", info.test_suite_name(), ".", info.name());
  std::filesystem::create_directories(directory_);
  runtime_ =
      cri::RuntimeService::NewStub(grpc::CreateChannel(TheTarget().endpoint, grpc::InsecureChannelCredentials()));
}

ConformanceTest::~ConformanceTest() {
  for (const std::string& id : pods_) {
    cri::StopPodSandboxRequest stop;
    stop.set_pod_sandbox_id(id);
    cri::StopPodSandboxResponse stopped;
    const grpc::Status status = Call(*runtime_, &Stub::StopPodSandbox, stop, &stopped);
    EXPECT_TRUE(status.ok()) << "StopPodSandbox: " << Describe(status);
    cri::RemovePodSandboxRequest remove;
    remove.set_pod_sandbox_id(id);
    cri::RemovePodSandboxResponse removed;
    const grpc::Status after = Call(*runtime_, &Stub::RemovePodSandbox, remove, &removed);
    EXPECT_TRUE(after.ok()) << "RemovePodSandbox: " << Describe(after);
  }
}

grpc::Status ConformanceTest::TryRunPod(const EditPod& edit, std::string* id) {
  const auto& info = *testing::UnitTest::GetInstance()->current_test_info();
  cri::RunPodSandboxRequest request;
  cri::PodSandboxConfig& config = *request.mutable_config();
  config.mutable_metadata()->set_name(absl::StrCat("pod", pods_.size()));
  config.mutable_metadata()->set_uid(
      absl::StrCat(::getpid(), "-", info.test_suite_name(), "-", info.name(), "-", pods_.size()));
  config.mutable_metadata()->set_namespace_("conformance");
  config.set_log_directory(directory_ + "/logs");
  config.mutable_linux();
  if (edit) edit(config);
  cri::RunPodSandboxResponse response;
  grpc::Status status = Call(*runtime_, &Stub::RunPodSandbox, request, &response);
  if (!status.ok()) return status;
  pods_.push_back(response.pod_sandbox_id());
  pod_ = config;
  if (id != nullptr) *id = response.pod_sandbox_id();
  return status;
}

std::string ConformanceTest::RunPod(const EditPod& edit) {
  std::string id;
  const grpc::Status status = TryRunPod(edit, &id);
  EXPECT_TRUE(status.ok()) << "RunPodSandbox: " << Describe(status);
  return id;
}

grpc::Status ConformanceTest::TryCreate(const std::vector<std::string>& command, const EditContainer& edit,
                                        std::string* id) {
  cri::CreateContainerRequest request;
  request.set_pod_sandbox_id(pods_.empty() ? "" : pods_.back());
  *request.mutable_sandbox_config() = pod_;
  cri::ContainerConfig& config = *request.mutable_config();
  config.mutable_metadata()->set_name(absl::StrCat("c", number_++));
  config.mutable_image()->set_image(TheTarget().image);
  for (const std::string& word : command) config.add_command(word);
  config.set_log_path(config.metadata().name() + ".log");
  // As the kubelet: the pod's namespaces, and processes of its own.
  *SecurityOf(config).mutable_namespace_options() = pod_.linux().security_context().namespace_options();
  if (SecurityOf(pod_).namespace_options().pid() == cri::POD && !SecurityOf(pod_).has_namespace_options())
    SecurityOf(config).mutable_namespace_options()->set_pid(cri::CONTAINER);
  if (edit) edit(config);
  cri::CreateContainerResponse response;
  grpc::Status status = Call(*runtime_, &Stub::CreateContainer, request, &response);
  if (status.ok() && id != nullptr) *id = response.container_id();
  return status;
}

std::string ConformanceTest::Create(const std::vector<std::string>& command, const EditContainer& edit) {
  std::string id;
  const grpc::Status status = TryCreate(command, edit, &id);
  EXPECT_TRUE(status.ok()) << "CreateContainer: " << Describe(status);
  return id;
}

grpc::Status ConformanceTest::TryStart(const std::string& id) {
  cri::StartContainerRequest request;
  request.set_container_id(id);
  cri::StartContainerResponse response;
  return Call(*runtime_, &Stub::StartContainer, request, &response);
}

std::string ConformanceTest::Run(const std::vector<std::string>& command, const EditContainer& edit) {
  std::string id = Create(command, edit);
  const grpc::Status status = TryStart(id);
  EXPECT_TRUE(status.ok()) << "StartContainer: " << Describe(status);
  return id;
}

cri::ContainerStatus ConformanceTest::Status(const std::string& id) {
  cri::ContainerStatusRequest request;
  request.set_container_id(id);
  cri::ContainerStatusResponse response;
  const grpc::Status status = Call(*runtime_, &Stub::ContainerStatus, request, &response);
  EXPECT_TRUE(status.ok()) << "ContainerStatus: " << Describe(status);
  return response.status();
}

cri::ContainerStatus ConformanceTest::WaitExited(const std::string& id) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (true) {
    cri::ContainerStatus status = Status(id);
    if (status.state() == cri::CONTAINER_EXITED || HasFailure()) return status;
    if (std::chrono::steady_clock::now() > end) {
      ADD_FAILURE() << "container " << id << " does not end";
      return status;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
}

cri::ExecSyncResponse ConformanceTest::Exec(const std::string& id, const std::vector<std::string>& command) {
  cri::ExecSyncRequest request;
  request.set_container_id(id);
  for (const std::string& word : command) request.add_cmd(word);
  request.set_timeout(60);
  cri::ExecSyncResponse response;
  const grpc::Status status = Call(*runtime_, &Stub::ExecSync, request, &response);
  EXPECT_TRUE(status.ok()) << "ExecSync: " << Describe(status);
  return response;
}

std::string ConformanceTest::Sh(const std::string& id, const std::string& script) {
  const std::string out = Exec(id, {"sh", "-c", script}).stdout();
  return std::string(absl::StripSuffix(out, "\n"));
}

// Log lines are "TIME STREAM TAG CONTENT".
std::string ConformanceTest::OutputOf(const std::vector<std::string>& command, const EditContainer& edit) {
  const std::string id = Run(command, edit);
  std::istringstream log;
  std::ifstream file(WaitExited(id).log_path());
  std::string line, out;
  while (std::getline(file, line)) {
    size_t at = 0;
    for (int word = 0; word < 3; ++word) at = line.find(' ', at) + 1;
    absl::StrAppend(&out, out.empty() ? "" : "\n", line.substr(at));
  }
  return out;
}

bool ConformanceTest::HasFeature(const std::function<bool(const cri::RuntimeHandlerFeatures&)>& has) {
  cri::StatusResponse response;
  EXPECT_TRUE(Call(*runtime_, &Stub::Status, cri::StatusRequest(), &response).ok());
  for (const auto& handler : response.runtime_handlers())
    if (handler.name().empty()) return has(handler.features());
  return false;
}

}  // namespace wherry::conformance
