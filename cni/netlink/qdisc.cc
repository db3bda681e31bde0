#include "cni/netlink/qdisc.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include "cni/netlink/attributes.h"
#include "runtime/sys/status.h"

namespace wherry::netlink {
namespace {

constexpr uint64_t kWaitsPerSecond = 40;  // 25 ms each
constexpr uint32_t kIngressHandle = TC_H_MAKE(TC_H_INGRESS, 0);
constexpr uint32_t kBucketHandle = 1U << 16;  // "1:"
constexpr uint16_t kFirst = 1;                // filter's priority, and place of an action
constexpr uint64_t kMax32 = std::numeric_limits<uint32_t>::max();

tcmsg* PutTcHeader(Batch& batch, int index, uint32_t parent, uint32_t handle) {
  auto* header = static_cast<tcmsg*>(batch.PutHeader(sizeof(tcmsg)));
  header->tcm_ifindex = index;
  header->tcm_parent = parent;
  header->tcm_handle = handle;
  return header;
}

// A u32 filter with one key that matches everything: of the classifiers that can, the one every kernel has.
void PutMatchAll(nlmsghdr* message) {
  alignas(tc_u32_sel) std::array<char, sizeof(tc_u32_sel) + sizeof(tc_u32_key)> bytes{};
  auto* selector = reinterpret_cast<tc_u32_sel*>(bytes.data());
  selector->flags = TC_U32_TERMINAL;
  selector->nkeys = 1;
  mnl_attr_put(message, TCA_U32_SEL, bytes.size(), bytes.data());
}

void PutRedirect(nlmsghdr* message, int target) {
  tc_mirred parameters{};
  parameters.action = TC_ACT_STOLEN;
  parameters.eaction = TCA_EGRESS_REDIR;
  parameters.ifindex = static_cast<uint32_t>(target);
  nlattr* actions = mnl_attr_nest_start(message, TCA_U32_ACT);
  nlattr* action = mnl_attr_nest_start(message, kFirst);
  mnl_attr_put_strz(message, TCA_ACT_KIND, "mirred");
  nlattr* options = mnl_attr_nest_start(message, TCA_ACT_OPTIONS);
  mnl_attr_put(message, TCA_MIRRED_PARMS, sizeof(parameters), &parameters);
  mnl_attr_nest_end(message, options);
  mnl_attr_nest_end(message, action);
  mnl_attr_nest_end(message, actions);
}

// The kernel gives the burst back as the time it takes, in ticks of 64 ns, which is not exact; the limit is.
Bucket ParseBucket(const nlattr* options) {
  tc_tbf_qopt parameters{};
  uint64_t rate = 0;
  ForEachNested(options, [&](const nlattr* attribute) {
    if (mnl_attr_get_type(attribute) == TCA_TBF_RATE64) rate = Get<uint64_t>(attribute);
    if (mnl_attr_get_type(attribute) != TCA_TBF_PARMS) return;
    std::memcpy(&parameters, mnl_attr_get_payload(attribute),
                std::min<size_t>(sizeof(parameters), mnl_attr_get_payload_len(attribute)));
  });
  if (rate == 0) rate = parameters.rate.rate;
  const uint64_t waiting = rate / kWaitsPerSecond;
  return {rate, static_cast<uint32_t>(parameters.limit > waiting ? parameters.limit - waiting : 0)};
}

}  // namespace

void PutBucket(Batch& batch, int index, const Bucket& bucket) {
  nlmsghdr* message =
      batch.Begin(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, absl::StrCat("set token bucket of link ", index));
  PutTcHeader(batch, index, TC_H_ROOT, kBucketHandle);
  mnl_attr_put_strz(message, TCA_KIND, "tbf");
  tc_tbf_qopt parameters{};
  parameters.rate.rate = static_cast<uint32_t>(std::min(bucket.rate, kMax32));
  parameters.rate.linklayer = TC_LINKLAYER_ETHERNET;  // spares the table of transmission times that old kernels wanted
  parameters.limit = static_cast<uint32_t>(std::min(bucket.rate / kWaitsPerSecond + bucket.burst, kMax32));
  nlattr* options = mnl_attr_nest_start(message, TCA_OPTIONS);
  mnl_attr_put(message, TCA_TBF_PARMS, sizeof(parameters), &parameters);
  mnl_attr_put_u32(message, TCA_TBF_BURST, bucket.burst);
  if (bucket.rate > kMax32) mnl_attr_put_u64(message, TCA_TBF_RATE64, bucket.rate);
  mnl_attr_nest_end(message, options);
}

void PutIngressRedirect(Batch& batch, int index, int target) {
  nlmsghdr* queue =
      batch.Begin(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, absl::StrCat("add ingress queue to link ", index));
  PutTcHeader(batch, index, TC_H_INGRESS, kIngressHandle);
  mnl_attr_put_strz(queue, TCA_KIND, "ingress");
  nlmsghdr* filter = batch.Begin(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL,
                                 absl::StrCat("redirect what link ", index, " receives to link ", target));
  PutTcHeader(batch, index, kIngressHandle, 0)->tcm_info = TC_H_MAKE(uint32_t{kFirst} << 16, htons(ETH_P_ALL));
  mnl_attr_put_strz(filter, TCA_KIND, "u32");
  nlattr* options = mnl_attr_nest_start(filter, TCA_OPTIONS);
  PutMatchAll(filter);
  PutRedirect(filter, target);
  mnl_attr_nest_end(filter, options);
}

void PutDeleteIngress(Batch& batch, int index) {
  batch.Begin(RTM_DELQDISC, 0, absl::StrCat("delete ingress queue of link ", index));
  PutTcHeader(batch, index, TC_H_INGRESS, kIngressHandle);
}

absl::StatusOr<std::optional<Bucket>> GetBucket(Socket& socket, int index) {
  Batch batch;
  batch.Begin(RTM_GETQDISC, NLM_F_DUMP, absl::StrCat("list queues of link ", index));
  PutTcHeader(batch, index, 0, 0);
  std::optional<Bucket> out;
  RETURN_IF_ERROR(socket.Exchange(batch, [&](size_t, const nlmsghdr* reply) {
    if (reply->nlmsg_type != RTM_NEWQDISC) return;
    const auto* header = static_cast<const tcmsg*>(mnl_nlmsg_get_payload(reply));
    if (header->tcm_ifindex != index || header->tcm_parent != TC_H_ROOT) return;
    const nlattr* options = nullptr;
    bool bucket = false;
    ForEachAttribute(reply, sizeof(tcmsg), [&](const nlattr* attribute) {
      if (mnl_attr_get_type(attribute) == TCA_OPTIONS) options = attribute;
      if (mnl_attr_get_type(attribute) == TCA_KIND) bucket = GetText(attribute) == "tbf";
    });
    if (bucket && options != nullptr) out = ParseBucket(options);
  }));
  return out;
}

}  // namespace wherry::netlink
