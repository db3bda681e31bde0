#include <fcntl.h>
#include <net/if.h>
#include <regex.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "api/cni/error.h"
#include "api/cni/fields.h"
#include "cni/netlink/link.h"
#include "cni/plugins/namespace.h"
#include "cni/plugins/plugin.h"
#include "cni/plugins/previous.h"
#include "cni/plugins/sysctl.h"
#include "runtime/sys/file.h"
#include "runtime/sys/status.h"

// tuning: sysctls of the container's network namespace, and MAC address, MTU, transmit queue, promiscuous and all-multicast mode of its
// interface. Only net.* is let through, since nothing else belongs to that namespace, and of that only what the
// administrator's list allows, where there is one. DEL has nothing to do: interfaces and sysctls end with the namespace.
// That is not so for devices of the host, which come back with their settings; they are refused.
namespace wherry::plugins {
namespace {

using Json = nlohmann::json;
using netlink::Batch;
using netlink::Link;
using netlink::Socket;

constexpr char kAllowed[] = "/etc/cni/tuning/allowlist.conf";
constexpr uint32_t kMaxMtu = 65535;

struct TuningConfig {
  std::map<std::string, std::string> sysctls;  // path below /proc/sys/net → value
  std::string mac;
  uint32_t mtu = 0;
  bool promiscuous = false;
  std::optional<bool> all_multicast;
  std::optional<uint32_t> queue_length;  // packets

  bool touches_link() const { return !mac.empty() || mtu != 0 || promiscuous || all_multicast || queue_length; }
};

absl::Status Invalid(absl::string_view text) { return cni::MakeError(cni::ErrorCode::kInvalidConfig, text); }

// "net.ipv4.conf.IFNAME.arp_filter" or "net/ipv4/conf/eth0.1/arp_filter", as sysctl(8) reads it: the separator that comes
// first is the separator, and the other one stands for itself.
absl::StatusOr<std::string> PathOf(const std::string& key, const std::string& ifname) {
  std::string path = key;
  if (const size_t first = path.find_first_of("./"); first != std::string::npos && path[first] == '.') {
    for (char& c : path) c = c == '.' ? '/' : c == '/' ? '.' : c;
  }
  path = absl::StrReplaceAll(path, {{"IFNAME", ifname}});
  const std::vector<absl::string_view> parts = absl::StrSplit(path, '/');
  const auto bad = [](absl::string_view part) { return part.empty() || part == "." || part == ".."; };
  if (parts.size() < 2 || parts[0] != "net" || std::any_of(parts.begin(), parts.end(), bad))
    return Invalid(absl::StrCat("sysctl: \"", key, "\" is not one of a network namespace (net.*)"));
  return path.substr(4);
}

struct PatternDeleter {
  void operator()(regex_t* pattern) const {
    regfree(pattern);
    std::default_delete<regex_t>()(pattern);
  }
};
using Pattern = std::unique_ptr<regex_t, PatternDeleter>;

absl::Status CheckAllowed(const std::vector<std::string>& keys) {
  absl::StatusOr<std::string> list = sys::ReadFileAt(AT_FDCWD, kAllowed);
  if (!list.ok()) return sys::IsErrno(list.status(), ENOENT) ? absl::OkStatus() : list.status();
  std::vector<Pattern> patterns;
  for (absl::string_view line : absl::StrSplit(*list, '\n', absl::SkipWhitespace())) {
    auto compiled = std::make_unique<regex_t>();
    if (regcomp(compiled.get(), std::string(line).c_str(), REG_EXTENDED | REG_NOSUB) != 0)
      return Invalid(absl::StrCat(kAllowed, ": \"", line, "\" is no regular expression"));
    patterns.emplace_back(compiled.release());
  }
  for (const std::string& key : keys) {
    const auto matches = [&](const Pattern& pattern) {
      return regexec(pattern.get(), key.c_str(), 0, nullptr, 0) == 0;
    };
    if (std::none_of(patterns.begin(), patterns.end(), matches))
      return Invalid(absl::StrCat("sysctl: \"", key, "\" is not allowed by ", kAllowed));
  }
  return absl::OkStatus();
}

absl::Status ReadSysctls(const Call& call, TuningConfig* out) {
  std::vector<std::string> keys;
  cni::Fields fields(call.document, "");
  fields.Object("sysctl", [&](const Json& object, const std::string& path) {
    for (const auto& [key, value] : object.items()) {
      if (!value.is_string()) return Invalid(absl::StrCat(path, ".", key, " is not a string"));
      ASSIGN_OR_RETURN(const std::string name, PathOf(key, call.attachment.ifname));
      out->sysctls[name] = value.get<std::string>();
      keys.push_back(key);
    }
    return absl::OkStatus();
  });
  RETURN_IF_ERROR(fields.status());
  return keys.empty() ? absl::OkStatus() : CheckAllowed(keys);
}

// CNI_ARGS, the configuration, args.cni, runtimeConfig: the later one counts.
absl::StatusOr<std::string> ReadMac(const Call& call) {
  std::string mac = call.arguments.mac;
  cni::Fields fields(call.document, "");
  fields.String("mac", &mac);
  fields.Object("args", [&](const Json& args, const std::string& path) {
    cni::Fields nested(args, path);
    nested.Object("cni", [&](const Json& inner, const std::string& where) {
      cni::Fields leaf(inner, where);
      leaf.String("mac", &mac);
      return leaf.status();
    });
    return nested.status();
  });
  fields.Object("runtimeConfig", [&](const Json& runtime, const std::string& path) {
    cni::Fields nested(runtime, path);
    nested.String("mac", &mac);
    return nested.status();
  });
  RETURN_IF_ERROR(fields.status());
  if (mac.empty()) return mac;
  absl::StatusOr<netlink::MacAddress> parsed = netlink::ParseMac(mac);
  if (!parsed.ok()) return Invalid(absl::StrCat("mac: ", parsed.status().message()));
  return netlink::PrintMac(*parsed);
}

absl::StatusOr<TuningConfig> ReadConfig(const Call& call) {
  TuningConfig out;
  cni::Fields fields(call.document, "");
  fields.Number("mtu", &out.mtu);
  fields.Number("txQLen", &out.queue_length);
  fields.Bool("promisc", &out.promiscuous);
  RETURN_IF_ERROR(fields.status());
  if (out.mtu > kMaxMtu) return Invalid(absl::StrCat("mtu: ", out.mtu, " is more than ", kMaxMtu));
  if (auto all = call.document.find("allmulti"); all != call.document.end() && !all->is_null()) {
    bool value = false;
    fields.Bool("allmulti", &value);
    RETURN_IF_ERROR(fields.status());
    out.all_multicast = value;
  }
  ASSIGN_OR_RETURN(out.mac, ReadMac(call));
  RETURN_IF_ERROR(ReadSysctls(call, &out));
  return out;
}

absl::Status TuneLink(const Call& call, const Namespaces& namespaces, const TuningConfig& config) {
  ASSIGN_OR_RETURN(Socket socket, namespaces.OpenSocket());
  ASSIGN_OR_RETURN(const Link link, netlink::GetLink(socket, call.attachment.ifname));
  if (link.kind.empty())
    return cni::MakeError(
        cni::ErrorCode::kUnsupportedField,
        absl::StrCat("interface ", link.name, " is a device of the host, which would keep the settings"));
  Batch batch;
  const bool all = config.all_multicast.value_or(false);
  const uint32_t set = (config.promiscuous ? IFF_PROMISC : 0) | (all ? IFF_ALLMULTI : 0);
  const uint32_t clear = config.all_multicast && !all ? IFF_ALLMULTI : 0;
  if (!config.mac.empty()) netlink::PutLinkMac(batch, link.index, config.mac);
  if (config.mtu != 0) netlink::PutLinkMtu(batch, link.index, config.mtu);
  if (config.queue_length) netlink::PutLinkQueueLength(batch, link.index, *config.queue_length);
  if ((set | clear) != 0) netlink::PutLinkFlags(batch, link.index, set, clear);
  return socket.Exchange(batch);
}

absl::StatusOr<cni::Result> Add(const Call& call) {
  ASSIGN_OR_RETURN(const TuningConfig config, ReadConfig(call));
  ASSIGN_OR_RETURN(cni::Result result, PreviousResult(call));
  ASSIGN_OR_RETURN(const Namespaces namespaces, Namespaces::Open(call.netns));
  // The interface first: it may be refused, and a change of its address resets nothing that sysctls set.
  if (config.touches_link()) RETURN_IF_ERROR(TuneLink(call, namespaces, config));
  const absl::Status set = namespaces.Visit([&] {
    for (const auto& [name, value] : config.sysctls) RETURN_IF_ERROR(EnsureSysctl(name, value));
    return absl::OkStatus();
  });
  RETURN_IF_ERROR(set);
  for (cni::Interface& interface : result.interfaces) {
    if (interface.name != call.attachment.ifname || interface.sandbox.empty()) continue;
    if (!config.mac.empty()) interface.mac = config.mac;
    if (config.mtu != 0) interface.mtu = config.mtu;
  }
  return result;
}

absl::Status Wrong(absl::string_view text) {
  return cni::MakeError(cni::ErrorCode::kInternal, absl::StrCat("check: ", text));
}

absl::Status CheckLink(const Link& link, const TuningConfig& config) {
  if (!config.mac.empty() && link.mac != config.mac) return Wrong(absl::StrCat("MAC address is ", link.mac));
  if (config.mtu != 0 && link.mtu != config.mtu) return Wrong(absl::StrCat("MTU is ", link.mtu));
  if (config.queue_length && link.queue_length != *config.queue_length)
    return Wrong(absl::StrCat("length of the transmit queue is ", link.queue_length));
  if (config.promiscuous && (link.flags & IFF_PROMISC) == 0) return Wrong("the interface is not promiscuous");
  if (config.all_multicast && *config.all_multicast != ((link.flags & IFF_ALLMULTI) != 0))
    return Wrong("all-multicast mode is not as configured");
  return absl::OkStatus();
}

absl::Status Check(const Call& call) {
  ASSIGN_OR_RETURN(const TuningConfig config, ReadConfig(call));
  RETURN_IF_ERROR(PreviousResult(call).status());
  ASSIGN_OR_RETURN(const Namespaces namespaces, Namespaces::Open(call.netns));
  ASSIGN_OR_RETURN(Socket socket, namespaces.OpenSocket());
  ASSIGN_OR_RETURN(const Link link, netlink::GetLink(socket, call.attachment.ifname));
  RETURN_IF_ERROR(CheckLink(link, config));
  return namespaces.Visit([&]() -> absl::Status {
    for (const auto& [name, value] : config.sysctls) {
      ASSIGN_OR_RETURN(const std::string now, ReadSysctl(name));
      if (now != value) return Wrong(absl::StrCat("sysctl net/", name, " is ", now, ", not ", value));
    }
    return absl::OkStatus();
  });
}

absl::Status Read(const Call& call) { return ReadConfig(call).status(); }

absl::Status Nothing(const Call&) { return absl::OkStatus(); }

}  // namespace

const Plugin kTuning = {"tuning", Add, Nothing, Check, Nothing, Nothing, Read};

}  // namespace wherry::plugins
