#include "cri/network/network.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <spdlog/spdlog.h>
#include <sys/vfs.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>

#include "api/cni/config.h"
#include "api/cni/result.h"
#include "api/cni/version.h"
#include "cri/network/cache.h"
#include "cri/network/capabilities.h"
#include "cri/network/config_dir.h"
#include "cri/network/ended_links.h"
#include "cri/network/plugin.h"
#include "cri/network/pod_cidrs.h"
#include "cri/network/status_probe.h"
#include "cri/network/turns.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

namespace wherry::network {
namespace {

constexpr char kVersionOfCheck[] = "0.4.0";
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

// A pod has its addresses from its first network. Of others it is enough that they said yes.
absl::StatusOr<Addresses> AddressesIn(const cni::Result& result, const CacheEntry& entry) {
  Addresses out;
  if (entry.ifname != "eth0") return out;
  for (const cni::IpConfig& ip : result.ips)
    if (IsOfEth0(result, ip)) out.ips.push_back(ip.address.address.ToString());
  if (out.ips.empty())
    return absl::InternalError(absl::StrCat("network \"", entry.network, "\" gave the pod no address on eth0"));
  return out;
}

class Caller final : public Network {
 public:
  explicit Caller(const Options& options)
      : timeout_(options.timeout_seconds),
        configs_(options.conf_dir, static_cast<size_t>(options.max_networks)),
        cache_(options.cache_dir),
        plugins_(options.bin_dirs),
        pod_cidrs_(options.pod_cidr_file),
        status_([this](const ConfigDir::Networks& networks) { return AskStatus(networks); },
                std::chrono::seconds(options.status_seconds)) {}
  ~Caller() override;

  Readiness Ready() override;
  std::string network_name() const override {
    auto loaded = configs_.Current();
    return loaded.ok() ? (*loaded)->list.name : std::string();
  }
  absl::StatusOr<Addresses> Add(const PodNetwork& pod) override;
  absl::Status Remove(const PodNetwork& pod) override;
  absl::Status Check(const std::string& pod_id) override;
  void LookAfterAll(const std::string& netns_dir) override;
  absl::Status SetPodCidrs(const std::string& text) override { return pod_cidrs_.Set(text); }
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
  absl::Status CheckPlugins(const ConfigDir::Networks& networks) const;
  absl::StatusOr<Addresses> AddTo(const std::shared_ptr<const Loaded>& loaded, const PodNetwork& pod, size_t index);
  absl::StatusOr<Addresses> AddAndRecord(const Loaded& loaded, CacheEntry& entry);
  absl::Status DeleteChain(const Chain& chain);
  absl::Status RemoveAll(const PodNetwork& pod);
  absl::Status CheckChain(const Chain& chain);
  absl::Status CollectAll();
  void CheckAll(const std::string& netns_dir);
  absl::Status CallForNetwork(const char* command, const Loaded& loaded, const std::vector<cni::Attachment>* valid,
                              Clock::time_point deadline);
  absl::Status AskStatus(const ConfigDir::Networks& networks);
  absl::StatusOr<std::string> Call(const char* command, const Chain& chain, size_t plugin, const std::string& previous,
                                   Clock::time_point deadline);
  absl::StatusOr<std::shared_ptr<const Loaded>> ConfigOf(const CacheEntry& entry);

  const std::chrono::seconds timeout_;
  mutable ConfigDir configs_;
  const ResultCache cache_;
  Plugins plugins_;
  EndedLinks ended_;
  PodCidrs pod_cidrs_;
  Turns turns_;  // no two operations of one pod at once, none during GC (specification, section 2)
  std::atomic<bool> ending_ = false;
  std::optional<Turns::All> collecting_;
  std::thread looking_after_;
  StatusProbe status_;  // last: its thread uses the others
};

Caller::~Caller() {
  ending_ = true;
  if (looking_after_.joinable()) looking_after_.join();
}

absl::Status Caller::CheckPlugins(const ConfigDir::Networks& networks) const {
  for (const auto& loaded : networks)
    for (const auto& plugin : loaded->list.plugins) RETURN_IF_ERROR(plugins_.Find(plugin.type).status());
  return absl::OkStatus();
}

// STATUS and GC are about the network, not about a pod: no plugin waits for another's answer, so all are asked at once.
absl::Status Caller::CallForNetwork(const char* command, const Loaded& loaded,
                                    const std::vector<cni::Attachment>* valid, Clock::time_point deadline) {
  std::vector<absl::Status> answers(loaded.list.plugins.size());
  std::vector<std::thread> asking;
  asking.reserve(answers.size());
  for (size_t i = 0; i < answers.size(); ++i) {
    const std::string& type = loaded.list.plugins[i].type;
    cni::RequestParameters parameters;
    parameters.valid_attachments = valid;
    auto request = cni::MakeRequest(loaded.list, loaded.list.plugins[i], parameters);
    if (!request.ok()) {
      answers[i] = Internal(request.status(), absl::StrCat("request to plugin \"", type, "\""));
      continue;
    }
    asking.emplace_back(
        [this, &answer = answers[i], &type, deadline, call = PluginCall{command, "", "", "", "", *std::move(request)}] {
          answer = plugins_.Run(type, call, deadline).status();
        });
  }
  for (std::thread& thread : asking) thread.join();
  absl::Status first;
  for (const absl::Status& answer : answers) first.Update(answer);
  return first;
}

absl::Status Caller::AskStatus(const ConfigDir::Networks& networks) {
  const Clock::time_point deadline = Clock::now() + kStatusTimeout;
  absl::Status first;
  for (const auto& loaded : networks) {
    if (cni::VersionAtLeast(loaded->list.version, kVersionOfStatus))
      first.Update(CallForNetwork("STATUS", *loaded, nullptr, deadline));
  }
  return first;
}

Readiness Caller::Ready() {
  auto networks = configs_.All();
  absl::Status status = networks.ok() ? CheckPlugins(*networks) : networks.status();
  const auto knows = [](const auto& loaded) { return cni::VersionAtLeast(loaded->list.version, kVersionOfStatus); };
  if (status.ok() && std::any_of(networks->begin(), networks->end(), knows)) status = status_.Last(*networks);
  if (!status.ok()) return {false, "NetworkPluginNotReady", std::string(status.message())};
  return {true, "", ""};
}

absl::Status Caller::Collect() {
  const Turns::All turn(turns_);
  turn.WaitForOthers();
  return CollectAll();
}

absl::Status Caller::CollectAll() {
  ASSIGN_OR_RETURN(const ConfigDir::Networks networks, configs_.All());
  absl::Status first;
  for (const auto& loaded : networks) {
    const cni::ConfigList& list = loaded->list;
    if (list.disable_gc || !cni::VersionAtLeast(list.version, kVersionOfStatus)) continue;
    auto valid = cache_.Attachments(list.name);
    first.Update(valid.ok() ? CallForNetwork("GC", *loaded, &*valid, Clock::now() + timeout_) : valid.status());
  }
  return first;
}

absl::StatusOr<std::string> Caller::Call(const char* command, const Chain& chain, size_t plugin,
                                         const std::string& previous, Clock::time_point deadline) {
  const cni::ConfigList& list = chain.loaded.list;
  cni::RequestParameters parameters;
  parameters.runtime_config = chain.entry.capabilities;
  parameters.prev_result = previous;
  PluginCall call{command, chain.entry.container_id, chain.netns, chain.entry.ifname, chain.entry.args, ""};
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
  ASSIGN_OR_RETURN(Addresses addresses, AddressesIn(result, entry));
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

absl::StatusOr<Addresses> Caller::AddTo(const std::shared_ptr<const Loaded>& loaded, const PodNetwork& pod,
                                        size_t index) {
  ASSIGN_OR_RETURN(Capabilities capabilities, CapabilitiesOf(pod, loaded->list));
  CacheEntry entry;
  entry.network = loaded->list.name;
  entry.container_id = pod.pod_id;
  entry.ifname = absl::StrCat("eth", index);
  entry.netns = pod.netns_path;
  entry.config = loaded->text;
  entry.single = loaded->single;
  entry.args = Args(pod);
  entry.capabilities = std::move(capabilities);
  RETURN_IF_ERROR_CTX(cache_.Put(entry), "CNI result cache");  // the intent: after a crash DEL knows what was begun
  return AddAndRecord(*loaded, entry);
}

absl::StatusOr<Addresses> Caller::Add(const PodNetwork& request) {
  const Turns::Turn turn(turns_, request.pod_id);
  ASSIGN_OR_RETURN(const ConfigDir::Networks networks, configs_.All());
  // Seen before anything is done: nothing has to be undone then.
  RETURN_IF_ERROR(CheckPlugins(networks));
  PodNetwork pod = request;
  pod.pod_cidrs = pod_cidrs_.Get();
  Addresses out;
  for (size_t i = 0; i < networks.size(); ++i) {
    auto addresses = AddTo(networks[i], pod, i);
    if (addresses.ok()) {
      if (i == 0) out = *std::move(addresses);
      continue;
    }
    const absl::Status undone = RemoveAll(pod);
    if (undone.ok()) return addresses.status();
    return absl::Status(addresses.status().code(),
                        absl::StrCat(addresses.status().message(), " (and undoing it: ", undone.message(), ")"));
  }
  return out;
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
  const Turns::Turn turn(turns_, pod.pod_id);
  return RemoveAll(pod);
}

absl::Status Caller::RemoveAll(const PodNetwork& pod) {
  ASSIGN_OR_RETURN(std::vector<CacheEntry> entries, cache_.Find(pod.pod_id));
  std::sort(entries.begin(), entries.end(),
            [](const CacheEntry& a, const CacheEntry& b) { return a.ifname > b.ifname; });
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

absl::Status Caller::CheckChain(const Chain& chain) {
  const cni::ConfigList& list = chain.loaded.list;
  if (list.disable_check || !cni::VersionAtLeast(list.version, kVersionOfCheck)) return absl::OkStatus();
  const Clock::time_point deadline = Clock::now() + timeout_;
  for (size_t i = 0; i < list.plugins.size(); ++i)
    RETURN_IF_ERROR(Call("CHECK", chain, i, chain.entry.result, deadline).status());
  return absl::OkStatus();
}

absl::Status Caller::Check(const std::string& pod_id) {
  const Turns::Turn turn(turns_, pod_id);
  ASSIGN_OR_RETURN(const std::vector<CacheEntry> entries, cache_.Find(pod_id));
  absl::Status first;
  for (const CacheEntry& entry : entries) {
    if (entry.damaged || entry.result.empty()) continue;  // ADD has not ended, or nobody knows how
    ASSIGN_OR_RETURN(const std::shared_ptr<const Loaded> loaded, ConfigOf(entry));
    first.Update(CheckChain({*loaded, entry, entry.netns}));
  }
  return first;
}

void Caller::CheckAll(const std::string& netns_dir) {
  for (const std::string& id : Attached(netns_dir)) {
    if (ending_) return;
    // Of a pod that ended with the last boot, and is being stopped, nothing is as it was.
    if (PathIfNamespace(absl::StrCat(netns_dir, "/", id)).empty()) continue;
    if (absl::Status status = Check(id); !status.ok())
      spdlog::warn("network of pod sandbox {}: {}", id, std::string(status.message()));
  }
}

void Caller::LookAfterAll(const std::string& netns_dir) {
  collecting_.emplace(turns_);
  looking_after_ = std::thread([this, netns_dir] {
    collecting_->WaitForOthers();
    if (absl::Status status = CollectAll(); !status.ok()) spdlog::warn("CNI GC: {}", std::string(status.message()));
    collecting_.reset();
    CheckAll(netns_dir);
  });
}

}  // namespace

absl::StatusOr<std::unique_ptr<Network>> Network::Create(const Options& options) {
  return std::unique_ptr<Network>(std::make_unique<Caller>(options));
}

}  // namespace wherry::network
