#include "test/bench/client.h"

#include <grpcpp/grpcpp.h>
#include <time.h>

#include <chrono>
#include <utility>

#include "api/cri/v1/api.grpc.pb.h"

// What the kubelet sends, field by field where a runtime may care: metadata complete, dns_config present, seccomp
// RuntimeDefault for the sandbox, cpu_shares never 0, namespace modes explicit.
namespace wherry::bench {
namespace {

namespace cri = runtime::v1;
using Stub = cri::RuntimeService::Stub;

constexpr int kMaxMessage = 16 << 20;
constexpr auto kDeadline = std::chrono::minutes(2);

class CriClient final : public Client {
 public:
  explicit CriClient(const std::string& endpoint) {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(kMaxMessage);
    arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
    auto channel = grpc::CreateCustomChannel(endpoint, grpc::InsecureChannelCredentials(), arguments);
    stub_ = cri::RuntimeService::NewStub(channel);
    images_ = cri::ImageService::NewStub(channel);
  }

  // OK once the runtime and its network are ready.
  absl::Status Ready() {
    cri::VersionResponse version;
    RETURN_IF_ERROR(Call("Version", &Stub::Version, cri::VersionRequest(), version));
    runtime_ = absl::StrCat(version.runtime_name(), " ", version.runtime_version());
    cri::StatusResponse status;
    RETURN_IF_ERROR(Call("Status", &Stub::Status, cri::StatusRequest(), status));
    for (const cri::RuntimeCondition& condition : status.status().conditions()) {
      bool needed = condition.type() == "RuntimeReady" || condition.type() == "NetworkReady";
      if (needed && !condition.status()) {
        return absl::UnavailableError(absl::StrCat(condition.type(), " is false: ", condition.message()));
      }
    }
    return absl::OkStatus();
  }

  std::string Runtime() const override { return runtime_; }

  absl::StatusOr<std::string> RunPod(const PodSpec& pod) override {
    cri::RunPodSandboxRequest request;
    *request.mutable_config() = SandboxConfig(pod);
    cri::RunPodSandboxResponse response;
    RETURN_IF_ERROR(Call("RunPodSandbox", &Stub::RunPodSandbox, request, response));
    return response.pod_sandbox_id();
  }

  absl::StatusOr<std::string> CreateContainer(const std::string& pod_id, const PodSpec& pod,
                                              const ContainerSpec& container) override {
    cri::CreateContainerRequest request;
    request.set_pod_sandbox_id(pod_id);
    *request.mutable_sandbox_config() = SandboxConfig(pod);
    cri::ContainerConfig& config = *request.mutable_config();
    config.mutable_metadata()->set_name("main");
    config.mutable_image()->set_image(container.image);
    for (const std::string& word : container.command) config.add_command(word);
    config.set_log_path("0.log");
    if (!container.data_dir.empty()) {
      cri::Mount& mount = *config.add_mounts();
      mount.set_container_path("/data");
      mount.set_host_path(container.data_dir);
      mount.set_readonly(true);
    }
    cri::LinuxContainerConfig& linux_config = *config.mutable_linux();
    linux_config.mutable_resources()->set_cpu_shares(2);
    *linux_config.mutable_security_context()->mutable_namespace_options() = Namespaces(pod);
    linux_config.mutable_security_context()->mutable_seccomp()->set_profile_type(cri::SecurityProfile::Unconfined);
    cri::CreateContainerResponse response;
    RETURN_IF_ERROR(Call("CreateContainer", &Stub::CreateContainer, request, response));
    return response.container_id();
  }

  absl::Status StartContainer(const std::string& id) override {
    return ById<cri::StartContainerRequest, cri::StartContainerResponse>("StartContainer", &Stub::StartContainer, id);
  }

  absl::Status StopContainer(const std::string& id) override {
    return ById<cri::StopContainerRequest, cri::StopContainerResponse>("StopContainer", &Stub::StopContainer, id);
  }

  absl::Status RemoveContainer(const std::string& id) override {
    return ById<cri::RemoveContainerRequest, cri::RemoveContainerResponse>("RemoveContainer", &Stub::RemoveContainer,
                                                                           id);
  }

  absl::Status StopPod(const std::string& id) override {
    cri::StopPodSandboxRequest request;
    request.set_pod_sandbox_id(id);
    cri::StopPodSandboxResponse response;
    return Call("StopPodSandbox", &Stub::StopPodSandbox, request, response);
  }

  absl::Status RemovePod(const std::string& id) override {
    cri::RemovePodSandboxRequest request;
    request.set_pod_sandbox_id(id);
    cri::RemovePodSandboxResponse response;
    return Call("RemovePodSandbox", &Stub::RemovePodSandbox, request, response);
  }

  absl::StatusOr<int> ExecSync(const std::string& id, const std::vector<std::string>& command) override {
    cri::ExecSyncRequest request;
    request.set_container_id(id);
    request.set_timeout(10);
    for (const std::string& word : command) request.add_cmd(word);
    cri::ExecSyncResponse response;
    RETURN_IF_ERROR(Call("ExecSync", &Stub::ExecSync, request, response));
    return response.exit_code();
  }

  absl::StatusOr<std::string> ExecUrl(const std::string& id, const std::vector<std::string>& command,
                                      bool input) override {
    cri::ExecRequest request;
    request.set_container_id(id);
    for (const std::string& word : command) request.add_cmd(word);
    request.set_stdin(input);
    request.set_stdout(true);
    cri::ExecResponse response;
    RETURN_IF_ERROR(Call("Exec", &Stub::Exec, request, response));
    return response.url();
  }

  absl::StatusOr<std::string> PortForwardUrl(const std::string& pod_id, int port) override {
    cri::PortForwardRequest request;
    request.set_pod_sandbox_id(pod_id);
    request.add_port(port);
    cri::PortForwardResponse response;
    RETURN_IF_ERROR(Call("PortForward", &Stub::PortForward, request, response));
    return response.url();
  }

  absl::StatusOr<std::optional<int>> ExitCode(const std::string& id) override {
    cri::ContainerStatusRequest request;
    request.set_container_id(id);
    cri::ContainerStatusResponse response;
    RETURN_IF_ERROR(Call("ContainerStatus", &Stub::ContainerStatus, request, response));
    if (response.status().state() != cri::CONTAINER_EXITED) return std::nullopt;
    return response.status().exit_code();
  }

  absl::Status PullImage(const std::string& image) override {
    cri::PullImageRequest request;
    request.mutable_image()->set_image(image);
    cri::PullImageResponse response;
    return Call("PullImage", &cri::ImageService::Stub::PullImage, request, response);
  }

  absl::Status RemoveImage(const std::string& image) override {
    cri::RemoveImageRequest request;
    request.mutable_image()->set_image(image);
    cri::RemoveImageResponse response;
    return Call("RemoveImage", &cri::ImageService::Stub::RemoveImage, request, response);
  }

  absl::StatusOr<int> ListPods() override {
    cri::ListPodSandboxResponse response;
    RETURN_IF_ERROR(Call("ListPodSandbox", &Stub::ListPodSandbox, cri::ListPodSandboxRequest(), response));
    return response.items_size();
  }

  absl::StatusOr<int> ListContainers() override {
    cri::ListContainersResponse response;
    RETURN_IF_ERROR(Call("ListContainers", &Stub::ListContainers, cri::ListContainersRequest(), response));
    return response.containers_size();
  }

  absl::StatusOr<int> ListContainerStats() override {
    cri::ListContainerStatsResponse response;
    RETURN_IF_ERROR(Call("ListContainerStats", &Stub::ListContainerStats, cri::ListContainerStatsRequest(), response));
    return response.stats_size();
  }

 private:
  template <typename Request, typename Response>
  using Method = grpc::Status (Stub::*)(grpc::ClientContext*, const Request&, Response*);

  template <typename Request, typename Response>
  absl::Status Call(const char* name, Method<Request, Response> method, const Request& request, Response& response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kDeadline);
    return FromGrpc(name, (stub_.get()->*method)(&context, request, &response));
  }

  template <typename Request, typename Response>
  absl::Status Call(const char* name,
                    grpc::Status (cri::ImageService::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response& response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kDeadline);
    return FromGrpc(name, (images_.get()->*method)(&context, request, &response));
  }

  static absl::Status FromGrpc(const char* name, const grpc::Status& status) {
    if (status.ok()) return absl::OkStatus();
    return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                        absl::StrCat(name, ": ", status.error_message()));
  }

  template <typename Request, typename Response>
  absl::Status ById(const char* name, Method<Request, Response> method, const std::string& id) {
    Request request;
    request.set_container_id(id);
    Response response;
    return Call(name, method, request, response);
  }

  static cri::NamespaceOption Namespaces(const PodSpec& pod) {
    cri::NamespaceOption options;
    options.set_network(pod.host_network ? cri::NODE : cri::POD);
    options.set_pid(cri::CONTAINER);
    options.set_ipc(cri::POD);
    return options;
  }

  static cri::PodSandboxConfig SandboxConfig(const PodSpec& pod) {
    cri::PodSandboxConfig config;
    config.mutable_metadata()->set_name(pod.name);
    config.mutable_metadata()->set_uid(pod.name);
    config.mutable_metadata()->set_namespace_("bench");
    if (!pod.host_network) config.set_hostname(pod.name);
    config.set_log_directory(pod.log_dir);
    config.mutable_dns_config()->add_servers("10.96.0.10");
    cri::LinuxPodSandboxConfig& linux_config = *config.mutable_linux();
    linux_config.set_cgroup_parent(pod.cgroup_parent);
    *linux_config.mutable_security_context()->mutable_namespace_options() = Namespaces(pod);
    linux_config.mutable_security_context()->mutable_seccomp()->set_profile_type(cri::SecurityProfile::RuntimeDefault);
    return config;
  }

  std::unique_ptr<Stub> stub_;
  std::unique_ptr<cri::ImageService::Stub> images_;
  std::string runtime_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(const std::string& endpoint) {
  auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (true) {
    auto client = std::make_unique<CriClient>(endpoint);
    absl::Status ready = client->Ready();
    if (ready.ok()) return client;
    if (std::chrono::steady_clock::now() > give_up) return sys::Annotate(ready, endpoint);
    timespec pause = {0, 100'000'000};  // a daemon that starts has nothing that one could wait for
    nanosleep(&pause, nullptr);
  }
}

}  // namespace wherry::bench
