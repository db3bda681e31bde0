#include <nlohmann/json.hpp>

#include "cri/config/config.h"
#include "cri/container/core.h"
#include "cri/network/network.h"
#include "cri/server/runtime_service.h"
#include "runtime/apparmor/apparmor.h"

// The node's readiness as the runtime sees it, asked every few seconds.
namespace wherry::server {
namespace {

void AddCondition(cri::RuntimeStatus* status, const std::string& type, const network::Readiness& readiness) {
  cri::RuntimeCondition* condition = status->add_conditions();
  condition->set_type(type);
  condition->set_status(readiness.ready);
  condition->set_reason(readiness.reason);
  condition->set_message(readiness.message);
}

// One entry for each handler that RunPodSandbox takes; "" is what pods without a RuntimeClass ask for.
void AddHandler(const std::string& name, const container::HostFacts& host, cri::StatusResponse* response) {
  cri::RuntimeHandler* handler = response->add_runtime_handlers();
  handler->set_name(name);
  handler->mutable_features()->set_recursive_read_only_mounts(host.recursive_read_only);
  handler->mutable_features()->set_user_namespaces(host.user_namespaces.ok());
}

void AddHandlers(const config::Config& config, const container::HostFacts& host, cri::StatusResponse* response) {
  AddHandler("", host, response);
  for (const auto& [name, handler] : config.handlers) AddHandler(name, host, response);
  response->mutable_features()->set_supplemental_groups_policy(true);
  // Host network or not: sysfs is mounted before the container's user namespace is entered.
  response->mutable_features()->set_user_namespaces_host_network(host.user_namespaces.ok());
}

// Which security modules' labels containers can be given, and why not.
nlohmann::json DescribeSecurity(const container::HostFacts& host) {
  const absl::Status& apparmor = host.apparmor.ok() ? host.apparmor_default : host.apparmor;
  return {{"apparmor",
           {{"enabled", host.apparmor.ok()},
            {"default_profile", apparmor.ok() ? apparmor::kDefaultProfile : ""},
            {"message", std::string(apparmor.message())}}},
          {"selinux",
           {{"enabled", host.selinux.ok()},
            {"process", host.selinux_labels.process},
            {"file", host.selinux_labels.file},
            {"message", std::string(host.selinux.message())}}}};
}

std::string Describe(const config::Config& config, const container::HostFacts& host, const std::string& cgroup_layout) {
  nlohmann::json handlers = nlohmann::json::object();
  for (const auto& [name, handler] : config.handlers)
    handlers[name] = {{"privileged_without_host_devices", handler.privileged_without_host_devices},
                      {"pids_limit", handler.pids_limit},
                      {"memory_limit_bytes", handler.memory_limit_bytes}};
  nlohmann::json json = {
      {"root", config.root},
      {"state", config.state},
      {"socket", config.socket},
      {"cdi", {{"spec_dirs", config.cdi.spec_dirs}}},
      {"handlers", std::move(handlers)},
      {"security", DescribeSecurity(host)},
      {"streaming",
       {{"address", config.streaming.address},
        {"port", config.streaming.port},
        {"tls", !config.streaming.tls_cert_file.empty()}}},
      {"cgroup",
       {{"layout", cgroup_layout},
        {"driver", config.cgroup_driver == config::CgroupDriver::kSystemd ? "systemd" : "cgroupfs"},
        {"parent", config.cgroup_parent}}},
      {"cni",
       {{"conf_dir", config.cni.conf_dir}, {"bin_dirs", config.cni.bin_dirs}, {"cache_dir", config.cni.cache_dir}}},
  };
  return json.dump();
}

}  // namespace

grpc::Status RuntimeService::Status(grpc::ServerContext*, const cri::StatusRequest* request,
                                    cri::StatusResponse* response) {
  return edge_.Serve({"Status", Kind::kRead, ""}, [&] {
    // Recovery comes before the first request: who can ask has a working runtime.
    AddCondition(response->mutable_status(), "RuntimeReady", {true, "", ""});
    const network::Readiness network = backends_.network.Ready();
    AddCondition(response->mutable_status(), "NetworkReady", network);
    AddHandlers(backends_.config, backends_.containers.core().host, response);
    if (request->verbose()) {
      auto& info = *response->mutable_info();
      info["config"] = Describe(backends_.config, backends_.containers.core().host, backends_.cgroup_layout);
      info["cni"] =
          nlohmann::json{
              {"network", backends_.network.network_name()}, {"ready", network.ready}, {"message", network.message}}
              .dump();
      info["version"] = nlohmann::json{{"wherry", WHERRY_VERSION}}.dump();
    }
    return absl::OkStatus();
  });
}

}  // namespace wherry::server
