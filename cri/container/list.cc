#include "absl/strings/match.h"
#include "cri/container/view.h"

namespace wherry::container {
namespace {

bool Matches(const ::runtime::v1::ContainerFilter& filter, const store::ContainerRecord& record) {
  if (record.state() == store::CREATING) return false;
  if (!absl::StartsWith(record.id(), filter.id())) return false;
  if (!absl::StartsWith(record.pod_id(), filter.pod_sandbox_id())) return false;
  // The wrapper counts even with the zero value in it.
  if (filter.has_state() && filter.state().state() != StateOf(record)) return false;
  return LabelsMatch(filter.label_selector(), record.config().labels());
}

}  // namespace

bool LabelsMatch(const google::protobuf::Map<std::string, std::string>& selector,
                 const google::protobuf::Map<std::string, std::string>& labels) {
  for (const auto& [key, value] : selector) {
    auto it = labels.find(key);
    if (it == labels.end() || it->second != value) return false;
  }
  return true;
}

::runtime::v1::Container ListItem(const store::ContainerRecord& record) {
  ::runtime::v1::Container item;
  const auto& config = record.config();
  item.set_id(record.id());
  item.set_pod_sandbox_id(record.pod_id());
  *item.mutable_metadata() = config.metadata();
  *item.mutable_image() = config.image();
  item.set_image_ref(record.image_ref());
  item.set_image_id(record.image_id());
  item.set_state(StateOf(record));
  item.set_created_at(record.created_at_ns());
  *item.mutable_labels() = config.labels();
  *item.mutable_annotations() = config.annotations();
  return item;
}

std::vector<::runtime::v1::Container> List(const Core& core, const ::runtime::v1::ContainerFilter& filter) {
  std::vector<::runtime::v1::Container> result;
  for (const auto& record : core.store.Containers()) {
    if (Matches(filter, *record)) result.push_back(ListItem(*record));
  }
  return result;
}

}  // namespace wherry::container
