#include "cni/ipam/host_local_config.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/cni/error.h"
#include "api/cni/fields.h"
#include "runtime/sys/status.h"

namespace wherry::ipam {
namespace {

using Json = nlohmann::json;

absl::Status Invalid(absl::string_view text) { return cni::MakeError(cni::ErrorCode::kInvalidConfig, text); }

void ReadRangeFields(cni::Fields* fields, Range* out) {
  fields->Prefix("subnet", &out->subnet);
  fields->Address("rangeStart", &out->start);
  fields->Address("rangeEnd", &out->end);
  fields->Address("gateway", &out->gateway);
}

absl::Status ReadRangeSet(const Json& list, const std::string& path, std::vector<RangeSet>* out) {
  if (!list.is_array()) return Invalid(absl::StrCat(path, " is not a list of ranges"));
  RangeSet set;
  for (const Json& item : list) {
    Range range;
    cni::Fields fields(item, path);
    ReadRangeFields(&fields, &range);
    RETURN_IF_ERROR(fields.status());
    set.push_back(range);
  }
  out->push_back(std::move(set));
  return absl::OkStatus();
}

// "10.1.0.5" or, as other plugins want it, "10.1.0.5/24".
absl::Status ReadRequested(const Json& item, const std::string& path, HostLocalConfig* out) {
  if (!item.is_string()) return Invalid(absl::StrCat(path, " is not a string"));
  const auto& text = item.get_ref<const std::string&>();
  if (text.empty()) return absl::OkStatus();
  absl::StatusOr<RequestedAddress> ip = ParseRequestedAddress(text);
  if (!ip.ok()) return Invalid(absl::StrCat(path, ": ", ip.status().message()));
  out->requested.push_back(ip->address);
  return absl::OkStatus();
}

absl::Status ReadIpam(const Json& ipam, const std::string& path, std::string* data_dir, HostLocalConfig* out) {
  Range single;
  cni::Fields fields(ipam, path);
  fields.String("dataDir", data_dir);
  fields.String("resolvConf", &out->resolv_conf);
  ReadRangeFields(&fields, &single);
  if (single.subnet.address.valid()) out->ranges.push_back({single});
  fields.Each("ranges",
              [&](const Json& item, const std::string& where) { return ReadRangeSet(item, where, &out->ranges); });
  fields.Each("routes", [&](const Json& item, const std::string& where) {
    ASSIGN_OR_RETURN(cni::Route route, cni::ReadRoute(item, where));
    out->routes.push_back(route);
    return absl::OkStatus();
  });
  return fields.status();
}

absl::Status CheckRanges(std::vector<RangeSet>* ranges) {
  if (ranges->empty()) return Invalid("ipam: no IP ranges specified");
  for (size_t i = 0; i < ranges->size(); ++i) {
    RETURN_IF_ERROR_CTX(Complete(&(*ranges)[i]), absl::StrCat("ipam: range set ", i));
    for (size_t j = 0; j < i; ++j) {
      if (Overlap((*ranges)[i], (*ranges)[j]))
        return Invalid(absl::StrCat("ipam: range sets ", j, " and ", i, " overlap"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<HostLocalConfig> ReadHostLocalConfig(const Json& document, const Arguments& arguments) {
  HostLocalConfig out;
  std::string name, data_dir;
  for (const RequestedAddress& ip : arguments.ips) out.requested.push_back(ip.address);
  const auto requested = [&](const Json& item, const std::string& path) { return ReadRequested(item, path, &out); };
  cni::Fields fields(document, "");
  fields.String("name", &name);
  fields.Object("args", [&](const Json& args, const std::string& path) {
    cni::Fields nested(args, path);
    nested.Object("cni", [&](const Json& cni_args, const std::string& where) {
      cni::Fields inner(cni_args, where);
      inner.Each("ips", requested);
      return inner.status();
    });
    return nested.status();
  });
  fields.Object("runtimeConfig", [&](const Json& runtime, const std::string& path) {
    cni::Fields nested(runtime, path);
    nested.Each("ips", requested);
    nested.Each("ipRanges",
                [&](const Json& item, const std::string& where) { return ReadRangeSet(item, where, &out.ranges); });
    return nested.status();
  });
  if (fields.status().ok() && !document.contains("ipam")) return Invalid("ipam: missing");
  fields.Object("ipam",
                [&](const Json& ipam, const std::string& path) { return ReadIpam(ipam, path, &data_dir, &out); });
  RETURN_IF_ERROR(fields.status());
  RETURN_IF_ERROR(CheckRanges(&out.ranges));
  out.directory = absl::StrCat(data_dir.empty() ? kDefaultDataDir : data_dir, "/", name);
  return out;
}

}  // namespace wherry::ipam
