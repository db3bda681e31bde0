#include "cri/container/service.h"

#include "cri/container/core.h"
#include "cri/container/view.h"

namespace wherry::container {

Service::Service(const Dependencies& dependencies) : core_(std::make_unique<Core>(dependencies)) {}
Service::~Service() = default;

absl::StatusOr<std::string> Service::Create(const ::runtime::v1::CreateContainerRequest& request) {
  return container::Create(*core_, request);
}
absl::Status Service::Start(const std::string& id) { return container::Start(*core_, id); }
absl::Status Service::Stop(const std::string& id, absl::Duration timeout) {
  return container::Stop(*core_, id, timeout);
}
absl::Status Service::Remove(const std::string& id) { return container::Remove(*core_, id); }
absl::StatusOr<::runtime::v1::ContainerStatusResponse> Service::Status(const std::string& id, bool verbose) const {
  return container::Status(*core_, id, verbose);
}
std::vector<::runtime::v1::Container> Service::List(const ::runtime::v1::ContainerFilter& filter) const {
  return container::List(*core_, filter);
}
std::vector<::runtime::v1::ContainerStatus> Service::StatusesOf(const std::string& pod_id) const {
  return container::StatusesOf(*core_, pod_id);
}
absl::StatusOr<::runtime::v1::ExecSyncResponse> Service::ExecSync(const ::runtime::v1::ExecSyncRequest& request,
                                                                  absl::FunctionRef<bool()> abandoned) {
  return container::ExecSync(*core_, request, abandoned);
}
absl::StatusOr<std::unique_ptr<streaming::Process>> Service::Exec(const std::string& id,
                                                                  const std::vector<std::string>& command,
                                                                  streaming::Streams streams) {
  return container::Exec(*core_, id, command, streams);
}
absl::StatusOr<std::unique_ptr<streaming::Process>> Service::Attach(const std::string& id, streaming::Streams streams) {
  return container::Attach(*core_, id, streams);
}
absl::Status Service::UpdateResources(const ::runtime::v1::UpdateContainerResourcesRequest& request) {
  return container::UpdateResources(*core_, request);
}
absl::Status Service::ReopenLog(const std::string& id) { return container::ReopenLog(*core_, id); }

}  // namespace wherry::container
