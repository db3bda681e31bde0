#include "cri/image/pull_worker.h"

#include <sys/stat.h>

#include <algorithm>

#include "api/oci/manifest.h"
#include "cri/image/fetch_client.h"
#include "cri/image/layer_work.h"
#include "cri/image/manifest_plan.h"
#include "cri/image/reference.h"
#include "cri/image/sha256.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

absl::StatusOr<PlannedImage> Plan(const FetchClient& origin, const Reference& reference) {
  const std::string wanted = reference.digest.empty() ? reference.tag : reference.digest;
  ASSIGN_OR_RETURN(std::string text, origin.Manifest(wanted, oci::kMaxManifestBytes));
  const std::string is = Sha256Of(text);
  if (!reference.digest.empty() && is != reference.digest)
    return absl::DataLossError(absl::StrCat("the manifest has the digest ", is));
  ASSIGN_OR_RETURN(PlannedImage image, PlanDocument(origin, HostPlatform(), text, ""));
  image.target_digest = is;
  ASSIGN_OR_RETURN(image.target_media_type, oci::MediaTypeOf(text));
  image.target_size = text.size();
  return image;
}

absl::Status Pull(int control, const pb::PullRequest& request, sys::UniqueFd fetcher, int staging) {
  ASSIGN_OR_RETURN(Reference reference, ParseReference(request.reference()));
  ASSIGN_OR_RETURN(const uint64_t free_bytes, FreeBytes(staging));
  DiskBudget budget(free_bytes);
  FetchClient origin(std::move(fetcher));
  WHERRY_FAIL_POINT("pull.manifest");
  ASSIGN_OR_RETURN(PlannedImage image, Plan(origin, reference));
  const size_t threads = std::max<size_t>(1, request.parallel_layers());
  ASSIGN_OR_RETURN(
      pb::PullMessage done,
      UnpackImages({control, staging, threads, budget, [&] { return origin.Progress(); }}, origin, {image}));
  return Send(control, done);
}

// The kubelet tells a registry that is down from an image that is wrong by the first word, when the code is Unknown.
absl::Status ForPeople(const absl::Status& status, const std::string& reference) {
  const std::string context = absl::StrCat("pull of \"", reference, "\"");
  if (!absl::IsUnavailable(status)) return sys::Annotate(status, context);
  return absl::UnknownError(absl::StrCat("RegistryUnavailable: ", context, ": ", std::string(status.message())));
}

}  // namespace

absl::Status RunPull(int control, const pb::PullRequest& request, sys::UniqueFd fetcher, sys::UniqueFd staging) {
  ::umask(0);
  absl::Status status = Pull(control, request, std::move(fetcher), staging.get());
  return status.ok() ? status : Send(control, FailureMessage(ForPeople(status, request.reference())));
}

}  // namespace wherry::image
