#pragma once

#include "api/cri/v1/api.grpc.pb.h"
#include "api/wherry/v1/wherry.grpc.pb.h"
#include "cri/server/edge.h"

namespace wherry::image {
class ImageStore;
}

// CRI's ImageService and wherry's own service, which feeds the same store from archives.
namespace wherry::server {

namespace cri = ::runtime::v1;

class ImageService final : public cri::ImageService::Service {
 public:
  ImageService(Edge& edge, image::ImageStore& images) : edge_(edge), images_(images) {}

  grpc::Status ListImages(grpc::ServerContext*, const cri::ListImagesRequest*, cri::ListImagesResponse*) override;
  grpc::Status StreamImages(grpc::ServerContext*, const cri::StreamImagesRequest*,
                            grpc::ServerWriter<cri::StreamImagesResponse>*) override;
  grpc::Status ImageStatus(grpc::ServerContext*, const cri::ImageStatusRequest*, cri::ImageStatusResponse*) override;
  grpc::Status PullImage(grpc::ServerContext*, const cri::PullImageRequest*, cri::PullImageResponse*) override;
  grpc::Status RemoveImage(grpc::ServerContext*, const cri::RemoveImageRequest*, cri::RemoveImageResponse*) override;
  grpc::Status ImageFsInfo(grpc::ServerContext*, const cri::ImageFsInfoRequest*, cri::ImageFsInfoResponse*) override;

 private:
  absl::Status List(const cri::ImageFilter& filter, google::protobuf::RepeatedPtrField<cri::Image>* out);

  Edge& edge_;
  image::ImageStore& images_;
};

class WherryService final : public v1::Wherry::Service {
 public:
  WherryService(Edge& edge, image::ImageStore& images) : edge_(edge), images_(images) {}

  grpc::Status ImportImage(grpc::ServerContext*, const v1::ImportImageRequest*, v1::ImportImageResponse*) override;
  grpc::Status PullImage(grpc::ServerContext*, const v1::PullImageRequest*,
                         grpc::ServerWriter<v1::PullImageResponse>*) override;
  grpc::Status TagImage(grpc::ServerContext*, const v1::TagImageRequest*, v1::TagImageResponse*) override;
  grpc::Status UntagImage(grpc::ServerContext*, const v1::UntagImageRequest*, v1::UntagImageResponse*) override;
  grpc::Status VerifyImages(grpc::ServerContext*, const v1::VerifyImagesRequest*, v1::VerifyImagesResponse*) override;
  grpc::Status ExportImage(grpc::ServerContext*, const v1::ExportImageRequest*,
                           grpc::ServerWriter<v1::ExportImageResponse>*) override;

 private:
  Edge& edge_;
  image::ImageStore& images_;
};

}  // namespace wherry::server
