#include "cri/network/network.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <spdlog/spdlog.h>
#include <sys/vfs.h>

#include <algorithm>

#include "api/cni/config.h"
#include "api/cni/result.h"
#include "api/cni/version.h"
#include "cri/network/cache.h"
#include "cri/network/capabilities.h"
#include "cri/network/config_dir.h"
#include "cri/network/ended_links.h"
#include "cri/network/plugin.h"
#include "cri/network/status_probe.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::network {
namespace {

constexpr char kVersionOfStatus[] = "1.1.0";  // and of GC
constexpr std::chrono::seconds kStatusTimeout(5);

std::string Args(const PodNetwork& pod) {
  return absl::StrCat("IgnoreUnknown=1;K8S_POD_NAMESPACE=", pod.k8s_namespace, ";K8S_POD_NAME=", pod.name,
                      ";K8S_POD_INFRA_CONTAINER_ID=", pod.pod_id, ";K8S_POD_UID=", pod.uid);
}

// The specification lets CNI_NETNS be empty at DEL when the namespace is gone. Many plugins fail when it is a path to
// nothing, or to the plain file that a pin becomes once its mount is lost, and the address would never be released.
std::string PathIfNamespace(const std::string& path) {
  auto file = sys::OpenAt(AT_FDCWD, path, O_RDONLY | O_NONBLOCK);
  struct statfs fs {};
  return file.ok() && ::fstatfs(file->get(), &fs) == 0 && fs.f_type == NSFS_MAGIC ? path : std::string();
}

// Plugins of a chain may report addresses of other interfaces too: of the host's end, or of a second one in the pod.
bool IsOfEth0(const cni::Result& result, const cni::IpConfig& ip) {
  if (!ip.interface || *ip.interface >= result.interfaces.size()) return true;
  const cni::Interface& interface = result.interfaces[*ip.interface];
  return interface.name == "eth0" && !interface.sandbox.empty();
}

// Documents of plugins are no business of the client, whose request is fine.
absl::Status Internal(const absl::Status& status, absl::string_view context) {
  return absl::InternalError(absl::StrCat(context, ": ", status.message()));
}

absl::StatusOr<cni::Result> ReadResult(const std::string& document, const Loaded& loaded, size_t plugin) {
  auto result = cni::ParseResult(document, loaded.list.version);
  if (result.ok()) return result;
  return Internal(result.status(), absl::StrCat("result of CNI plugin \"", loaded.list.plugins[plugin].type, "\""));
}

absl::StatusOr<Addresses> AddressesIn(const cni::Result& result, const std::string& network) {
  Addresses out;
  for (const cni::IpConfig& ip : result.ips)
    if (IsOfEth0(result, ip)) out.ips.push_back(ip.address.address.ToString());
  if (out.ips.empty())
    return absl::InternalError(absl::StrCat("network \"", network, "\" gave the pod no address on eth0"));
  return out;
}

class Caller final : public Network {
 public:
  explicit Caller(const Options& options)
      : timeout_(options.timeout_seconds),
        configs_(options.conf_dir),
        cache_(options.cache_dir),
        plugins_(options.bin_dirs),
        status_([this](const Loaded& loaded) { return AskStatus(loaded); },
                std::chrono::seconds(options.status_seconds)) {}

  Readiness Ready() override;
  std::string network_name() const override {
    auto loaded = configs_.Current();
    return loaded.ok() ? (*loaded)->list.name : std::string();
  }
  absl::StatusOr<Addresses> Add(const PodNetwork& pod) override;
  absl::Status Remove(const PodNetwork& pod) override;
  absl::Status Collect() override;
  std::vector<std::string> Attached(const std::string& netns_dir) const override {
    return cache_.Containers(netns_dir);
  }

 private:
  // What all calls of one chain have in common.
  struct Chain {
    const Loaded& loaded;
    const CacheEntry& entry;
    std::string netns;
  };
  absl::Status CheckPlugins(const Loaded& loaded) const;
  absl::StatusOr<Addresses> AddAndRecord(const Loaded& loaded, CacheEntry& entry);
  absl::Status DeleteChain(const Chain& chain);
  absl::Status CallForNetwork(const char* command, const Loaded& loaded, const std::vector<cni::Attachment>* valid,
                              Clock::time_point deadline);
  absl::Status AskStatus(const Loaded& loaded) {
    return CallForNetwork("STATUS", loaded, nullptr, Clock::now() + kStatusTimeout);
  }
  absl::StatusOr<std::string> Call(const char* command, const Chain& chain, size_t plugin, const std::string& previous,
                                   Clock::time_point deadline);
  absl::StatusOr<std::shared_ptr<const Loaded>> ConfigOf(const CacheEntry& entry);

  const std::chrono::seconds timeout_;
  mutable ConfigDir configs_;
  const ResultCache cache_;
  Plugins plugins_;
  EndedLinks ended_;
  StatusProbe status_;  // last: its thread uses the others
};

absl::Status Caller::CheckPlugins(const Loaded& loaded) const {
  for (const auto& plugin : loaded.list.plugins) RETURN_IF_ERROR(plugins_.Find(plugin.type).status());
  return absl::OkStatus();
}

// STATUS and GC are about the network, not about a pod.
absl::Status Caller::CallForNetwork(const char* command, const Loaded& loaded,
                                    const std::vector<cni::Attachment>* valid, Clock::time_point deadline) {
  absl::Status first;
  for (const cni::PluginConfig& plugin : loaded.list.plugins) {
    cni::RequestParameters parameters;
    parameters.valid_attachments = valid;
    auto request = cni::MakeRequest(loaded.list, plugin, parameters);
    if (!request.ok()) return Internal(request.status(), absl::StrCat("request to plugin \"", plugin.type, "\""));
    first.Update(plugins_.Run(plugin.type, {command, "", "", "", *std::move(request)}, deadline).status());
  }
  return first;
}

Readiness Caller::Ready() {
  auto loaded = configs_.Current();
  absl::Status status = loaded.ok() ? CheckPlugins(**loaded) : loaded.status();
  if (status.ok() && cni::VersionAtLeast((*loaded)->list.version, kVersionOfStatus)) status = status_.Last(*loaded);
  if (!status.ok()) return {false, "NetworkPluginNotReady", std::string(status.message())};
  return {true, "", ""};
}

absl::Status Caller::Collect() {
  ASSIGN_OR_RETURN(std::shared_ptr<const Loaded> loaded, configs_.Current());
  const cni::ConfigList& list = loaded->list;
  if (list.disable_gc || !cni::VersionAtLeast(list.version, kVersionOfStatus)) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::vector<cni::Attachment> valid, cache_.Attachments(list.name));
  return CallForNetwork("GC", *loaded, &valid, Clock::now() + timeout_);
}

absl::StatusOr<std::string> Caller::Call(const char* command, const Chain& chain, size_t plugin,
                                         const std::string& previous, Clock::time_point deadline) {
  const cni::ConfigList& list = chain.loaded.list;
  cni::RequestParameters parameters;
  parameters.runtime_config = chain.entry.capabilities;
  parameters.prev_result = previous;
  PluginCall call{command, chain.entry.container_id, chain.netns, chain.entry.args, ""};
  auto request = cni::MakeRequest(list, list.plugins[plugin], parameters);
  if (!request.ok())
    return Internal(request.status(), absl::StrCat("request to plugin \"", list.plugins[plugin].type, "\""));
  call.config = *std::move(request);
  return plugins_.Run(list.plugins[plugin].type, call, deadline);
}

absl::StatusOr<Addresses> Caller::AddAndRecord(const Loaded& loaded, CacheEntry& entry) {
  const Clock::time_point deadline = Clock::now() + timeout_;
  std::string document;
  cni::Result result;
  for (size_t i = 0; i < loaded.list.plugins.size(); ++i) {
    ASSIGN_OR_RETURN(document, Call("ADD", {loaded, entry, entry.netns}, i, document, deadline));
    ASSIGN_OR_RETURN(result, ReadResult(document, loaded, i));
  }
  ASSIGN_OR_RETURN(Addresses addresses, AddressesIn(result, loaded.list.name));
  entry.result = document;
  RETURN_IF_ERROR_CTX(cache_.Put(entry), "CNI result cache");
  return addresses;
}

// All plugins are asked, whatever the others say (specification, section 3): the first failure is returned. A plugin that
// hangs leaves the others their share of the time.
absl::Status Caller::DeleteChain(const Chain& chain) {
  const Clock::time_point deadline = Clock::now() + timeout_;
  const bool knows_previous = cni::VersionAtLeast(chain.loaded.list.version, "0.4.0");
  absl::Status status;
  for (size_t i = chain.loaded.list.plugins.size(); i-- > 0;) {
    const Clock::time_point now = Clock::now();
    const Clock::time_point turn = now + std::max(deadline - now, Clock::duration::zero()) / static_cast<int>(i + 1);
    status.Update(Call("DEL", chain, i, knows_previous ? chain.entry.result : "", turn).status());
  }
  return status;
}

absl::StatusOr<Addresses> Caller::Add(const PodNetwork& pod) {
  ASSIGN_OR_RETURN(std::shared_ptr<const Loaded> loaded, configs_.Current());
  // Seen before anything is done: nothing has to be undone then.
  RETURN_IF_ERROR(CheckPlugins(*loaded));
  ASSIGN_OR_RETURN(Capabilities capabilities, CapabilitiesOf(pod, loaded->list));
  CacheEntry entry{loaded->list.name, pod.pod_id, pod.netns_path, loaded->text, loaded->single, Args(pod),
                   capabilities,      "",         false};
  RETURN_IF_ERROR_CTX(cache_.Put(entry), "CNI result cache");  // the intent: after a crash DEL knows what was begun
  auto addresses = AddAndRecord(*loaded, entry);
  if (addresses.ok()) return addresses;
  absl::Status undone = DeleteChain({*loaded, entry, PathIfNamespace(entry.netns)});
  if (undone.ok()) undone = cache_.Remove(entry);
  if (undone.ok()) return addresses;
  return absl::Status(addresses.status().code(),
                      absl::StrCat(addresses.status().message(), " (and undoing it: ", undone.message(), ")"));
}

// A damaged entry still tells that the pod was in that network: the configuration in use is the best that is left.
absl::StatusOr<std::shared_ptr<const Loaded>> Caller::ConfigOf(const CacheEntry& entry) {
  absl::StatusOr<std::shared_ptr<const Loaded>> cached = absl::DataLossError("damaged");
  if (!entry.damaged) cached = ParseConfig(entry.config, entry.single);
  if (cached.ok()) return cached;
  spdlog::warn("result cache of pod sandbox {} in network {}: {}; DEL uses the present configuration",
               entry.container_id, entry.network, std::string(cached.status().message()));
  return configs_.Current();
}

absl::Status Caller::Remove(const PodNetwork& pod) {
  ASSIGN_OR_RETURN(std::vector<CacheEntry> entries, cache_.Find(pod.pod_id));
  const std::string netns = entries.empty() ? "" : PathIfNamespace(pod.netns_path);
  absl::Status result;
  for (CacheEntry& entry : entries) {
    if (entry.damaged) entry.args = Args(pod);
    auto loaded = ConfigOf(entry);
    absl::Status status = loaded.ok() ? DeleteChain({**loaded, entry, netns}) : loaded.status();
    if (status.ok()) status = cache_.Remove(entry);
    result.Update(status);
  }
  if (!entries.empty()) ended_.Expect();
  return result;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Network>> Network::Create(const Options& options) {
  return std::unique_ptr<Network>(std::make_unique<Caller>(options));
}

}  // namespace wherry::network
