#include "cri/network/capabilities.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "api/cni/address.h"
#include "runtime/sys/status.h"

namespace wherry::network {
namespace {

using Json = nlohmann::json;

constexpr char kIngress[] = "kubernetes.io/ingress-bandwidth", kEgress[] = "kubernetes.io/egress-bandwidth";
constexpr char kIps[] = "wherry.run/ips", kMac[] = "wherry.run/mac";
constexpr uint64_t kMinRate = 1000, kMaxRate = 1000000000000000;   // bits per second; the kubelet's own limits
constexpr uint64_t kBurst = std::numeric_limits<uint32_t>::max();  // bits; the most that the bandwidth plugin takes

bool Declares(const cni::ConfigList& list, const std::string& capability) {
  return std::any_of(list.plugins.begin(), list.plugins.end(), [&](const cni::PluginConfig& plugin) {
    auto it = plugin.capabilities.find(capability);
    return it != plugin.capabilities.end() && it->second;
  });
}

// Mappings without a host port are the kubelet's way to name a container's port; no plugin has to do with them.
Json PortMappings(const PodNetwork& pod) {
  Json out = Json::array();
  for (const PortMapping& m : pod.port_mappings) {
    if (m.host_port <= 0) continue;
    out.push_back({{"hostPort", m.host_port},
                   {"containerPort", m.container_port},
                   {"protocol", m.protocol},
                   {"hostIP", m.host_ip}});
  }
  return out;
}

absl::Status PutRate(const PodNetwork& pod, const std::string& annotation, const std::string& direction, Json* out) {
  auto it = pod.annotations.find(annotation);
  if (it == pod.annotations.end()) return absl::OkStatus();
  auto rate = ParseQuantity(it->second);
  if (!rate.ok() || *rate < kMinRate || *rate > kMaxRate)
    return absl::InvalidArgumentError(
        absl::StrCat("annotation ", annotation, " \"", it->second, "\" is not a rate of 1k to 1P bits per second"));
  (*out)[direction + "Rate"] = *rate;
  (*out)[direction + "Burst"] = kBurst;
  return absl::OkStatus();
}

Json Dns(const PodNetwork& pod) {
  Json out = Json::object();
  if (!pod.dns_servers.empty()) out["servers"] = pod.dns_servers;
  if (!pod.dns_searches.empty()) out["searches"] = pod.dns_searches;
  if (!pod.dns_options.empty()) out["options"] = pod.dns_options;
  return out;
}

absl::StatusOr<Json> Ips(const PodNetwork& pod) {
  Json out = Json::array();
  auto it = pod.annotations.find(kIps);
  if (it == pod.annotations.end()) return out;
  for (absl::string_view item : absl::StrSplit(it->second, ',')) {
    item = absl::StripAsciiWhitespace(item);
    if (!cni::IpAddress::Parse(item).ok() && !cni::IpPrefix::Parse(item).ok())
      return absl::InvalidArgumentError(absl::StrCat("annotation ", kIps, ": \"", item, "\" is no IP address"));
    out.push_back(std::string(item));
  }
  return out;
}

absl::StatusOr<Json> Mac(const PodNetwork& pod) {
  auto it = pod.annotations.find(kMac);
  if (it == pod.annotations.end()) return Json();
  const std::vector<absl::string_view> parts = absl::StrSplit(it->second, ':');
  const bool good = parts.size() == 6 && std::all_of(parts.begin(), parts.end(), [](absl::string_view part) {
                      return part.size() == 2 && std::all_of(part.begin(), part.end(), absl::ascii_isxdigit);
                    });
  if (!good)
    return absl::InvalidArgumentError(absl::StrCat("annotation ", kMac, ": \"", it->second, "\" is no MAC address"));
  return Json(it->second);
}

// One range set a CIDR, so that a pod gets an address of each.
Json IpRanges(const PodNetwork& pod) {
  Json out = Json::array();
  for (const std::string& cidr : pod.pod_cidrs) out.push_back(Json::array({{{"subnet", cidr}}}));
  return out;
}

// None for a suffix that Kubernetes does not know.
std::optional<long double> Multiplier(const std::string& suffix) {
  static constexpr char kLetters[] = "kMGTPE";
  if (suffix.empty()) return 1;
  if (suffix == "m") return 0.001L;
  if (suffix.size() == 2 && suffix[1] == 'i') {
    static constexpr char kBinary[] = "KMGTPE";
    const char* found = std::find(kBinary, kBinary + 6, suffix[0]);
    if (found != kBinary + 6) return std::pow(1024.0L, found - kBinary + 1);
  }
  if (suffix.size() == 1) {
    const char* found = std::find(kLetters, kLetters + 6, suffix[0]);
    if (found != kLetters + 6) return std::pow(1000.0L, found - kLetters + 1);
  }
  int exponent = 0;
  const bool scientific = suffix.size() > 1 && suffix.size() < 5 && absl::ascii_tolower(suffix[0]) == 'e' &&
                          absl::SimpleAtoi(suffix.substr(1), &exponent);
  if (scientific && exponent > -19 && exponent < 19) return std::pow(10.0L, exponent);
  return std::nullopt;
}

}  // namespace

absl::StatusOr<uint64_t> ParseQuantity(const std::string& text) {
  const absl::Status bad = absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not a quantity"));
  const size_t end = std::min(text.find_first_not_of("0123456789."), text.size());
  double number = 0;
  if (end == 0 || end > 20 || !absl::SimpleAtod(text.substr(0, end), &number)) return bad;
  const std::optional<long double> multiplier = Multiplier(text.substr(end));
  if (!multiplier) return bad;
  const long double value = std::ceil(static_cast<long double>(number) * *multiplier);
  if (value > static_cast<long double>(std::numeric_limits<int64_t>::max())) return bad;
  return static_cast<uint64_t>(value);
}

absl::StatusOr<Capabilities> CapabilitiesOf(const PodNetwork& pod, const cni::ConfigList& list) {
  Capabilities out;
  const auto put = [&](const char* capability, const Json& value) {
    if (!value.empty()) out[capability] = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  };
  if (Declares(list, "portMappings")) put("portMappings", PortMappings(pod));
  if (Declares(list, "bandwidth")) {
    Json rates = Json::object();
    RETURN_IF_ERROR(PutRate(pod, kIngress, "ingress", &rates));
    RETURN_IF_ERROR(PutRate(pod, kEgress, "egress", &rates));
    put("bandwidth", rates);
  }
  if (Declares(list, "ips")) {
    ASSIGN_OR_RETURN(const Json ips, Ips(pod));
    put("ips", ips);
  }
  if (Declares(list, "mac")) {
    ASSIGN_OR_RETURN(const Json mac, Mac(pod));
    put("mac", mac);
  }
  if (Declares(list, "ipRanges")) put("ipRanges", IpRanges(pod));
  if (Declares(list, "aliases") && !pod.name.empty()) put("aliases", Json::array({pod.name}));
  if (Declares(list, "dns")) put("dns", Dns(pod));
  if (Declares(list, "cgroupPath") && !pod.cgroup_path.empty()) put("cgroupPath", pod.cgroup_path);
  if (Declares(list, "io.kubernetes.cri.pod-annotations"))
    put("io.kubernetes.cri.pod-annotations", Json(pod.annotations));
  return out;
}

}  // namespace wherry::network
