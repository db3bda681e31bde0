#include "cri/image/import_worker.h"

#include <sys/stat.h>

#include <algorithm>
#include <thread>

#include "cri/image/blob_origin.h"
#include "cri/image/channel.h"
#include "cri/image/layer_work.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/status.h"

namespace wherry::image {
namespace {

absl::Status Import(int control, sys::UniqueFd archive_fd, int staging) {
  ASSIGN_OR_RETURN(const uint64_t free_bytes, FreeBytes(staging));
  DiskBudget budget(free_bytes);
  WHERRY_FAIL_POINT("pull.archive");
  ASSIGN_OR_RETURN(ArchiveFile archive, ArchiveFile::Open(std::move(archive_fd), staging, budget));
  ASSIGN_OR_RETURN(std::vector<PlannedImage> images, PlanImport(archive, HostPlatform()));
  const size_t cpus = std::max(1U, std::thread::hardware_concurrency());
  ASSIGN_OR_RETURN(pb::PullMessage done, UnpackImages({control, staging, cpus, budget}, *OriginOf(archive), images));
  return Send(control, done);
}

}  // namespace

absl::Status RunImport(int control, sys::UniqueFd archive, sys::UniqueFd staging) {
  ::umask(0);
  absl::Status status = Import(control, std::move(archive), staging.get());
  return status.ok() ? status : Send(control, FailureMessage(status));
}

}  // namespace wherry::image
