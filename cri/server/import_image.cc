#include "cri/image/store.h"
#include "cri/server/image_service.h"
#include "runtime/sys/status.h"

namespace wherry::server {

grpc::Status WherryService::ImportImage(grpc::ServerContext*, const v1::ImportImageRequest* request,
                                        v1::ImportImageResponse* response) {
  return edge_.Serve({"ImportImage", Kind::kChange, request->path()}, [&]() -> absl::Status {
    if (request->path().empty() || request->path()[0] != '/')
      return absl::InvalidArgumentError("the archive's path must be absolute, on wherryd's host");
    image::ImageStore::ImportOptions options;
    options.references.assign(request->references().begin(), request->references().end());
    options.pinned = request->pinned();
    ASSIGN_OR_RETURN(auto images, images_.Import(request->path(), options));
    for (const auto& image : images) {
      v1::ImportedImage* out = response->add_images();
      out->set_id(image->id);
      for (const std::string& tag : image->repo_tags) out->add_references(tag);
      out->set_size(image->size);
    }
    return absl::OkStatus();
  });
}

}  // namespace wherry::server
