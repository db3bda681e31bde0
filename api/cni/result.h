#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "api/cni/address.h"

// The result of ADD (CNI specification section 5), one struct for every version from 0.3.0 on. The versions differ
// little: up to 0.4.0 each address carries "version": "4" or "6" and interfaces have only name, mac and sandbox.
namespace wherry::cni {

struct Interface {
  std::string name{}, mac{};
  uint32_t mtu = 0;       // 0: not said
  std::string sandbox{};  // CNI_NETNS, or empty on the host
  std::string socket_path{}, pci_id{};
};

struct IpConfig {
  std::optional<uint32_t> interface;  // index into Result::interfaces
  IpPrefix address;
  IpAddress gateway;  // may be none
};

struct Route {
  IpPrefix dst;
  IpAddress gw;  // none: the gateway of the IpConfig of the same family
  uint32_t mtu = 0, advmss = 0, priority = 0;
  std::optional<uint32_t> table{}, scope{};
  bool operator==(const Route&) const = default;
};

struct Dns {
  std::vector<std::string> nameservers;
  std::string domain;
  std::vector<std::string> search, options;
  bool empty() const { return nameservers.empty() && domain.empty() && search.empty() && options.empty(); }
};

struct Result {
  std::string version;  // of the document it came from
  std::vector<Interface> interfaces;
  std::vector<IpConfig> ips;
  std::vector<Route> routes;
  Dns dns;
};

// DecodingFailure (6) or InvalidConfig (7) with the path of the bad field; IncompatibleVersion (1) for a version that
// is not in kVersions. A document without cniVersion is taken as `fallback_version`.
absl::StatusOr<Result> ParseResult(absl::string_view text, absl::string_view fallback_version = "");
absl::StatusOr<Result> ReadResult(const nlohmann::json& document, absl::string_view fallback_version = "");

// JSON in the shape of `version`, which must be supported; indented by four as the reference plugins print it.
std::string PrintResult(const Result& result, absl::string_view version);

// Pieces that network configurations hold as well.
absl::StatusOr<Route> ReadRoute(const nlohmann::json& object, const std::string& path);
absl::StatusOr<Dns> ReadDns(const nlohmann::json& object, const std::string& path);

}  // namespace wherry::cni
