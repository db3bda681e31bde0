#include "cri/container/service.h"
#include "cri/server/runtime_service.h"
#include "runtime/sys/status.h"

// What is done to a running container's processes and output.
namespace wherry::server {

// A command that ends with another code than 0 is a success here; DeadlineExceeded means that it was killed at its timeout.
grpc::Status RuntimeService::ExecSync(grpc::ServerContext* context, const cri::ExecSyncRequest* request,
                                      cri::ExecSyncResponse* response) {
  return edge_.Serve({"ExecSync", Kind::kProbe, request->container_id()}, [&]() -> absl::Status {
    auto abandoned = [context] { return context->IsCancelled(); };
    ASSIGN_OR_RETURN(*response, backends_.containers.ExecSync(*request, abandoned));
    return absl::OkStatus();
  });
}

grpc::Status RuntimeService::ReopenContainerLog(grpc::ServerContext*, const cri::ReopenContainerLogRequest* request,
                                                cri::ReopenContainerLogResponse*) {
  return edge_.Serve({"ReopenContainerLog", Kind::kChange, request->container_id()},
                     [&] { return backends_.containers.ReopenLog(request->container_id()); });
}

}  // namespace wherry::server
