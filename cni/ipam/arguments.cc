#include "cni/ipam/arguments.h"

#include "runtime/sys/status.h"

namespace wherry::ipam {

absl::StatusOr<RequestedAddress> ParseRequestedAddress(absl::string_view text) {
  if (text.find('/') == absl::string_view::npos) {
    ASSIGN_OR_RETURN(const cni::IpAddress address, cni::IpAddress::Parse(text));
    return RequestedAddress{address, std::nullopt};
  }
  ASSIGN_OR_RETURN(const cni::IpPrefix prefix, cni::IpPrefix::Parse(text));
  return RequestedAddress{prefix.address, prefix.length};
}

}  // namespace wherry::ipam
