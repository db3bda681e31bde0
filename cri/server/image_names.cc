#include "cri/image/store.h"
#include "cri/server/image_service.h"
#include "runtime/sys/status.h"

namespace wherry::server {

grpc::Status WherryService::TagImage(grpc::ServerContext*, const v1::TagImageRequest* request,
                                     v1::TagImageResponse* response) {
  return edge_.Serve({"TagImage", Kind::kChange, request->tag()}, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(*response->mutable_tag(), images_.Tag(request->image(), request->tag(), request->force()));
    return absl::OkStatus();
  });
}

grpc::Status WherryService::UntagImage(grpc::ServerContext*, const v1::UntagImageRequest* request,
                                       v1::UntagImageResponse*) {
  return edge_.Serve({"UntagImage", Kind::kChange, request->tag()}, [&] { return images_.Untag(request->tag()); });
}

}  // namespace wherry::server
