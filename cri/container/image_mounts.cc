// Image volumes: a mount whose content is an image of the store, whose layers image_holds.cc has found.
#include "absl/strings/str_cat.h"
#include "cri/container/directories.h"
#include "cri/container/spec.h"
#include "cri/container/user_namespace.h"
#include "runtime/rootfs/image_volume.h"
#include "runtime/sys/status.h"

namespace wherry::container {
namespace {

absl::StatusOr<shim::v1::Mount> Translate(const ::runtime::v1::Mount& mount, const SpecInput& input,
                                          const std::string& field) {
  auto layers = input.mounted_images.find(mount.image().image());
  if (layers == input.mounted_images.end()) return absl::InternalError(absl::StrCat(field, ".image is not held"));
  shim::v1::Mount result;
  ASSIGN_OR_RETURN(*result.mutable_destination(), CleanPath(mount.container_path(), field + ".container_path"));
  if (result.destination() == "/") return absl::InvalidArgumentError(field + ".container_path is the root");
  result.set_fs_type("image");
  result.set_source(mount.image().image());
  result.set_readonly(true);
  result.set_nodev(true);
  for (const std::string& layer : layers->second) result.add_layers(layer);
  result.add_layers(input.paths.empty(input.id));
  result.set_sub_path(mount.image_sub_path());
  // Whatever the mount says: no image has files of the host's users.
  RETURN_IF_ERROR(IsIdmapped(mount, input.pod.config(), field).status());
  result.set_idmapped(UserNamespaceOf(input.pod.config()).has_value());
  RETURN_IF_ERROR(MakeDirectories(input.paths.empty(input.id), 0755));
  RETURN_IF_ERROR_CTX(rootfs::CheckImageVolume(result), field + ".image_sub_path");
  return result;
}

}  // namespace

absl::Status ImageVolumeFailed(const absl::Status& cause) {
  return absl::Status(cause.code(), absl::StrCat("ImageVolumeMountFailed: ", cause.message()));
}

absl::StatusOr<shim::v1::Mount> ImageMount(const ::runtime::v1::Mount& mount, const SpecInput& input,
                                           const std::string& field) {
  auto result = Translate(mount, input, field);
  if (!result.ok()) return ImageVolumeFailed(result.status());
  return result;
}

}  // namespace wherry::container
