#include "absl/time/clock.h"
#include "cri/image/store.h"
#include "cri/server/image_service.h"
#include "runtime/sys/status.h"

// The kubelet's disk pressure and image garbage collection hang on this; it exits when the call fails at its start and
// crashes on a missing used_bytes. Layers and writable layers share wherry's root, so both lists name one file system.
namespace wherry::server {

grpc::Status ImageService::ImageFsInfo(grpc::ServerContext*, const cri::ImageFsInfoRequest*,
                                       cri::ImageFsInfoResponse* response) {
  return edge_.Serve({"ImageFsInfo", Kind::kRead, ""}, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(image::FsUsage usage, images_.Usage());
    cri::FilesystemUsage* layers = response->add_image_filesystems();
    layers->set_timestamp(absl::GetCurrentTimeNanos());
    layers->mutable_fs_id()->set_mountpoint(usage.mountpoint);
    layers->mutable_used_bytes()->set_value(usage.used_bytes);
    layers->mutable_inodes_used()->set_value(usage.inodes_used);
    *response->add_container_filesystems() = *layers;
    return absl::OkStatus();
  });
}

}  // namespace wherry::server
