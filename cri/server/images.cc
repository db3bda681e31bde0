#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "cri/image/store.h"
#include "cri/server/image_service.h"
#include "cri/server/pieces.h"
#include "runtime/sys/status.h"

namespace wherry::server {
namespace {

// The image's USER as the kubelet wants it for runAsNonRoot: a number if it is one, else the name; root when unsaid.
void SetUser(const std::string& user, cri::Image* out) {
  const std::string name = std::vector<std::string>(absl::StrSplit(user, absl::MaxSplits(':', 1)))[0];
  int64_t uid = 0;
  if (name.empty() || absl::SimpleAtoi(name, &uid))
    out->mutable_uid()->set_value(uid);
  else
    out->set_username(name);
}

cri::Image Translate(const image::Image& image) {
  cri::Image out;
  out.set_id(image.id);
  for (const std::string& tag : image.repo_tags) out.add_repo_tags(tag);
  for (const std::string& digest : image.repo_digests) out.add_repo_digests(digest);
  out.set_size(image.size);
  SetUser(image.config.user, &out);
  out.mutable_spec()->set_image(image.id);
  out.set_pinned(image.pinned);
  return out;
}

std::string Describe(const image::Image& image) {
  const oci::ImageConfig& config = image.config;
  return nlohmann::json{{"os", config.os},
                        {"architecture", config.architecture},
                        {"user", config.user},
                        {"entrypoint", config.entrypoint},
                        {"cmd", config.cmd},
                        {"workingDir", config.working_dir},
                        {"stopSignal", config.stop_signal},
                        {"layers", image.diff_ids}}
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

// All images, or the one that `filter` names. An unknown name gives an empty list.
absl::Status ImageService::List(const cri::ImageFilter& filter, google::protobuf::RepeatedPtrField<cri::Image>* out) {
  const std::string& wanted = filter.image().image();
  if (wanted.empty()) {
    for (const auto& image : images_.List()) *out->Add() = Translate(*image);
    return absl::OkStatus();
  }
  auto image = images_.Find(wanted);
  if (absl::IsNotFound(image.status())) return absl::OkStatus();
  if (!image.ok()) return image.status();
  *out->Add() = Translate(**image);
  return absl::OkStatus();
}

grpc::Status ImageService::ListImages(grpc::ServerContext*, const cri::ListImagesRequest* request,
                                      cri::ListImagesResponse* response) {
  return edge_.Serve({"ListImages", Kind::kRead, request->filter().image().image()},
                     [&] { return List(request->filter(), response->mutable_images()); });
}

grpc::Status ImageService::StreamImages(grpc::ServerContext*, const cri::StreamImagesRequest* request,
                                        grpc::ServerWriter<cri::StreamImagesResponse>* writer) {
  return edge_.Serve({"StreamImages", Kind::kRead, request->filter().image().image()}, [&]() -> absl::Status {
    google::protobuf::RepeatedPtrField<cri::Image> items;
    RETURN_IF_ERROR(List(request->filter(), &items));
    return WriteInPieces(items, &cri::StreamImagesResponse::mutable_images, writer);
  });
}

// An absent image is no error but an answer without image; NotFound would leave the pod stuck. One that was found damaged is answered
// as absent: then the kubelet pulls it, and that mends it.
grpc::Status ImageService::ImageStatus(grpc::ServerContext*, const cri::ImageStatusRequest* request,
                                       cri::ImageStatusResponse* response) {
  const std::string& wanted = request->image().image();
  return edge_.Serve({"ImageStatus", Kind::kRead, wanted}, [&]() -> absl::Status {
    auto image = images_.Find(wanted);
    if (absl::IsNotFound(image.status())) return absl::OkStatus();
    RETURN_IF_ERROR(image.status());
    if ((*image)->damaged) return absl::OkStatus();
    *response->mutable_image() = Translate(**image);
    if (request->verbose()) (*response->mutable_info())["info"] = Describe(**image);
    return absl::OkStatus();
  });
}

grpc::Status ImageService::RemoveImage(grpc::ServerContext*, const cri::RemoveImageRequest* request,
                                       cri::RemoveImageResponse*) {
  return edge_.Serve({"RemoveImage", Kind::kChange, request->image().image()},
                     [&] { return images_.Remove(request->image().image()); });
}

grpc::Status ImageService::PullImage(grpc::ServerContext* context, const cri::PullImageRequest* request,
                                     cri::PullImageResponse* response) {
  return edge_.Serve({"PullImage", Kind::kChange, request->image().image()}, [&]() -> absl::Status {
    const cri::AuthConfig& from = request->auth();
    const image::PullAuth auth{from.username(),       from.password(),       from.auth(),
                               from.server_address(), from.identity_token(), from.registry_token()};
    ASSIGN_OR_RETURN(auto image,
                     images_.Pull(request->image().image(), auth, [context] { return context->IsCancelled(); }));
    response->set_image_ref(image->id);
    return absl::OkStatus();
  });
}

}  // namespace wherry::server
