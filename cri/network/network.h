#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

// The CNI caller: finds the network configuration, runs its plugins, keeps their results (CNI specification 1.1.0).
namespace wherry::network {

struct PortMapping {
  std::string protocol;  // "tcp" | "udp" | "sctp"
  int32_t container_port = 0, host_port = 0;
  std::string host_ip;
};

// What a plugin is told of a pod.
struct PodNetwork {
  std::string pod_id;                    // CNI_CONTAINERID
  std::string netns_path;                // CNI_NETNS; may be gone at Remove
  std::string name, uid, k8s_namespace;  // K8S_POD_* in CNI_ARGS
  std::string cgroup_path;
  std::vector<PortMapping> port_mappings;
  std::vector<std::string> dns_servers, dns_searches, dns_options;
  std::map<std::string, std::string> annotations;
  std::vector<std::string> pod_cidrs{};  // the node's; filled in by the caller of the plugins
};

struct Addresses {
  std::vector<std::string> ips;  // of eth0, without prefix length, in the plugin's order; never empty
};

struct Readiness {
  bool ready = false;
  std::string reason;   // CamelCase, e.g. "NetworkPluginNotReady"
  std::string message;  // what is missing and where it was looked for
};

// Thread-safe; no lock is held while a plugin runs.
class Network {
 public:
  struct Options {
    std::string conf_dir, cache_dir;
    std::vector<std::string> bin_dirs;
    int timeout_seconds = 60;  // for all plugins of one ADD or DEL together; then the running one is killed
    int status_seconds = 5;    // how long an answer to STATUS counts before the plugins are asked again
    int max_networks =
        1;  // the first so many configurations are all in use: eth0, eth1 …; a pod's addresses are those of eth0
    std::string pod_cidr_file{};  // where SetPodCidrs is remembered; empty: nowhere
  };
  // conf_dir may not exist yet.
  static absl::StatusOr<std::unique_ptr<Network>> Create(const Options& options);
  virtual ~Network() = default;

  // A usable configuration, its plugins found and, from specification 1.1.0 on, each content when last asked for its STATUS.
  // Never waits for a plugin; not ready until the first answer, for which all have five seconds.
  virtual Readiness Ready() = 0;
  // The name of the (first) network in use; empty when there is none.
  virtual std::string network_name() const = 0;
  // ADD along the chain of each network in use, one after the other. After a failure it has run DEL already; when that failed too, the text says so and Remove is
  // still due. FailedPrecondition without a usable configuration, InvalidArgument for a bad bandwidth annotation; for
  // plugins' errors see Plugins::Run.
  virtual absl::StatusOr<Addresses> Add(const PodNetwork& pod) = 0;
  // DEL in reverse order of every network that the pod was added to, with the configuration, arguments, capabilities and
  // result that ADD used (from the cache): of `pod` only id and namespace count. All plugins and networks are tried, the first
  // failure is returned. OK when there is no trace of the pod. Idempotent.
  virtual absl::Status Remove(const PodNetwork& pod) = 0;
  // CHECK along the chains of every network that the pod was added to: that all is still as ADD left it. OK where the configuration has
  // disableCheck or is older than 0.4.0, and for a pod without a trace. Waits while the pod is added or removed.
  virtual absl::Status Check(const std::string& pod_id) = 0;
  // To be called once, at start: Collect, then Check of all pods whose namespace is pinned at `netns_dir`/<id>, in the background;
  // what is wrong is logged. An Add that is asked for afterwards waits for the Collect.
  virtual void LookAfterAll(const std::string& netns_dir) = 0;
  // The node's pod CIDRs ("10.1.0.0/24,fd00::/64"), for plugins that declare the capability ipRanges. The kubelet tells them once, so
  // they are remembered across restarts. InvalidArgument for anything else.
  virtual absl::Status SetPodCidrs(const std::string& text) = 0;
  // GC: has the plugins of the networks in use free what no attachment in the result cache holds (specification 1.1.0; OK when
  // the configuration is older or has disableGC). No Add, Remove or Check runs meanwhile (specification, section 2): it waits for
  // those that have begun, others wait for it.
  virtual absl::Status Collect() = 0;
  // Ids of all pods with a trace in the result cache whose namespace was pinned at `netns_dir`/<id>.
  virtual std::vector<std::string> Attached(const std::string& netns_dir) const = 0;
};

}  // namespace wherry::network
