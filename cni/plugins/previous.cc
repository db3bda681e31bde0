#include "cni/plugins/previous.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "api/cni/error.h"
#include "runtime/sys/status.h"

namespace wherry::plugins {

absl::StatusOr<cni::Result> PreviousResult(const Call& call) {
  auto found = call.document.find("prevResult");
  if (found == call.document.end() || found->is_null())
    return cni::MakeError(cni::ErrorCode::kInvalidConfig,
                          absl::StrCat("prevResult: missing, and ", call.command, " needs it"));
  ASSIGN_OR_RETURN_CTX(cni::Result out, cni::ReadResult(*found, call.version), "prevResult");
  return out;
}

absl::StatusOr<cni::Result> PreviousResultIfAny(const Call& call) {
  auto found = call.document.find("prevResult");
  if (found == call.document.end() || found->is_null()) return cni::Result();
  return PreviousResult(call);
}

std::vector<cni::IpPrefix> ContainerAddresses(const cni::Result& result) {
  std::vector<cni::IpPrefix> out;
  for (const cni::IpConfig& ip : result.ips) {
    const bool elsewhere =
        ip.interface && *ip.interface < result.interfaces.size() && result.interfaces[*ip.interface].sandbox.empty();
    if (!elsewhere) out.push_back(ip.address);
  }
  return out;
}

const cni::Interface* ContainerInterface(const cni::Result& result, const std::string& ifname) {
  auto found = std::find_if(result.interfaces.begin(), result.interfaces.end(), [&](const cni::Interface& interface) {
    return interface.name == ifname && !interface.sandbox.empty();
  });
  return found == result.interfaces.end() ? nullptr : &*found;
}

}  // namespace wherry::plugins
