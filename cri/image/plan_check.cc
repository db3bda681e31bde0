// What wherry-pull says that it found, checked once more: it has parsed foreign data, and from here on its words become keys, paths and
// JSON.
#include "cri/image/plan_check.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/oci/digest.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

absl::Status CheckMediaType(const std::string& type) {
  const bool clean = std::all_of(type.begin(), type.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("./+-", absl::string_view(&c, 1));
  });
  return clean ? absl::OkStatus() : absl::InternalError("wherry-pull sent something else than a media type");
}

}  // namespace

void AddUnique(google::protobuf::RepeatedPtrField<std::string>* list, const std::string& item) {
  if (std::find(list->begin(), list->end(), item) == list->end()) *list->Add() = item;
}

absl::Status CheckPlan(const pb::PullMessage::Plan& plan) {
  if (plan.images().empty()) return absl::InternalError("wherry-pull sent an empty plan");
  for (const pb::PlannedImage& image : plan.images()) {
    RETURN_IF_ERROR(oci::CheckDigest(image.id()));
    if (!image.target_digest().empty()) RETURN_IF_ERROR(oci::CheckDigest(image.target_digest()));
    RETURN_IF_ERROR(CheckMediaType(image.target_media_type()));
    for (const std::string& diff_id : image.config().diff_ids()) RETURN_IF_ERROR(oci::CheckDigest(diff_id));
    for (const std::string& tag : image.tags()) RETURN_IF_ERROR(ParseReference(tag).status());
    for (const std::string& name : image.digests()) RETURN_IF_ERROR(ParseReference(name).status());
  }
  return absl::OkStatus();
}

absl::Status NameWith(const ImageStore::ImportOptions& options, pb::PullMessage::Plan& plan) {
  if (options.pinned)
    for (pb::PlannedImage& image : *plan.mutable_images()) image.set_pinned(true);
  if (options.references.empty()) return absl::OkStatus();
  if (plan.images_size() != 1)
    return absl::InvalidArgumentError(
        absl::StrCat("the archive has ", plan.images_size(), " images: they cannot all be given one name"));
  plan.mutable_images(0)->clear_tags();
  for (const std::string& text : options.references) {
    ASSIGN_OR_RETURN(Reference ref, ParseReference(text));
    if (ref.tag.empty())
      return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" has no tag; an image is named by tags"));
    AddUnique(plan.mutable_images(0)->mutable_tags(), ref.Tagged());
  }
  return absl::OkStatus();
}

absl::Status NameAs(const Reference& reference, pb::PullMessage::Plan& plan) {
  if (plan.images_size() != 1) return absl::InternalError("wherry-pull planned more than one image");
  pb::PlannedImage& image = *plan.mutable_images(0);
  const std::string& digest = image.target_digest();
  if (digest.empty() || (!reference.digest.empty() && digest != reference.digest))
    return absl::InternalError("wherry-pull resolved another image than was asked for");
  image.clear_tags();
  if (reference.digest.empty()) image.add_tags(reference.Tagged());
  image.clear_digests();
  image.add_digests(absl::StrCat(reference.Repository(), "@", digest));
  return absl::OkStatus();
}

}  // namespace wherry::image
