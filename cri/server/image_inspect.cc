#include <algorithm>

#include "cri/image/store.h"
#include "cri/server/image_service.h"
#include "runtime/sys/status.h"

// What an operator asks of images that are there: whether they are whole, and a copy.
namespace wherry::server {

grpc::Status WherryService::VerifyImages(grpc::ServerContext*, const v1::VerifyImagesRequest* request,
                                         v1::VerifyImagesResponse* response) {
  return edge_.Serve({"VerifyImages", Kind::kChange, ""}, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(const std::vector<image::LayerFindings> layers,
                     images_.Verify({request->images().begin(), request->images().end()}));
    const auto images = images_.List();
    for (const image::LayerFindings& layer : layers) {
      v1::VerifiedLayer* out = response->add_layers();
      out->set_diff_id(layer.diff_id);
      out->mutable_findings()->Assign(layer.findings.begin(), layer.findings.end());
      out->set_count(layer.count);
      for (const auto& image : images)
        if (std::find(image->diff_ids.begin(), image->diff_ids.end(), layer.diff_id) != image->diff_ids.end())
          out->add_images(image->repo_tags.empty() ? image->id : image->repo_tags.front());
    }
    return absl::OkStatus();
  });
}

grpc::Status WherryService::ExportImage(grpc::ServerContext*, const v1::ExportImageRequest* request,
                                        grpc::ServerWriter<v1::ExportImageResponse>* writer) {
  return edge_.Serve({"ExportImage", Kind::kChange, request->image()}, [&]() -> absl::Status {
    return images_.Export(request->image(), [&](absl::string_view bytes) {
      v1::ExportImageResponse message;
      message.set_data(std::string(bytes));
      return writer->Write(message) ? absl::OkStatus() : absl::CancelledError("the caller has gone");
    });
  });
}

}  // namespace wherry::server
