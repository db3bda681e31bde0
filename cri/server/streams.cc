#include "absl/strings/str_cat.h"
#include "cri/container/service.h"
#include "cri/pod/service.h"
#include "cri/server/runtime_service.h"
#include "cri/streaming/server.h"
#include "runtime/sys/status.h"

// Exec, Attach and PortForward: each answers with a URL that is good for one use within a minute. What can be known to be wrong is
// said now, where a client sees it as an error of the call and not of a session.
namespace wherry::server {
namespace {

absl::Status CheckStreams(const streaming::Streams& streams) {
  if (streams.tty && streams.err)
    return absl::InvalidArgumentError("tty and stderr cannot both be true: a terminal has one output");
  if (!streams.in && !streams.out && !streams.err)
    return absl::InvalidArgumentError("one of stdin, stdout and stderr must be true");
  return absl::OkStatus();
}

// The full id of a container that runs.
absl::StatusOr<std::string> RunningContainer(const container::Service& containers, const std::string& id) {
  if (id.empty()) return absl::InvalidArgumentError("container_id is empty");
  ASSIGN_OR_RETURN(const cri::ContainerStatusResponse response, containers.Status(id, false));
  if (response.status().state() != cri::CONTAINER_RUNNING)
    return absl::FailedPreconditionError(absl::StrCat("container \"", id, "\" is not running"));
  return response.status().id();
}

absl::StatusOr<std::string> ReadyPod(const pod::Service& pods, const std::string& id) {
  if (id.empty()) return absl::InvalidArgumentError("pod_sandbox_id is empty");
  ASSIGN_OR_RETURN(const cri::PodSandboxStatusResponse response, pods.Status(id, false));
  if (response.status().state() != cri::SANDBOX_READY)
    return absl::FailedPreconditionError(absl::StrCat("pod \"", id, "\" is not ready"));
  return response.status().id();
}

}  // namespace

grpc::Status RuntimeService::Exec(grpc::ServerContext*, const cri::ExecRequest* request, cri::ExecResponse* response) {
  return edge_.Serve({"Exec", Kind::kProbe, request->container_id()}, [&]() -> absl::Status {
    streaming::Request wanted{streaming::Kind::kExec};
    wanted.streams = {request->stdin(), request->stdout(), request->stderr(), request->tty()};
    RETURN_IF_ERROR(CheckStreams(wanted.streams));
    if (request->cmd().empty()) return absl::InvalidArgumentError("cmd is empty");
    ASSIGN_OR_RETURN(wanted.id, RunningContainer(backends_.containers, request->container_id()));
    wanted.command = {request->cmd().begin(), request->cmd().end()};
    ASSIGN_OR_RETURN(*response->mutable_url(), backends_.streaming.Url(std::move(wanted)));
    return absl::OkStatus();
  });
}

grpc::Status RuntimeService::Attach(grpc::ServerContext*, const cri::AttachRequest* request,
                                    cri::AttachResponse* response) {
  return edge_.Serve({"Attach", Kind::kProbe, request->container_id()}, [&]() -> absl::Status {
    streaming::Request wanted{streaming::Kind::kAttach};
    wanted.streams = {request->stdin(), request->stdout(), request->stderr(), request->tty()};
    RETURN_IF_ERROR(CheckStreams(wanted.streams));
    ASSIGN_OR_RETURN(wanted.id, RunningContainer(backends_.containers, request->container_id()));
    ASSIGN_OR_RETURN(*response->mutable_url(), backends_.streaming.Url(std::move(wanted)));
    return absl::OkStatus();
  });
}

grpc::Status RuntimeService::PortForward(grpc::ServerContext*, const cri::PortForwardRequest* request,
                                         cri::PortForwardResponse* response) {
  return edge_.Serve({"PortForward", Kind::kProbe, request->pod_sandbox_id()}, [&]() -> absl::Status {
    streaming::Request wanted{streaming::Kind::kPortForward};
    constexpr int kMaxPorts = 127;  // two channels each, numbered by a byte
    if (request->port_size() > kMaxPorts)
      return absl::InvalidArgumentError(absl::StrCat(request->port_size(), " ports, ", kMaxPorts, " allowed"));
    for (int32_t port : request->port()) {
      if (port < 1 || port > UINT16_MAX)
        return absl::InvalidArgumentError(absl::StrCat("port ", port, " is not from 1 to 65535"));
      wanted.ports.push_back(static_cast<uint16_t>(port));
    }
    ASSIGN_OR_RETURN(wanted.id, ReadyPod(backends_.pods, request->pod_sandbox_id()));
    ASSIGN_OR_RETURN(*response->mutable_url(), backends_.streaming.Url(std::move(wanted)));
    return absl::OkStatus();
  });
}

}  // namespace wherry::server
