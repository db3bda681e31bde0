#include <net/if.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "absl/strings/str_cat.h"
#include "api/cni/error.h"
#include "api/cni/fields.h"
#include "cni/ipam/ipam.h"
#include "cni/netlink/link.h"
#include "cni/netlink/qdisc.h"
#include "cni/nft/label.h"
#include "cni/plugins/namespace.h"
#include "cni/plugins/plugin.h"
#include "cni/plugins/previous.h"
#include "cni/plugins/undo.h"
#include "runtime/sys/status.h"

// bandwidth: limits what the container receives (ingress) and sends (egress). All of it happens at the host's end of the
// veth pair, out of the container's reach: what the container receives is what that end sends, and gets a token bucket
// there; what the container sends comes in at that end and is redirected to an ifb with a bucket of its own. The ifb carries its
// owner in its alias, by which GC finds those that nobody deleted.
namespace wherry::plugins {
namespace {

using Json = nlohmann::json;
using netlink::Batch;
using netlink::Bucket;
using netlink::Link;
using netlink::Socket;

absl::Status Invalid(absl::string_view text) { return cni::MakeError(cni::ErrorCode::kInvalidConfig, text); }

struct Limits {
  std::optional<Bucket> ingress, egress;
};

// A number of bits as JSON has it: rates go beyond 32 bits.
absl::StatusOr<uint64_t> ReadBits(const Json& object, const std::string& path, const std::string& key) {
  auto found = object.find(key);
  if (found == object.end() || found->is_null()) return uint64_t{0};
  if (!found->is_number_unsigned())
    return Invalid(absl::StrCat(path, key, ": ", found->dump(-1, ' ', true, Json::error_handler_t::replace),
                                " is not a number of bits"));
  return found->get<uint64_t>();
}

absl::StatusOr<std::optional<Bucket>> ReadBucket(const Json& object, const std::string& path, const std::string& way) {
  ASSIGN_OR_RETURN(const uint64_t rate, ReadBits(object, path, way + "Rate"));
  ASSIGN_OR_RETURN(const uint64_t burst, ReadBits(object, path, way + "Burst"));
  if (rate == 0 && burst == 0) return std::optional<Bucket>();
  if (rate < 8 || burst < 8)
    return Invalid(absl::StrCat(path, way, "Rate and ", path, way, "Burst: both must be a byte at least"));
  if (burst / 8 > std::numeric_limits<uint32_t>::max())
    return Invalid(absl::StrCat(path, way, "Burst: ", burst, " bits are more than 4 GiB"));
  return std::optional<Bucket>(Bucket{rate / 8, static_cast<uint32_t>(burst / 8)});
}

absl::StatusOr<Limits> ReadFrom(const Json& object, const std::string& path) {
  Limits out;
  ASSIGN_OR_RETURN(out.ingress, ReadBucket(object, path, "ingress"));
  ASSIGN_OR_RETURN(out.egress, ReadBucket(object, path, "egress"));
  return out;
}

// The runtime's limits, if it names any, are all that count.
absl::StatusOr<Limits> ReadLimits(const Call& call) {
  for (const char* key : {"shapedSubnets", "unshapedSubnets"}) {
    auto found = call.document.find(key);
    if (found != call.document.end() && !found->is_null() && *found != Json::array())
      return cni::MakeError(cni::ErrorCode::kUnsupportedField, absl::StrCat("unsupported field ", key));
  }
  ASSIGN_OR_RETURN(Limits out, ReadFrom(call.document, ""));
  cni::Fields fields(call.document, "");
  fields.Object("runtimeConfig", [&](const Json& runtime, const std::string& path) {
    cni::Fields nested(runtime, path);
    nested.Object("bandwidth", [&](const Json& limits, const std::string& where) {
      ASSIGN_OR_RETURN(out, ReadFrom(limits, where + "."));
      return absl::OkStatus();
    });
    return nested.status();
  });
  RETURN_IF_ERROR(fields.status());
  return out;
}

// At most 15 characters, and the same as the reference plugin's, whose DEL then works for us and ours for it.
std::string IfbName(const Call& call) {
  return absl::StrCat("bwp", nft::Hash(call.network + call.attachment.container_id).substr(0, 12));
}

// The other end of the container's interface.
absl::StatusOr<Link> HostEnd(const Call& call, Socket& host) {
  ASSIGN_OR_RETURN(Namespaces namespaces, Namespaces::Open(call.netns));
  ASSIGN_OR_RETURN(Socket container, namespaces.OpenSocket());
  ASSIGN_OR_RETURN(const Link inside, netlink::GetLink(container, call.attachment.ifname));
  if (inside.kind != "veth")
    return Invalid(absl::StrCat("interface ", inside.name, " is not a veth, so it has no end here"));
  ASSIGN_OR_RETURN(Link link, netlink::GetLink(host, inside.peer));
  if (link.kind == "veth" && link.peer == inside.index) return link;
  return Invalid(absl::StrCat("the other end of interface ", inside.name, " is not in this network namespace"));
}

absl::StatusOr<Link> MakeIfb(const Call& call, Socket& host, uint32_t mtu) {
  const std::string name = IfbName(call);
  Batch batch;
  Link ifb;
  std::vector<absl::Status> each;
  netlink::PutDeleteLink(batch, name);  // of an ADD before, which was not followed by a DEL
  netlink::PutNewIfb(batch, name, mtu);
  netlink::PutLinkAlias(batch, name, nft::Comment(call.network, call.attachment));
  netlink::PutGetLink(batch, name);
  RETURN_IF_ERROR(host.Exchange(
      batch, [&](size_t, const nlmsghdr* message) { ifb = netlink::ParseLink(message); }, &each));
  for (size_t i = 1; i < each.size(); ++i) RETURN_IF_ERROR(each[i]);
  return ifb;
}

absl::Status DeleteIfb(const std::string& name) {
  ASSIGN_OR_RETURN(Socket host, Socket::Open());
  Batch batch;
  netlink::PutDeleteLink(batch, name);
  absl::Status status = host.Exchange(batch);
  return sys::IsErrno(status, ENODEV) ? absl::OkStatus() : status;
}

absl::Status Limit(const Call& call, const Limits& limits, Undo* undo, cni::Result* result) {
  ASSIGN_OR_RETURN(Socket host, Socket::Open());
  ASSIGN_OR_RETURN(const Link end, HostEnd(call, host));
  Batch batch;
  if (limits.egress) {
    ASSIGN_OR_RETURN(const Link ifb, MakeIfb(call, host, end.mtu));
    undo->Push("deletion of the ifb", [name = ifb.name] { return DeleteIfb(name); });
    Batch old;
    std::vector<absl::Status> ignored;
    netlink::PutDeleteIngress(old, end.index);
    RETURN_IF_ERROR(host.Exchange(old, nullptr, &ignored));
    netlink::PutBucket(batch, ifb.index, *limits.egress);
    netlink::PutIngressRedirect(batch, end.index, ifb.index);
    result->interfaces.push_back({.name = ifb.name, .mac = ifb.mac});
  }
  if (limits.ingress) netlink::PutBucket(batch, end.index, *limits.ingress);
  return host.Exchange(batch);
}

absl::StatusOr<cni::Result> Add(const Call& call) {
  ASSIGN_OR_RETURN(const Limits limits, ReadLimits(call));
  ASSIGN_OR_RETURN(cni::Result result, PreviousResult(call));
  if (!limits.ingress && !limits.egress) return result;
  Undo undo;
  if (absl::Status status = Limit(call, limits, &undo, &result); !status.ok()) return undo.Run(status);
  return result;
}

// The buckets of the veth pair go with it.
absl::Status Del(const Call& call) { return DeleteIfb(IfbName(call)); }

absl::Status CheckBucket(Socket& host, const Link& link, const Bucket& wanted) {
  ASSIGN_OR_RETURN(const std::optional<Bucket> present, netlink::GetBucket(host, link.index));
  if (present == wanted) return absl::OkStatus();
  return cni::MakeError(cni::ErrorCode::kInternal,
                        absl::StrCat("check: interface ", link.name, " is not limited as configured"));
}

absl::Status Check(const Call& call) {
  ASSIGN_OR_RETURN(const Limits limits, ReadLimits(call));
  RETURN_IF_ERROR(PreviousResult(call).status());
  if (!limits.ingress && !limits.egress) return absl::OkStatus();
  ASSIGN_OR_RETURN(Socket host, Socket::Open());
  ASSIGN_OR_RETURN(const Link end, HostEnd(call, host));
  if (limits.ingress) RETURN_IF_ERROR(CheckBucket(host, end, *limits.ingress));
  if (!limits.egress) return absl::OkStatus();
  ASSIGN_OR_RETURN(const Link ifb, netlink::GetLink(host, IfbName(call)));
  return CheckBucket(host, ifb, *limits.egress);
}

absl::Status Read(const Call& call) { return ReadLimits(call).status(); }

absl::Status Nothing(const Call&) { return absl::OkStatus(); }

absl::Status Gc(const Call& call) {
  ASSIGN_OR_RETURN(const std::vector<cni::Attachment> valid, ipam::ValidAttachments(call.document));
  ASSIGN_OR_RETURN(Socket host, Socket::Open());
  ASSIGN_OR_RETURN(const std::vector<Link> links, netlink::ListLinks(host));
  const std::string network = nft::NetworkLabel(call.network);
  absl::Status first;
  for (const Link& link : links) {
    const auto owns = [&](const cni::Attachment& held) {
      return link.alias.rfind(nft::AttachmentLabel(call.network, held), 0) == 0;
    };
    if (link.kind == "ifb" && link.alias.rfind(network, 0) == 0 && std::none_of(valid.begin(), valid.end(), owns))
      first.Update(DeleteIfb(link.name));
  }
  return first;
}

}  // namespace

const Plugin kBandwidth = {"bandwidth", Add, Del, Check, Nothing, Gc, Read};

}  // namespace wherry::plugins
