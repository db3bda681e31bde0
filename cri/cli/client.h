#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace runtime::v1 {
class AttachRequest;
class AttachResponse;
class ContainerStatusRequest;
class ContainerStatusResponse;
class CreateContainerRequest;
class CreateContainerResponse;
class ExecRequest;
class ExecResponse;
class ExecSyncRequest;
class ExecSyncResponse;
class ImageStatusRequest;
class ImageStatusResponse;
class ListContainersRequest;
class ListContainersResponse;
class ListImagesRequest;
class ListImagesResponse;
class ListPodSandboxRequest;
class ListPodSandboxResponse;
class PodSandboxStatusRequest;
class PodSandboxStatusResponse;
class PortForwardRequest;
class PortForwardResponse;
class PullImageRequest;
class PullImageResponse;
class RemoveContainerRequest;
class RemoveContainerResponse;
class RemoveImageRequest;
class RemoveImageResponse;
class RemovePodSandboxRequest;
class RemovePodSandboxResponse;
class RunPodSandboxRequest;
class RunPodSandboxResponse;
class StartContainerRequest;
class StartContainerResponse;
class StatusRequest;
class StatusResponse;
class StopContainerRequest;
class StopContainerResponse;
class StopPodSandboxRequest;
class StopPodSandboxResponse;
class VersionRequest;
class VersionResponse;
}  // namespace runtime::v1
namespace wherry::v1 {
class ImportImageRequest;
class ImportImageResponse;
class PullImageRequest;
class PullImageResponse;
class TagImageRequest;
class TagImageResponse;
class UntagImageRequest;
class UntagImageResponse;
class VerifyImagesRequest;
class VerifyImagesResponse;
class ExportImageRequest;
class ExportImageResponse;
}  // namespace wherry::v1

namespace wherry::cli {

namespace cri = ::runtime::v1;

// A connection to a CRI runtime. Each Call is one RPC, named by its request; errors are gRPC's code and message.
// Thread-safe. Keeps gRPC's headers, which take seconds to compile, out of the commands.
class Client {
 public:
  // "unix:///run/wherry/wherry.sock" or the plain path of the socket. InvalidArgument for other schemes. Does not connect yet.
  static absl::StatusOr<std::unique_ptr<Client>> Create(const std::string& endpoint);
  ~Client();

  template <typename Response, typename Request>
  absl::StatusOr<Response> Get(const Request& request, absl::Duration timeout = absl::Minutes(2)) {
    Response response;
    absl::Status status = Call(request, response, timeout);
    if (!status.ok()) return status;
    return response;
  }

  // InfiniteDuration = no deadline.
  absl::Status Call(const cri::VersionRequest&, cri::VersionResponse&, absl::Duration timeout);
  absl::Status Call(const cri::StatusRequest&, cri::StatusResponse&, absl::Duration timeout);
  absl::Status Call(const cri::RunPodSandboxRequest&, cri::RunPodSandboxResponse&, absl::Duration timeout);
  absl::Status Call(const cri::StopPodSandboxRequest&, cri::StopPodSandboxResponse&, absl::Duration timeout);
  absl::Status Call(const cri::RemovePodSandboxRequest&, cri::RemovePodSandboxResponse&, absl::Duration timeout);
  absl::Status Call(const cri::PodSandboxStatusRequest&, cri::PodSandboxStatusResponse&, absl::Duration timeout);
  absl::Status Call(const cri::ListPodSandboxRequest&, cri::ListPodSandboxResponse&, absl::Duration timeout);
  absl::Status Call(const cri::CreateContainerRequest&, cri::CreateContainerResponse&, absl::Duration timeout);
  absl::Status Call(const cri::StartContainerRequest&, cri::StartContainerResponse&, absl::Duration timeout);
  absl::Status Call(const cri::StopContainerRequest&, cri::StopContainerResponse&, absl::Duration timeout);
  absl::Status Call(const cri::RemoveContainerRequest&, cri::RemoveContainerResponse&, absl::Duration timeout);
  absl::Status Call(const cri::ContainerStatusRequest&, cri::ContainerStatusResponse&, absl::Duration timeout);
  absl::Status Call(const cri::ListContainersRequest&, cri::ListContainersResponse&, absl::Duration timeout);
  absl::Status Call(const cri::ExecSyncRequest&, cri::ExecSyncResponse&, absl::Duration timeout);
  absl::Status Call(const cri::ExecRequest&, cri::ExecResponse&, absl::Duration timeout);
  absl::Status Call(const cri::AttachRequest&, cri::AttachResponse&, absl::Duration timeout);
  absl::Status Call(const cri::PortForwardRequest&, cri::PortForwardResponse&, absl::Duration timeout);
  absl::Status Call(const cri::ListImagesRequest&, cri::ListImagesResponse&, absl::Duration timeout);
  absl::Status Call(const cri::ImageStatusRequest&, cri::ImageStatusResponse&, absl::Duration timeout);
  absl::Status Call(const cri::PullImageRequest&, cri::PullImageResponse&, absl::Duration timeout);
  absl::Status Call(const cri::RemoveImageRequest&, cri::RemoveImageResponse&, absl::Duration timeout);
  absl::Status Call(const v1::ImportImageRequest&, v1::ImportImageResponse&, absl::Duration timeout);
  absl::Status Call(const v1::TagImageRequest&, v1::TagImageResponse&, absl::Duration timeout);
  absl::Status Call(const v1::UntagImageRequest&, v1::UntagImageResponse&, absl::Duration timeout);
  absl::Status Call(const v1::VerifyImagesRequest&, v1::VerifyImagesResponse&, absl::Duration timeout);
  // Each message of the answer as it comes; without a deadline.
  absl::Status Stream(const v1::PullImageRequest&, const std::function<void(const v1::PullImageResponse&)>& take);
  // The same; an error of `take` ends the call.
  absl::Status Stream(const v1::ExportImageRequest&,
                      const std::function<absl::Status(const v1::ExportImageResponse&)>& take);

 private:
  struct Stubs;
  Client(std::string endpoint, std::unique_ptr<Stubs> stubs);

  template <typename Stub, typename Method, typename Request, typename Response>
  absl::Status Do(Stub& stub, Method method, const Request& request, Response& response, absl::Duration timeout);

  const std::string endpoint_;
  const std::unique_ptr<Stubs> stubs_;
};

}  // namespace wherry::cli
