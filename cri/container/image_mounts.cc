// Image volumes: a mount whose content is an image of the store. The image is held under the container's id like the one that
// the container runs from, so that its removal waits for the container's; its id is written into the record's mounts, so that
// a status tells which image it is and a restart of wherryd holds the same one whatever became of its names.
#include "absl/strings/str_cat.h"
#include "cri/container/core.h"
#include "cri/container/directories.h"
#include "cri/container/spec.h"
#include "cri/container/user_namespace.h"
#include "runtime/rootfs/image_volume.h"
#include "runtime/sys/status.h"

namespace wherry::container {
namespace {

absl::Status Failed(const absl::Status& cause) {
  return absl::Status(cause.code(), absl::StrCat("ImageVolumeMountFailed: ", cause.message()));
}

absl::Status CheckFields(const ::runtime::v1::Mount& mount, const std::string& field) {
  auto wrong = [&](const char* what) { return absl::InvalidArgumentError(absl::StrCat(field, what)); };
  if (mount.image().image().empty()) return wrong(".image.image is empty");
  if (!mount.host_path().empty()) return wrong(".host_path: an image volume has none");
  if (!mount.readonly()) return wrong(".readonly: an image volume cannot be written to");
  if (mount.propagation() != ::runtime::v1::PROPAGATION_PRIVATE)
    return wrong(".propagation: that of an image volume is private");
  if (mount.image_sub_path().find('\0') != std::string::npos || mount.image_sub_path().size() >= 4096)
    return wrong(".image_sub_path is no path");
  return absl::OkStatus();
}

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

absl::StatusOr<shim::v1::Mount> ImageMount(const ::runtime::v1::Mount& mount, const SpecInput& input,
                                           const std::string& field) {
  auto result = Translate(mount, input, field);
  if (!result.ok()) return Failed(result.status());
  return result;
}

absl::StatusOr<ImageLayers> HoldMountedImages(Core& core, store::ContainerRecord& record) {
  ImageLayers layers;
  for (int i = 0; i < record.config().mounts_size(); ++i) {
    auto& mount = *record.mutable_config()->mutable_mounts(i);
    if (!mount.has_image() && mount.image_sub_path().empty()) continue;
    const std::string field = absl::StrCat("mounts[", i, "]");
    if (absl::Status status = CheckFields(mount, field); !status.ok()) return Failed(status);
    auto& spec = *mount.mutable_image();
    auto image = core.images.Find(spec.image());
    if (!image.ok()) return Failed(sys::Annotate(image.status(), field + ".image"));
    if (spec.user_specified_image().empty()) spec.set_user_specified_image(spec.image());
    spec.set_image((*image)->id);
    spec.set_image_ref((*image)->id);
    auto held = core.images.Hold((*image)->id, record.id());
    if (!held.ok()) return Failed(sys::Annotate(held.status(), field + ".image"));
    layers[(*image)->id] = *std::move(held);
  }
  return layers;
}

void HoldAgain(Core& core, const store::ContainerRecord& record) {
  core.images.Hold(record.image_id(), record.id()).status().IgnoreError();
  for (const auto& mount : record.config().mounts()) {
    if (mount.has_image()) core.images.Hold(mount.image().image(), record.id()).status().IgnoreError();
  }
}

}  // namespace wherry::container
