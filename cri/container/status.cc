#include "runtime/sys/status.h"

#include "cri/container/signals.h"
#include "cri/container/view.h"

namespace wherry::container {
namespace {

void SetImage(const Core& core, const store::ContainerRecord& record, ::runtime::v1::ContainerStatus& status) {
  auto& image = *status.mutable_image();
  image = record.config().image();
  // The kubelet asks by id; people want to read a name. The image may be gone by now.
  auto known = core.images.Find(record.image_id());
  if (known.ok() && !(*known)->repo_tags.empty()) image.set_image((*known)->repo_tags.front());
  status.set_image_ref(record.image_ref());
  status.set_image_id(record.image_id());
}

void SetOutcome(const store::ContainerRecord& record, ::runtime::v1::ContainerStatus& status) {
  status.set_created_at(record.created_at_ns());
  status.set_started_at(record.started_at_ns());
  status.set_finished_at(record.finished_at_ns());
  status.set_exit_code(record.exit_code());
  status.set_reason(record.reason());
  status.set_message(record.message());
}

}  // namespace

::runtime::v1::ContainerState StateOf(const store::ContainerRecord& record) {
  switch (record.state()) {
    case store::CREATING:
    case store::CREATED:
    case store::STARTING:
      return ::runtime::v1::CONTAINER_CREATED;
    case store::RUNNING:
      return ::runtime::v1::CONTAINER_RUNNING;
    case store::EXITED:
    case store::REMOVING:
      return ::runtime::v1::CONTAINER_EXITED;
    default:
      return ::runtime::v1::CONTAINER_UNKNOWN;
  }
}

::runtime::v1::ContainerStatus StatusOf(const Core& core, const store::ContainerRecord& record) {
  ::runtime::v1::ContainerStatus status;
  const auto& config = record.config();
  status.set_id(record.id());
  *status.mutable_metadata() = config.metadata();
  status.set_state(StateOf(record));
  SetOutcome(record, status);
  SetImage(core, record, status);
  *status.mutable_labels() = config.labels();
  *status.mutable_annotations() = config.annotations();
  *status.mutable_mounts() = config.mounts();
  status.set_log_path(record.log_path());
  *status.mutable_resources()->mutable_linux() = record.resources();
  if (record.has_user()) *status.mutable_user() = record.user();
  status.set_stop_signal(static_cast<::runtime::v1::Signal>(SignalToCri(record.stop_signal())));
  return status;
}

absl::StatusOr<::runtime::v1::ContainerStatusResponse> Status(const Core& core, const std::string& id, bool verbose) {
  ASSIGN_OR_RETURN(store::Container record, Find(core, id));
  ::runtime::v1::ContainerStatusResponse response;
  *response.mutable_status() = StatusOf(core, *record);
  if (verbose) (*response.mutable_info())["info"] = VerboseInfo(*record);
  return response;
}

std::vector<::runtime::v1::ContainerStatus> StatusesOf(const Core& core, const std::string& pod_id) {
  std::vector<::runtime::v1::ContainerStatus> result;
  for (const auto& record : core.store.ContainersOf(pod_id)) {
    if (record->state() != store::CREATING) result.push_back(StatusOf(core, *record));
  }
  return result;
}

}  // namespace wherry::container
