#include "cri/pod/service.h"

#include "cri/pod/core.h"

namespace wherry::pod {

Service::Service(const container::Dependencies&, network::Network& network, container::Service& containers)
    : core_(std::make_unique<Core>(network, containers.core())) {}
Service::~Service() = default;

absl::Status Service::Recover() { return pod::Recover(*core_); }
void Service::FinishInterrupted() { pod::FinishInterrupted(*core_); }
absl::StatusOr<std::string> Service::Run(const ::runtime::v1::RunPodSandboxRequest& request) {
  return pod::Run(*core_, request);
}
absl::Status Service::Stop(const std::string& id) { return pod::Stop(*core_, id); }
absl::Status Service::Remove(const std::string& id) { return pod::Remove(*core_, id); }
absl::Status Service::UpdateResources(const ::runtime::v1::UpdatePodSandboxResourcesRequest& request) {
  return pod::UpdateResources(*core_, request);
}
absl::StatusOr<sys::UniqueFd> Service::Connect(const std::string& id, uint16_t port) {
  return pod::Connect(*core_, id, port);
}
absl::StatusOr<std::unique_ptr<Subscription>> Service::Subscribe() { return core_->life_events.Subscribe(); }
void Service::EndSubscriptions() { core_->life_events.Close(); }

}  // namespace wherry::pod
