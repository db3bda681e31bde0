#include "cri/network/network.h"

#include <nlohmann/json.hpp>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "api/cni/config.h"
#include "api/cni/result.h"
#include "cri/network/cache.h"
#include "cri/network/config_dir.h"
#include "cri/network/plugin.h"
#include "runtime/sys/status.h"

namespace wherry::network {
namespace {

std::string Args(const PodNetwork& pod) {
  return absl::StrCat("IgnoreUnknown=1;K8S_POD_NAMESPACE=", pod.k8s_namespace, ";K8S_POD_NAME=", pod.name,
                      ";K8S_POD_INFRA_CONTAINER_ID=", pod.pod_id, ";K8S_POD_UID=", pod.uid);
}

// Mappings without a host port are the kubelet's way to name a container's port; no plugin has to do with them.
std::string PortMappings(const PodNetwork& pod) {
  nlohmann::json out = nlohmann::json::array();
  for (const PortMapping& m : pod.port_mappings) {
    if (m.host_port <= 0) continue;
    out.push_back({{"hostPort", m.host_port},
                   {"containerPort", m.container_port},
                   {"protocol", m.protocol},
                   {"hostIP", m.host_ip}});
  }
  return out.empty() ? std::string() : out.dump();
}

class Caller final : public Network {
 public:
  explicit Caller(const Options& options) : options_(options), configs_(options.conf_dir), cache_(options.cache_dir) {}

  Readiness Ready() const override;
  std::string network_name() const override {
    auto loaded = configs_.Current();
    return loaded.ok() ? (*loaded)->list.name : std::string();
  }
  absl::StatusOr<Addresses> Add(const PodNetwork& pod) override;
  absl::Status Remove(const PodNetwork& pod) override;

 private:
  absl::StatusOr<std::string> AddChain(const PodNetwork& pod, const Loaded& loaded, const std::string& args);
  absl::Status DeleteChain(const PodNetwork& pod, const Loaded& loaded, const CacheEntry& entry);
  absl::StatusOr<std::string> Call(const char* command, const PodNetwork& pod, const Loaded& loaded, size_t plugin,
                                   const std::string& args, const std::string& previous);

  const Options options_;
  mutable ConfigDir configs_;
  const ResultCache cache_;
};

Readiness Caller::Ready() const {
  auto loaded = configs_.Current();
  if (!loaded.ok()) return {false, "NetworkPluginNotReady", std::string(loaded.status().message())};
  for (const auto& plugin : (*loaded)->list.plugins)
    if (auto found = FindPlugin(options_.bin_dirs, plugin.type); !found.ok())
      return {false, "NetworkPluginNotReady", std::string(found.status().message())};
  return {true, "", ""};
}

absl::StatusOr<std::string> Caller::Call(const char* command, const PodNetwork& pod, const Loaded& loaded,
                                         size_t plugin, const std::string& args, const std::string& previous) {
  cni::RequestParameters parameters;
  if (std::string ports = PortMappings(pod); !ports.empty()) parameters.runtime_config["portMappings"] = ports;
  parameters.prev_result = previous;
  PluginCall call{command, pod.pod_id, pod.netns_path, args, ""};
  ASSIGN_OR_RETURN(call.config, cni::MakeRequest(loaded.list, loaded.list.plugins[plugin], parameters));
  return RunPlugin(options_.bin_dirs, loaded.list.plugins[plugin].type, call,
                   absl::Now() + absl::Seconds(options_.timeout_seconds));
}

absl::StatusOr<std::string> Caller::AddChain(const PodNetwork& pod, const Loaded& loaded, const std::string& args) {
  std::string result;
  for (size_t i = 0; i < loaded.list.plugins.size(); ++i) {
    ASSIGN_OR_RETURN(result, Call("ADD", pod, loaded, i, args, result));
  }
  return result;
}

// All plugins are asked, whatever the others say (specification, section 3): the first failure is returned.
absl::Status Caller::DeleteChain(const PodNetwork& pod, const Loaded& loaded, const CacheEntry& entry) {
  absl::Status status;
  for (size_t i = loaded.list.plugins.size(); i-- > 0;)
    status.Update(Call("DEL", pod, loaded, i, entry.args, entry.result).status());
  return status;
}

absl::StatusOr<Addresses> Caller::Add(const PodNetwork& pod) {
  ASSIGN_OR_RETURN(std::shared_ptr<const Loaded> loaded, configs_.Current());
  // Seen before anything is done: nothing has to be undone then.
  for (const auto& plugin : loaded->list.plugins) RETURN_IF_ERROR(FindPlugin(options_.bin_dirs, plugin.type).status());
  CacheEntry entry{loaded->list.name, pod.pod_id, loaded->text, loaded->single, Args(pod), ""};
  RETURN_IF_ERROR(cache_.Put(entry));  // the intent: after a crash DEL knows what was begun
  auto result = AddChain(pod, *loaded, entry.args);
  absl::StatusOr<cni::Result> parsed = result.ok() ? cni::ParseResult(*result, loaded->list.version) : result.status();
  if (parsed.ok()) {
    entry.result = *result;
    parsed = cache_.Put(entry).ok() ? std::move(parsed) : absl::InternalError("cannot write the CNI result cache");
  }
  if (!parsed.ok()) {
    absl::Status undone = DeleteChain(pod, *loaded, entry);
    if (undone.ok()) undone = cache_.Remove(entry);
    if (undone.ok()) return parsed.status();
    return absl::Status(parsed.status().code(),
                        absl::StrCat(parsed.status().message(), " (and undoing it: ", undone.message(), ")"));
  }
  Addresses out;
  for (const cni::IpConfig& ip : parsed->ips) out.ips.push_back(ip.address.address.ToString());
  return out;
}

absl::Status Caller::Remove(const PodNetwork& pod) {
  ASSIGN_OR_RETURN(std::vector<CacheEntry> entries, cache_.Find(pod.pod_id));
  for (const CacheEntry& entry : entries) {
    ASSIGN_OR_RETURN_CTX(std::shared_ptr<const Loaded> loaded, ParseConfig(entry.config, entry.single),
                         absl::StrCat("cached configuration of network ", entry.network));
    RETURN_IF_ERROR(DeleteChain(pod, *loaded, entry));
    RETURN_IF_ERROR(cache_.Remove(entry));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Network>> Network::Create(const Options& options) {
  return std::unique_ptr<Network>(std::make_unique<Caller>(options));
}

}  // namespace wherry::network
