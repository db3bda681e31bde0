// The images that a container mounts are held under the container's id like the one that it runs from, so that their removal waits for
// the container's; an image's id is written into the record's mounts, so that a status tells which image it is and a restart of wherryd
// holds the same one whatever became of its names.
#include "absl/strings/str_cat.h"
#include "cri/container/core.h"
#include "cri/container/spec.h"
#include "runtime/sys/status.h"

namespace wherry::container {
namespace {

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

}  // namespace

absl::StatusOr<ImageLayers> HoldMountedImages(Core& core, store::ContainerRecord& record) {
  ImageLayers layers;
  for (int i = 0; i < record.config().mounts_size(); ++i) {
    auto& mount = *record.mutable_config()->mutable_mounts(i);
    if (!mount.has_image() && mount.image_sub_path().empty()) continue;
    const std::string field = absl::StrCat("mounts[", i, "]");
    if (absl::Status status = CheckFields(mount, field); !status.ok()) return ImageVolumeFailed(status);
    auto& spec = *mount.mutable_image();
    auto image = core.images.Find(spec.image());
    if (!image.ok()) return ImageVolumeFailed(sys::Annotate(image.status(), field + ".image"));
    if (spec.user_specified_image().empty()) spec.set_user_specified_image(spec.image());
    spec.set_image((*image)->id);
    spec.set_image_ref((*image)->id);
    auto held = core.images.Hold((*image)->id, record.id());
    if (!held.ok()) return ImageVolumeFailed(sys::Annotate(held.status(), field + ".image"));
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
