#include "cni/plugins/veth.h"

#include <array>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/cni/error.h"
#include "cni/netlink/batch.h"
#include "cni/plugins/namespace.h"
#include "runtime/sys/fail_point.h"
#include "runtime/sys/status.h"

namespace wherry::plugins {
namespace {

using netlink::Batch;
using netlink::Link;
using netlink::Socket;

constexpr unsigned kNameAttempts = 8;

// FNV-1a: names need spread, not secrecy.
uint32_t Hash(absl::string_view text) {
  uint32_t hash = 2166136261U;
  for (char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619U;
  return hash;
}

// Only an interface that MakeVeth named: an index means something else in another namespace.
absl::Status MarkHostEnd(const cni::Attachment& attachment, const Link& container) {
  ASSIGN_OR_RETURN(Socket socket, Socket::Open());
  auto host = netlink::GetLink(socket, container.peer);
  if (sys::IsErrno(host.status(), ENODEV)) return absl::OkStatus();
  RETURN_IF_ERROR(host.status());
  for (unsigned attempt = 0; attempt < kNameAttempts; ++attempt) {
    if (host->name != HostVethName(attachment, attempt)) continue;
    Batch batch;
    netlink::PutLinkGroup(batch, host->index, netlink::kEndingGroup);
    absl::Status status = socket.Exchange(batch);
    return sys::IsErrno(status, ENODEV) ? absl::OkStatus() : status;
  }
  return absl::OkStatus();
}

}  // namespace

std::string HostVethName(const cni::Attachment& attachment, unsigned attempt) {
  const uint32_t hash = Hash(absl::StrCat(attachment.container_id, "/", attachment.ifname, "/", attempt));
  return absl::StrCat("veth", absl::Hex(hash, absl::kZeroPad8));
}

absl::StatusOr<Veth> MakeVeth(Socket& host, Socket& container, int netns, const cni::Attachment& attachment,
                              const VethOptions& options) {
  netlink::VethPair pair;
  pair.host_mac = netlink::RandomMac();
  pair.master = options.bridge == nullptr ? 0 : options.bridge->index;
  pair.container_name = attachment.ifname;
  pair.container_mac = options.mac.value_or(netlink::RandomMac());
  pair.netns = netns;
  pair.mtu = options.mtu;
  absl::Status failure;
  for (unsigned attempt = 0; attempt < kNameAttempts; ++attempt) {
    pair.host_name = HostVethName(attachment, attempt);
    Batch batch;
    std::array<Link, 3> links;
    std::vector<absl::Status> each;
    netlink::PutNewVeth(batch, pair);
    netlink::PutGetLink(batch, pair.host_name);
    if (options.bridge != nullptr) netlink::PutGetLink(batch, options.bridge->name);
    RETURN_IF_ERROR(host.Exchange(
        batch, [&](size_t index, const nlmsghdr* message) { links[index] = netlink::ParseLink(message); }, &each));
    if (each[0].ok()) {
      RETURN_IF_ERROR(each[1]);
      if (options.bridge != nullptr) RETURN_IF_ERROR(each[2]);
      return Veth{links[1], links[2], netlink::PrintMac(pair.container_mac)};
    }
    failure = each[0];
    if (!sys::IsErrno(failure, EEXIST)) return failure;
    if (netlink::GetLink(container, attachment.ifname).ok())
      return cni::MakeError(cni::ErrorCode::kInvalidEnvironment,
                            absl::StrCat("CNI_IFNAME: the container has an interface ", attachment.ifname, " already"));
  }
  return failure;
}

absl::Status DeleteHostEnd(const std::string& name) {
  ASSIGN_OR_RETURN(Socket socket, Socket::Open());
  Batch batch;
  netlink::PutDeleteLink(batch, name);
  return socket.Exchange(batch);
}

// The host's end goes with the container's. A namespace that is gone took both with it. To delete a link, RTM_DELLINK waits
// for all callbacks of RCU (netdev_run_todo, rcu_barrier): 15 ms on an idle machine, hundreds on a busy one. So an interface
// whose namespace is about to be destroyed is only set down, which takes 0.1 ms: from then on nobody answers for its
// addresses, and the kernel deletes the pair together with the namespace, in the background. Somebody may hold the namespace
// longer than expected (a connection with unsent data, another mount table with a copy of the pin), so the host's end is put
// into a group by which the caller deletes what is still there a moment later.
absl::Status DeleteVeth(const Call& call) {
  WHERRY_FAIL_POINT("veth.delete");
  ASSIGN_OR_RETURN(std::optional<Namespaces> namespaces, Namespaces::OpenIfPresent(call.netns));
  if (!namespaces) return absl::OkStatus();
  ASSIGN_OR_RETURN(Socket container, namespaces->OpenSocket());
  Batch batch;
  Link link;
  if (call.netns_ends) {
    netlink::PutGetLink(batch, call.attachment.ifname);
    netlink::PutLinkDown(batch, call.attachment.ifname);
  } else {
    netlink::PutDeleteLink(batch, call.attachment.ifname);
  }
  absl::Status status =
      container.Exchange(batch, [&](size_t, const nlmsghdr* message) { link = netlink::ParseLink(message); });
  if (sys::IsErrno(status, ENODEV)) return absl::OkStatus();
  WHERRY_FAIL_POINT("veth.down");
  if (status.ok() && call.netns_ends && link.kind == "veth") return MarkHostEnd(call.attachment, link);
  return status;
}

}  // namespace wherry::plugins
