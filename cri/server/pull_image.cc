#include "cri/image/store.h"
#include "cri/server/image_service.h"
#include "runtime/sys/status.h"

// The pull that somebody watches. A watcher who has gone shows as a call that is cancelled, and that ends the pull.
namespace wherry::server {

grpc::Status WherryService::PullImage(grpc::ServerContext* context, const v1::PullImageRequest* request,
                                      grpc::ServerWriter<v1::PullImageResponse>* writer) {
  return edge_.Serve({"wherry PullImage", Kind::kChange, request->image()}, [&]() -> absl::Status {
    image::PullAuth auth;
    auth.username = request->username();
    auth.password = request->password();
    const auto watch = [&](const std::vector<image::LayerProgress>& layers) {
      v1::PullImageResponse message;
      for (const image::LayerProgress& layer : layers) {
        v1::PulledLayer* to = message.add_layers();
        to->set_digest(layer.digest);
        to->set_size(layer.size);
        to->set_done(layer.done);
      }
      writer->Write(message);
    };
    ASSIGN_OR_RETURN(auto image, images_.Pull(
                                     request->image(), auth, [context] { return context->IsCancelled(); }, watch));
    v1::PullImageResponse last;
    last.set_image_ref(image->id);
    writer->Write(last);
    return absl::OkStatus();
  });
}

}  // namespace wherry::server
